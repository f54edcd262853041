"""One server: how it is reached, what it told of itself, and what is said when it can't be reached.

Rule: a connection serves one request. A server that was started anew in between is then never met through a dead one,
and no cookie, redirect or proxy comes between. The HTTP library is imported with this module.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import httpx

from orchestrator import __version__
from orchestrator.errors import is_limit
from orchestrator.hosts import parse
from orchestrator.runners.http.failure import cause_of, in_words
from orchestrator.runners.model.answer import ModelProblem
from orchestrator.runners.model.dialect import Survey, listed, recognise
from orchestrator.runners.model.troubles import Reply, advice, of_refusal
from orchestrator.settings import ModelSettings

PROBE_S = 10.0
FRESH_S = 60.0
MAX_BODY = 4 * 1024 * 1024


class Server:
    """`base_url` without a slash at its end. Every error is a ModelProblem for the name that was asked with; OSError
    where this machine is at a limit (`errors.is_limit`)."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self.root = base_url.removesuffix("/v1")
        self._survey: Survey | None = None
        self._surveyed = 0.0
        plain = parse(base_url).scheme == "http"
        self._client = httpx.AsyncClient(
            # Reading the authorities takes longer than all else here. SSL_CERT_FILE may name others.
            verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if plain else httpx.create_ssl_context(),
            limits=httpx.Limits(max_keepalive_connections=0),
            trust_env=False,
            headers={"user-agent": f"orchestrator/{__version__}", "accept-encoding": "identity"},
        )

    async def close(self) -> None:
        await self._client.aclose()

    def forget(self) -> None:
        """What it told may be true no more: it will be asked again."""
        self._survey = None

    async def survey(self, name: str, settings: ModelSettings, *, anew: bool = False) -> Survey:
        """What it tells of itself, not older than a minute."""
        known = self._survey
        if known is None or anew or monotonic() - self._surveyed > FRESH_S:
            known = await self._ask_all(name, settings)
            self._survey = None if known.loading else known
            self._surveyed = monotonic()
        return known

    async def _ask_all(self, name: str, settings: ModelSettings) -> Survey:
        async def below_root(path: str) -> Reply:
            return await self._get(name, settings, f"{self.root}{path}")

        reply = await self._get(name, settings, f"{self.base_url}/models")
        survey = await recognise(reply, below_root, settings.kind)
        if survey is None:
            raise await self.refusal(name, settings, reply)
        return survey

    async def tokens(self, name: str, settings: ModelSettings, text: str) -> int | None:
        """How many tokens a text is; None where this kind of server does not count."""
        survey = await self.survey(name, settings)
        if survey.dialect not in ("llama.cpp", "vllm"):
            return None
        ours = survey.dialect == "llama.cpp"
        body = {"content": text} if ours else {"prompt": text, "model": survey.meant(name, settings)}
        reply = await self._send("POST", name, settings, f"{self.root}/tokenize", body)
        told = reply.json if reply.status == 200 else None
        counted = told.get("tokens") if isinstance(told, dict) else None
        return len(counted) if isinstance(counted, list) else None

    async def _get(self, name: str, settings: ModelSettings, url: str) -> Reply:
        return await self._send("GET", name, settings, url)

    async def _send(
        self, method: str, name: str, settings: ModelSettings, url: str, body: dict[str, Any] | None = None
    ) -> Reply:
        """Ask what is answered in one piece, and soon."""
        seconds = httpx.Timeout(PROBE_S, connect=settings.connect_timeout / 1000)
        with self._told(name, settings):
            async with self._client.stream(method, url, json=body, headers=_key(settings), timeout=seconds) as response:
                return await read_reply(response)

    @asynccontextmanager
    async def chat(self, name: str, settings: ModelSettings, body: dict[str, Any]) -> AsyncIterator[httpx.Response]:
        """The head of an answer that streams; only connecting is timed here."""
        with self._told(name, settings):
            async with self._client.stream(
                "POST",
                f"{self.base_url}/chat/completions",
                json=body,
                headers=_key(settings),
                timeout=httpx.Timeout(None, connect=settings.connect_timeout / 1000),
            ) as response:
                yield response

    @contextmanager
    def _told(self, name: str, settings: ModelSettings) -> Iterator[None]:
        """The library's errors in our words."""
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            cause = cause_of(error)
            if is_limit(cause):
                raise cause from error
            self.forget()
            late = isinstance(error, httpx.ConnectTimeout)
            why = f"no connection within {settings.connect_timeout} ms" if late else why_no_connection(cause)
            raise ModelProblem(
                "unreachable",
                name,
                f"no model server answers at {self.base_url}: {why}; start LM Studio's server, `ollama serve`, "
                f"llama-server or vLLM, or set `base_url` in [models.{name}]",
            ) from error
        except httpx.TimeoutException as error:
            self.forget()
            raise ModelProblem(
                "timed_out", name, f"{self.base_url} took the connection, and said nothing within {PROBE_S:.0f} s"
            ) from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            self.forget()
            raise ModelProblem(
                "broken",
                name,
                f"{self.base_url} broke off: {in_words(cause_of(error))}; it may have crashed: look into its log",
            ) from error

    async def refusal(self, name: str, settings: ModelSettings, reply: Reply) -> ModelProblem:
        """What an answer means that is none."""
        trouble = of_refusal(reply)
        if trouble in ("unauthorized", "wrong_url", "no_model", "broken"):
            self.forget()
        said = without_key(reply.error, settings)
        quoted = f"{reply.status}" + (f" “{said}”" if said else "")
        if trouble != "wrong_url":
            return ModelProblem(trouble, name, f"{self.base_url} answered {quoted}; {advice(trouble, name)}")
        what = f"{self.base_url} is no OpenAI-compatible server, or not at this path: it answered {quoted}"
        return ModelProblem(trouble, name, f"{what}; {await self._elsewhere(name, settings)}")

    async def _elsewhere(self, name: str, settings: ModelSettings) -> str:
        """Where on the same machine and port the right path is, if it is where it mostly is."""
        parts = urlsplit(self.base_url)
        better = f"{parts.scheme}://{parts.netloc}/v1"
        if better != self.base_url:
            try:
                if listed(await self._get(name, settings, f"{better}/models")) is not None:
                    return f'there is one at {better}: set base_url = "{better}" in [models.{name}]'
            except ModelProblem:
                pass  # it was a guess
        return advice("wrong_url", name)


async def read_reply(response: httpx.Response) -> Reply:
    """A body that comes in one piece; of one that is too long the beginning."""
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > MAX_BODY:
            break
    headers = response.headers
    text = body.decode("utf-8", "replace")
    return Reply(response.status_code, headers.get("content-type", ""), headers.get("server", ""), text)


def why_no_connection(cause: BaseException) -> str:
    """Why there is no connection."""
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not valid: {cause.verify_message}"
    if isinstance(cause, ssl.SSLError):
        return f"no TLS: {cause}"
    return cause.strerror if isinstance(cause, socket.gaierror) and cause.strerror else in_words(cause)


def without_key(text: str, settings: ModelSettings) -> str:
    """What a server said, who may repeat the key that it was sent."""
    key = settings.api_key.get_secret_value() if settings.api_key else ""
    return text.replace(key, "***") if key else text


def _key(settings: ModelSettings) -> dict[str, str]:
    return {"authorization": f"Bearer {settings.api_key.get_secret_value()}"} if settings.api_key else {}
