"""Requests as tasks of a real daemon: the example, a refusal, a reload, a cancel."""

import json
import os
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from conftest import until

EXAMPLE = Path(__file__).parents[1] / "queue" / "examples" / "tsk_http_check.yaml"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/slow":
            self.server.reached.set()
            self.server.released.wait(60)
        self.send_response(200 if self.path == "/" else 404)
        self.end_headers()
        self.wfile.write(b"<p>hello</p>")

    def log_message(self, *_):
        """Quiet."""


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.reached, server.released = threading.Event(), threading.Event()
    server.url = f"http://localhost:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.released.set()
    server.shutdown()
    server.server_close()


def spec(task_id, url, **fields):
    step = {"skill": "http", "with": {"url": url}}
    return {"id": task_id, "title": "ask", "risk": "low", "skills": ["http"], "steps": [step]} | fields


def test_the_example_does_what_it_says(daemon, server):
    daemon.drop(EXAMPLE.read_text().replace(":8000", f":{server.server_port}"), EXAMPLE.name)
    result = daemon.result("tsk_http_check")
    assert (result["status"], result["reason"]) == ("ok", None)
    assert all(check["ok"] for check in result["acceptance"])
    assert (daemon.root / "service-answer.txt").read_text() == "<p>hello</p>"
    first, second = result["results"]
    assert first["args"][:2] == ["GET", f"{server.url}/"]
    assert (first["stdout"], second["stdout"]) == ("", "<p>hello</p>")
    assert "< 404 Not Found" in second["stderr"]
    run = Path(daemon.home.runs) / "tsk_http_check" / "1"
    assert (run / second["stdout_path"]).read_text() == "<p>hello</p>"
    assert (run / second["stderr_path"]).read_text() == second["stderr"]


def test_a_failure_says_what_the_server_answered(daemon, server):
    daemon.drop(spec("tsk_miss", f"{server.url}/x"))
    result = daemon.result("tsk_miss")
    assert (result["status"], result["results"][0]["code"]) == ("failed", 22)
    assert result["reason"] == "step_failed: step 0 (http): the server answered 404 Not Found, and not 200-299"


def test_an_untrusted_host_is_refused_until_the_config_lists_it(daemon):
    daemon.drop(spec("tsk_out", "http://gone.invalid/"))
    result = daemon.result("tsk_out")
    assert (result["status"], result["results"]) == ("invalid", [])
    assert 'add "gone.invalid" to trusted_hosts in section [http] of config/orchestrator.toml' in result["reason"]
    config = Path(daemon.home.config) / "local.toml"
    config.write_text('[http]\ntrusted_hosts = ["gone.invalid"]\n')
    os.kill(daemon.process.pid, signal.SIGHUP)
    until(lambda: "were read again" in (daemon.root / "daemon.log").read_text(), "the reload")
    daemon.drop(spec("tsk_again", "http://gone.invalid/"))
    result = daemon.result("tsk_again")
    assert (result["status"], result["results"][0]["code"]) == ("failed", 6)


def test_validate_submit_and_explain_know_what_the_config_trusts(house, tmp_path):
    file = tmp_path / "ask.json"
    file.write_text(json.dumps(spec("tsk_ask", "http://api.example/")))
    for verb in ("validate", "explain"):
        refused = house.run(verb, str(file))
        assert refused.returncode == 2
        assert 'add "api.example" to trusted_hosts' in refused.stdout + refused.stderr
    (Path(house.home.config) / "local.toml").write_text('[http]\ntrusted_hosts = ["api.example"]\n')
    assert house.run("validate", str(file)).returncode == 0
    assert "http GET http://api.example/" in house.run("explain", str(file)).stdout
    assert house.run("submit", "--priority", "low", str(file)).returncode == 0


def test_a_cancel_and_the_daemons_end_end_a_request(daemon, server):
    daemon.drop(spec("tsk_slow", f"{server.url}/slow"))
    assert server.reached.wait(60)
    server.reached.clear()
    daemon.run("cancel", "tsk_slow")
    assert daemon.result("tsk_slow")["status"] == "cancelled"
    daemon.drop(spec("tsk_slower", f"{server.url}/slow"))
    assert server.reached.wait(60)
    daemon.process.send_signal(signal.SIGTERM)
    until(lambda: "SIGTERM" in (daemon.root / "daemon.log").read_text(), "the first signal")
    assert daemon.stop() == 0
    assert daemon.result("tsk_slower")["status"] == "interrupted"
