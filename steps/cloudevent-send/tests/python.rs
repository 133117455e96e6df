//! What the step sends is read by CloudEvents' Python SDK as it was meant, in both modes.
//!
//! `KANARIA_PYTHON=$(examples/iris/venv) cargo test -p cloudevent-send --test python -- --ignored`

#![allow(clippy::unwrap_used, reason = "the helpers below belong to tests, too")]

use std::{
    env,
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, ChildStdout, Command, Stdio},
};

use assert_cmd::Command as Step;
use serde_json::{Value, json};

/// Prints its address, then each event as a line of JSON.
const RECEIVER: &str = r#"
import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from cloudevents.core.bindings.http import HTTPMessage, from_http_event

class Answer(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        event = from_http_event(HTTPMessage(dict(self.headers), body))
        data = event.get_data()
        data = {"bytes": list(data)} if isinstance(data, bytes) else data
        attributes = {name: str(value) for name, value in event.get_attributes().items()}
        print(json.dumps({"attributes": attributes, "data": data}), flush=True)
        self.send_response(202)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass

server = HTTPServer(("127.0.0.1", 0), Answer)
print(f"http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
"#;

struct Receiver {
    process: Child,
    lines: BufReader<ChildStdout>,
}

impl Receiver {
    fn start() -> (Self, String) {
        let python =
            env::var("KANARIA_PYTHON").expect("KANARIA_PYTHON names a Python with cloudevents 2.2");
        let mut process =
            Command::new(python).args(["-c", RECEIVER]).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap());
        let mut receiver = Self { process, lines };
        let address = receiver.line();
        (receiver, address)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = self.lines.read_to_string(&mut String::new());
    }
}

/// What the SDK makes of an event that is sent with these arguments.
fn received(args: &[&str]) -> Value {
    let (mut receiver, address) = Receiver::start();
    Step::cargo_bin("cloudevent-send")
        .unwrap()
        .args([
            "--type=t.v1",
            "--source=/s",
            "--id=7",
            "--time=2026-11-24T06:07:00Z",
            "--retries=0",
        ])
        .arg(format!("--sink={address}"))
        .args(args)
        .assert()
        .success();
    serde_json::from_str(&receiver.line()).unwrap()
}

#[test]
#[ignore = "needs KANARIA_PYTHON"]
fn both_modes_say_the_same() {
    for mode in ["--mode=structured", "--mode=binary"] {
        let event = received(&[
            mode,
            "--subject=Euro € 😀 100%25 \"x\"",
            "--causation-id=c-1",
            "--extension",
            "attempt:int=2",
            "--field",
            "serviceName=iris",
            "canary.weight:int=10",
            "note=ä\n",
        ]);
        let expected = json!({
            "attributes": {
                "specversion": "1.0", "id": "7", "type": "t.v1", "source": "/s", "subject": "Euro € 😀 100%25 \"x\"",
                "time": "2026-11-24 06:07:00+00:00", "datacontenttype": "application/json",
                "correlationid": "7", "causationid": "c-1", "chainhops": "1", "attempt": "2",
            },
            "data": {"serviceName": "iris", "canary": {"weight": 10}, "note": "ä\n"},
        });
        assert_eq!(event, expected, "{mode}");
    }
}

#[test]
#[ignore = "needs KANARIA_PYTHON"]
fn text_is_text_in_both_modes() {
    for mode in ["--mode=structured", "--mode=binary"] {
        let event = received(&[mode, "--datacontenttype=text/plain", "--data=a \"b\" ä"]);
        assert_eq!(event["data"], "a \"b\" ä", "{mode}");
    }
}
