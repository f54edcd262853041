"""Servers that can't be had here, as far as their documentation and their users describe them: LM Studio, Ollama, vLLM.

Each is a real HTTP server on this machine; how it answers a question is one of the functions below, set as its `chat`.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

GONE = (404, {"error": {"message": "Not Found", "type": "not_found_error", "code": 404}})


class Server(ThreadingHTTPServer):
    """Answers paths by `pages`, a status and a body each, and questions by `chat`. `asked` holds their bodies, `keys`
    the credentials that came with any request."""

    daemon_threads = True
    nothing_there = GONE
    headers: dict[str, str] = {}  # noqa: RUF012

    def __init__(self, pages, prefix="/v1"):
        super().__init__(("127.0.0.1", 0), _Request)
        self.pages = pages
        self.prefix = prefix
        self.chat = says("Hello.")
        self.asked = []
        self.keys = set()
        self.over = threading.Event()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def root(self):
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def base_url(self):
        return self.root + self.prefix

    def handle_error(self, request, client_address):
        """Those who ask may go away."""

    def close(self):
        self.over.set()
        self.shutdown()
        self.server_close()


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def version_string(self):
        return "scripted"

    def do_GET(self):
        self._note()
        self.reply(*self.server.pages.get(self.path, self.server.nothing_there))

    def do_POST(self):
        self._note()
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == f"{self.server.prefix}/chat/completions":
            self.server.asked.append(body)
            self.server.chat(self, body)
        elif self.path in self.server.pages:
            self.reply(*self.server.pages[self.path])
        else:
            self.reply(*self.server.nothing_there)

    def _note(self):
        self.server.keys.add(self.headers.get("authorization"))

    def reply(self, status, body, **headers):
        """A whole answer: JSON, or a page as it stands."""
        text = body if isinstance(body, str) else json.dumps(body)
        kind = "text/html" if text.startswith("<") else "application/json"
        self.send_response(status)
        for name, value in {"content-type": kind, "content-length": str(len(text.encode())), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text.encode())

    def begin(self):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self.wfile.flush()

    def piece(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def event(self, body):
        text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
        self.piece(f"data: {text}\n\n".encode())

    def delta(self, finish=None, **delta):
        self.event({"model": "served", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    def usage(self, prompt, completion):
        counted = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
        self.event({"model": "served", "choices": [], "usage": counted})

    def finish(self):
        self.event("[DONE]")
        self.wfile.write(b"0\r\n\r\n")

    def die(self):
        """As a process that was killed: the connection ends, and nothing says why."""
        self.wfile.flush()
        self.close_connection = True


def listing(*entries):
    return {"object": "list", "data": [{"object": "model", **entry} for entry in entries]}


def lm_studio(models=("coder",), loaded=("coder",), context=4096):
    """Of version 0.4. Everything that it does not know is answered 200."""
    told = [
        {
            "type": "llm",
            "key": name,
            "max_context_length": 32_768,
            "loaded_instances": [{"id": name, "config": {"context_length": context}}] if name in loaded else [],
        }
        for name in models
    ]
    embedding = {"type": "embedding", "key": "nomic", "max_context_length": 2048, "loaded_instances": []}
    server = older_lm_studio(models, loaded, context)
    server.pages["/api/v1/models"] = (200, {"models": [*told, embedding]})
    return server


def older_lm_studio(models=("coder",), loaded=("coder",), context=4096):
    told = [
        {
            "id": name,
            "type": "llm",
            "state": "loaded" if name in loaded else "not-loaded",
            "max_context_length": 32_768,
            **({"loaded_context_length": context} if name in loaded else {}),
        }
        for name in models
    ]
    embedding = {"id": "nomic", "type": "embeddings", "state": "not-loaded", "max_context_length": 2048}
    names = [{"id": name, "owned_by": "organization_owner"} for name in (*models, "nomic")]
    server = Server({"/v1/models": (200, listing(*names)), "/api/v0/models": (200, listing(*told, embedding))})
    server.nothing_there = (200, {"error": "Unexpected endpoint or method. (GET /somewhere)"})
    return server


def ollama(models=("coder:latest",), running=("coder:latest",), context=4096):
    ps = [{"name": name, "model": name, "context_length": context} for name in running]
    server = Server(
        {
            "/v1/models": (200, listing(*({"id": name, "owned_by": "library"} for name in models))),
            "/api/version": (200, {"version": "0.12.6"}),
            "/api/tags": (200, {"models": [{"name": name} for name in models]}),
            "/api/ps": (200, {"models": ps}),
        }
    )
    server.nothing_there = (404, "404 page not found")
    return server


def vllm(models=("org/coder",), context=4096):
    entries = [{"id": name, "owned_by": "vllm", "max_model_len": context} for name in models]
    server = Server(
        {
            "/v1/models": (200, listing(*entries)),
            "/version": (200, {"version": "0.16.0"}),
            "/tokenize": (200, {"count": 3, "max_model_len": context, "tokens": [1, 2, 3]}),
        }
    )
    server.nothing_there = (404, {"detail": "Not Found"})
    return server


def llama_cpp(context=4096):
    """For what the real one can't be made to do at will."""
    properties = {"default_generation_settings": {"n_ctx": context}, "total_slots": 1}
    models = listing({"id": "coder", "owned_by": "llamacpp"})
    return Server({"/v1/models": (200, models), "/props": (200, properties)})


def plain(models=("coder",)):
    """Any other that speaks the protocol."""
    return Server({"/v1/models": (200, listing(*({"id": name} for name in models)))})


def says(text, *, reasoning="", key="reasoning_content", finish="stop", prompt=7, completion=3, counted=True):
    """The answer, a character a token."""

    def chat(request, body):
        request.begin()
        request.delta(role="assistant", content="")
        for character in reasoning:
            request.delta(**{key: character})
        for character in text:
            request.delta(content=character)
        request.delta(finish=finish)
        if counted:
            request.usage(prompt, completion)
        request.finish()

    return chat


def refuses(status, body, **headers):
    return lambda request, body_: request.reply(status, body, **headers)


def objects(status, message):
    """Refuses as most do."""
    return refuses(status, {"error": {"message": message, "type": "some_error", "code": status}})


def stalls(text):
    """The stream stays open, and nothing more comes."""

    def chat(request, body):
        request.begin()
        request.delta(role="assistant", content="")
        for character in text:
            request.delta(content=character)
        request.server.over.wait()

    return chat


def dies(text):
    def chat(request, body):
        request.begin()
        for character in text:
            request.delta(content=character)
        request.die()

    return chat


def ends_early(text):
    """The stream is ended as it should be, the answer is not."""

    def chat(request, body):
        request.begin()
        request.delta(content=text)
        request.finish()

    return chat


def breaks_off(error):
    """An error where a piece of the answer should be, in a stream that began with 200."""

    def chat(request, body):
        request.begin()
        request.delta(content="def ")
        request.piece(b"event: error\n")
        request.event(error)
        request.finish()

    return chat


def sends(data):
    """Bytes as they stand, one at a time."""

    def chat(request, body):
        request.begin()
        for byte in data:
            request.piece(bytes((byte,)))
        request.wfile.write(b"0\r\n\r\n")

    return chat


def after(times, first, then):
    """`first` so many times, then `then`."""
    left = [times]

    def chat(request, body):
        left[0] -= 1
        (first if left[0] >= 0 else then)(request, body)

    return chat


LOADING = objects(503, "Loading model")
