"""What the tests of the http runner share: real servers on loopback, and calls bound by the shipped skill."""

import asyncio
import contextlib
import json
import subprocess
from pathlib import Path

from orchestrator.home import Home
from orchestrator.runners.http import HttpRunner
from orchestrator.settings import HttpSettings
from orchestrator.skills import BindContext, bind, load_skills
from orchestrator.spec import Step, Task

SKILLS = load_skills(str(Path(__file__).parent.parent / "skills"))


def response(body=b"", status="200 OK", **headers):
    """A whole answer; headers are given with `_` for `-`, a None leaves one out."""
    lines = {"Content-Length": str(len(body)), **{name.replace("_", "-"): value for name, value in headers.items()}}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value is not None)
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body


class Server:
    """Answers each connection with what `answer(request)` gives: bytes, or a coroutine that is given the writer.

    `requests` holds what was asked: method, target, headers in lower case, body.
    """

    def __init__(self, answer):
        self.answer = answer
        self.requests = []
        self.closed = asyncio.Event()
        self.host = ""
        self.port = 0

    async def serve(self, reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, target, _ = head[0].split(" ")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            request = {"method": method, "target": target, "headers": headers, "body": body}
            self.requests.append(request)
            said = self.answer(request) if callable(self.answer) else self.answer
            if isinstance(said, bytes):
                writer.write(said)
                await writer.drain()
            else:
                await said(writer)
            await reader.read()  # until the other side closes
        self.closed.set()
        writer.close()

    def url(self, path="/", scheme="http", host=None):
        return f"{scheme}://{host or self.host}:{self.port}{path}"


@contextlib.asynccontextmanager
async def serving(answer, host="127.0.0.1", port=0, tls=None):
    server = Server(answer)
    listener = await asyncio.start_server(server.serve, host, port, ssl=tls)
    server.host, server.port = listener.sockets[0].getsockname()[:2]
    try:
        yield server
    finally:
        listener.close()


class Caller:
    """Makes requests in a workspace of its own. `trusted` and `settings` stand for the config."""

    def __init__(self, folder):
        self.workspace = folder / "work"
        self.workspace.mkdir()
        self.home = Home(str(folder / "home"))
        self.home.prepare()
        self.out, self.err = folder / "0.out", folder / "0.err"
        self.settings = HttpSettings()
        self.runner = HttpRunner(self.home, lambda: self.settings)

    def trust(self, *hosts, **settings):
        self.settings = HttpSettings(trusted_hosts=hosts, **settings)

    def call(self, url, timeout=20_000, **inputs):
        step = Step.model_validate_json(
            json.dumps({"skill": "http", "timeout": timeout, "with": {"url": str(url), **inputs}})
        )
        context = BindContext(
            workspace=str(self.workspace), environ={}, path="", output_limit=1 << 20, daemon_env={},
            trusted_hosts=self.settings.trusted_hosts, max_bytes=self.settings.max_bytes,
        )  # fmt: skip
        return bind(step, 0, Task(id="t", title="t", skills=("http",), steps=(step,)), SKILLS, context)

    async def run(self, call, **options):
        return await self.runner.run(call, out_path=str(self.out), err_path=str(self.err), mark="t/1/0", **options)

    async def get(self, url, **inputs):
        return await self.run(self.call(url, **inputs))


def make_certificate(folder, *names):
    """A key and a certificate that is its own authority, for these names (`DNS:…`, `IP:…`)."""
    key, certificate = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=test",
            "-addext", f"subjectAltName={','.join(names)}", "-addext", "keyUsage=digitalSignature,keyCertSign",
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    return key, certificate
