"""The notebook as a whole, run headless against a folder as the store and a sink that reads with the Python SDK."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import unittest
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

HERE = Path(__file__).parent
SCHEMAS = HERE / "../../triggers/schemas"


class Sink(HTTPServer):
    """Keeps what it was sent, and answers each time with `status`."""

    def __init__(self, status: int):
        super().__init__(("127.0.0.1", 0), Answer)
        self.status, self.events = status, []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.events.append(from_http_event(HTTPMessage(dict(self.headers), body)))
        self.send_response(self.server.status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def schema(name: str) -> Draft202012Validator:
    schemas = [json.loads(file.read_text()) for file in SCHEMAS.glob("*.schema.json")]
    registry = Registry().with_resources((each["$id"], Resource.from_contents(each)) for each in schemas)
    [wanted] = (each for each in schemas if each["$id"].endswith(f"/{name}.schema.json"))
    return Draft202012Validator(wanted, registry=registry, format_checker=Draft202012Validator.FORMAT_CHECKER)


def run(store: str, checkout: Path = HERE, **environment: str) -> subprocess.CompletedProcess:
    (Path(store) / "iris").mkdir(exist_ok=True)
    environment = {**os.environ, "BENTO_STORE": f"file://{store}", "VERSION": "v7", **environment}
    return subprocess.run([sys.executable, checkout / "run.py"], env=environment, capture_output=True, text=True)


def environment_of(archive: Path) -> dict[str, tuple[int, bytes]]:
    """What a bento's image is built from but for the model and the code: mode and bytes of each file."""
    with tarfile.open(archive) as bento:
        files = [entry for entry in bento if entry.isfile() and entry.name.removeprefix("./").startswith("env/")]
        return {entry.name: (entry.mode, bento.extractfile(entry).read()) for entry in files}


class Notebook(unittest.TestCase):
    def test_it_leaves_a_bento_in_the_store_and_asks_for_its_release(self):
        sink = Sink(202)
        with tempfile.TemporaryDirectory() as store:
            ended = run(store, EVENT_SINK=sink.url, EVENT_ID="1b4e28ba-2fa1-11d2-883f-0016d3cca427", NAMESPACE="team")
            self.assertEqual(ended.returncode, 0, ended.stderr)
            sha256 = hashlib.sha256((Path(store) / "iris/v7.tar.gz").read_bytes()).hexdigest()
            [event] = sink.events
            attributes, data = event.get_attributes(), event.get_data()
            self.assertEqual(data["bento"], {"tag": "iris:v7", "store": f"file://{store}", "sha256": sha256})
        self.assertEqual((data["serviceName"], data["serviceVersion"]), ("iris", "v7"))
        self.assertEqual(attributes["id"], "1b4e28ba-2fa1-11d2-883f-0016d3cca427")
        self.assertEqual(attributes["correlationid"], attributes["id"])
        self.assertEqual(attributes["type"], "build.canary.release.requested.v1")
        self.assertEqual(attributes["subject"], "team/iris")
        schema("requested").validate(data)
        self.assertEqual(attributes["dataschema"], schema("requested").schema["$id"])

    def test_a_sink_that_refuses_makes_it_fail_in_the_cell_that_sends(self):
        sink = Sink(403)
        with tempfile.TemporaryDirectory() as store:
            ended = run(store, EVENT_SINK=sink.url)
        self.assertEqual(ended.returncode, 1)
        self.assertIn("error: cell `send` of the notebook failed: HTTPStatusError", ended.stderr)

    def test_every_version_has_the_same_environment_wherever_it_is_built(self):
        with tempfile.TemporaryDirectory() as place:
            elsewhere = Path(shutil.copytree(HERE, Path(place) / "another/checkout"))
            environments = []
            for checkout, version, model in [(HERE, "v1", "first"), (elsewhere, "v2", "broken")]:
                ended = run(place, checkout, VERSION=version, MODEL=model)
                self.assertEqual(ended.returncode, 0, ended.stderr)
                environments.append(environment_of(Path(place) / f"iris/{version}.tar.gz"))
        self.assertEqual(*environments)
        files = {name.removeprefix("./"): contents for name, (_, contents) in environments[0].items()}
        self.assertIn("env/docker/Dockerfile", files)
        installed = files["env/python/requirements.txt"].decode()
        lock = (HERE / "image.txt").read_text()
        self.assertEqual(installed, lock + "bentoml==1.4.39\n", "the lock, and the line that BentoML adds to every one")


if __name__ == "__main__":
    unittest.main()
