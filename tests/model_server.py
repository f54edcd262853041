"""The real llama-server with a scripted model, and which answers it has."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import urllib.request

from conftest import require, until
from scripted_gguf import Script, write_gguf

TABLE = {
    "T-GOOD": Script("```python\ndef mul(a, b):\n    return a * b\n```"),
    "T-ADD": Script(
        "Here is the file:\n\n```python\ndef add(a, b):\n    return a - b\n```\n",
        '```python\ndef add(a, b):\n    """Return a + b."""\n    return a + b\n```\n',
    ),
    "T-SYNTAX": Script("```python\ndef broken(:\n```", "```python\ndef broken(\n```"),
    "T-PROSE": Script("Sure! I think you should write it yourself."),
    "T-JS": Script("```js\n// src/pot.js\nexport function potOdds(call, pot) {\n  return call / (pot + call);\n}\n```"),
    "T-SH": Script("```sh\nfor a in; do\n```", '```sh\nfor a in "$@"; do\n  "$a" x\ndone\n```'),
    "T-UNCLOSED": Script("```python\ndef f():\n    return [1, 2, 3,"),
    "T-THINK": Script("<think>\nIs it ```python\nwrong()\n```?\n</think>\n\n```python\nright = True\n```"),
    "T-ENDLESS": Script("and so on", endless=True),
}


def program():
    path = os.environ.get("LLAMA_SERVER", "")
    require(os.access(path, os.X_OK), "LLAMA_SERVER does not name a llama-server: .ci/build_llama_server builds one")
    return path


def write_model(path, table=TABLE):
    write_gguf(path, table)
    return path


class LlamaServer:
    """Started anew it has its old port. `slots` questions at once, each with `context` tokens."""

    def __init__(self, model, *, slots=2, context=4096, options=()):
        # With the tests it ends, however they do.
        bound = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        self._command = [
            *bound, program(), "--model", str(model), "--alias", "scripted", "--host", "127.0.0.1",
            "--ctx-size", str(slots * context), "--parallel", str(slots), "--threads", "1", "--threads-http", "4",
            "--no-warmup", "--offline", "--reasoning-format", "none", *options,
        ]  # fmt: skip
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.log = model.with_name(f"{self.port}.log")
        self.process = None

    @property
    def base_url(self):
        return f"http://127.0.0.1:{self.port}/v1"

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}") as answer:
            return json.load(answer)

    def start(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self._command, "--port", str(self.port)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        until(self._ready, "llama-server")
        return self

    def restart_with(self, *options):
        """The last word of an option is what counts."""
        self._command += options
        return self.start()

    def _ready(self):
        assert self.process.poll() is None, self.log.read_text()
        with contextlib.suppress(OSError):
            return self.get("/health")["status"] == "ok"

    def busy(self):
        """How many questions it is answering."""
        return sum(slot["is_processing"] for slot in self.get("/slots"))

    def decoded(self):
        """How many tokens of answers it has written just now."""
        return sum(token["n_decoded"] for slot in self.get("/slots") for token in slot.get("next_token", ()))

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
