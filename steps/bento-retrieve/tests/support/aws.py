"""AWS as a proxy for TLS sees it: python aws.py ARCHIVE, in a folder with `certificate` and `key`.

Prints its port, then a line for each request: METHOD HOST PATH, and how it was signed. The bucket is in eu-west-1; the
SSO portal lends keys for the token `a-token`.
"""

import http.server
import json
import ssl
import sys

archive = open(sys.argv[1], "rb").read()
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("certificate", "key")


class Aws(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_CONNECT(self):
        self.wfile.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        self.connection = context.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", buffering=0)
        self.close_connection = False

    def do_GET(self):
        host = self.headers["host"]
        scope = self.headers.get("authorization", "").partition("Credential=")[2].split("/aws4_request")[0]
        signed = [part for part in scope.split("/") if part and not part.isdigit()]
        print(self.command, host, self.path.split("?")[0], *signed, flush=True)
        if host.startswith("portal.sso."):
            ok = self.headers.get("x-amz-sso_bearer_token") == "a-token"
            keys = {"accessKeyId": "lent", "secretAccessKey": "s3cr3t", "sessionToken": "t", "expiration": 4102444800000}
            self.answer(200 if ok else 401, json.dumps({"roleCredentials": keys} if ok else {"message": "no"}).encode())
        elif "eu-west-1" in scope and ".s3.eu-west-1." in host:
            self.answer(200, archive)
        else:
            self.answer(301, b"", {"x-amz-bucket-region": "eu-west-1"})

    do_HEAD = do_GET

    def answer(self, status, body, headers={}):
        self.send_response(status)
        for name, value in {"ETag": '"1"', "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Aws)
print(server.server_port, flush=True)
server.serve_forever()
