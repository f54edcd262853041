"""One request and its redirects, each to an address that was checked a moment before.

The library is used without its client, so that nothing is added that was not asked for: no environment, no proxy, no
cookies, no redirects of its own. It is given the checked address to connect to; the name stays in the Host header and
in what TLS verifies, so that a second look-up never happens.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import ExitStack, aclosing, asynccontextmanager, closing
from functools import lru_cache
from typing import cast

import httpx

from orchestrator import __version__
from orchestrator.home import Home
from orchestrator.hosts import Address, Url, UrlError, is_local, join, trust
from orchestrator.outcome import Call
from orchestrator.runners.capture import Capture
from orchestrator.runners.fence import Fence
from orchestrator.runners.http.aside import aside
from orchestrator.runners.http.decoding import ACCEPTED, decoder
from orchestrator.runners.http.failure import Code, HttpFailure, cause_of, connect_failure, in_words
from orchestrator.runners.http.lookup import addresses_of
from orchestrator.runners.http.workspace import SavedFile, open_body
from orchestrator.settings import HttpSettings
from orchestrator.skills.http_request import HttpRequest, read_request

MAX_REDIRECTS = 5
CHUNK = 64 * 1024
# So much is written at once; a longer answer goes to the disk in a thread, which may have to wait for it.
_INLINE = 256 * 1024
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
# All else that a step gives may be a credential, and stays with the host that it was meant for.
_FOR_ANY_HOST = frozenset(("accept", "accept-language", "content-type", "user-agent"))
_TOLD = frozenset(
    ("content-type", "content-length", "content-encoding", "date", "etag", "last-modified", "retry-after")
)

Sink = Callable[[bytes], object]


class Exchange:
    """A request on its way. `go` raises HttpFailure where it does not come to the end that was asked for."""

    def __init__(self, call: Call, settings: HttpSettings, home: Home, out: Capture, err: Capture) -> None:
        self._request: HttpRequest = read_request(call.inputs)
        self._trusted = trust(settings.trusted_hosts)
        self._ca_file = os.path.join(home.root, os.path.expanduser(settings.ca_file)) if settings.ca_file else ""
        self._limit = min(self._request.max_bytes or settings.max_bytes, settings.max_bytes)
        self._fence = Fence(call.cwd, home)
        self._out, self._err = out, err
        self._method: str = self._request.method
        self._headers = {name.lower(): value for name, value in self._request.headers.items()}
        self.sent = False
        """Whether anything of the request may have left this machine."""

    async def go(self) -> None:
        request = self._request
        with ExitStack() as opened:
            # Both before anything is asked: what was sent can't be taken back when its answer has no place.
            self._body = opened.enter_context(closing(_Body(request, self._fence)))
            saved = opened.enter_context(closing(SavedFile(self._fence, request.save))) if request.save else None
            try:
                await self._follow(request.address(), saved)
            except UrlError as error:
                raise HttpFailure(Code.BAD_URL, str(error)) from error

    async def _follow(self, url: Url, saved: SavedFile | None) -> None:
        for _ in range(MAX_REDIRECTS + 1):
            async with self._answer(url) as answer:
                self._tell(answer)
                location = answer.headers.get("location", "")
                if self._request.expects(answer.status_code):
                    await self._receive(answer, saved.write if saved else self._out.feed)
                    if saved is not None:
                        await aside(saved.keep)
                    return
                if answer.status_code not in _REDIRECTS or not location:
                    await self._receive(answer, self._out.feed)
                    raise self._unexpected(answer)
            url = self._turn(url, answer.status_code, location)
        raise HttpFailure(Code.TOO_MANY_REDIRECTS, f"there were more than {MAX_REDIRECTS} redirects; the last to {url}")

    def _unexpected(self, answer: httpx.Response) -> HttpFailure:
        wanted = ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in self._request.expect_status)
        message = f"the server answered {_status(answer)}, and not {wanted}"
        return HttpFailure(Code.STATUS, message, answer.status_code)

    def _turn(self, url: Url, status: int, location: str) -> Url:
        """Where a redirect leads, and with what. Raises HttpFailure."""
        try:
            to = join(url, location)
            self._trusted.check(to)
        except UrlError as error:
            raise HttpFailure(Code.BAD_URL, f"the redirect to {location!a} is not followed: {error}") from error
        if url.scheme == "https" and to.scheme == "http":
            raise HttpFailure(Code.UNSUPPORTED, f"the redirect to {to} would leave TLS: it is not followed")
        if is_local(to) and not is_local(url):
            raise HttpFailure(
                Code.BAD_URL, f"the redirect to {to} is not followed: another machine may not send us to this one"
            )
        if status == 303 or (status in (301, 302) and self._method == "POST"):
            self._method = "HEAD" if self._method == "HEAD" else "GET"
            self._body.drop()
            self._headers.pop("content-type", None)
        if to.origin != url.origin:
            if self._body.given:
                raise HttpFailure(
                    Code.UNSUPPORTED, f"the redirect to {to} would send the body to another host: it is not followed"
                )
            self._headers = {name: value for name, value in self._headers.items() if name in _FOR_ANY_HOST}
        return to

    @asynccontextmanager
    async def _answer(self, url: Url) -> AsyncIterator[httpx.Response]:
        """The answer's head; its body is still to come. The connection is closed behind it."""
        addresses = await addresses_of(url, self._trusted)
        context = await self._tls(url)
        async with httpx.AsyncHTTPTransport(verify=context, trust_env=False) as transport:
            answer = await self._ask(transport, url, addresses)
            try:
                yield answer
            finally:
                await answer.aclose()

    async def _ask(
        self, transport: httpx.AsyncHTTPTransport, url: Url, addresses: tuple[Address, ...]
    ) -> httpx.Response:
        first: HttpFailure | None = None
        for address in addresses:
            self._say(f"> {self._method} {url} ({address})")
            if self._headers:
                self._say(f"> with headers: {', '.join(sorted(self._headers))}")
            before, self.sent = self.sent, True
            try:
                return await transport.handle_async_request(self._message(url, address))
            except httpx.ConnectError as error:
                self.sent = before
                failure = connect_failure(error, url.authority)
                if failure.code != Code.NOT_CONNECTED:
                    raise failure from error
                self._say(f"* {failure.message}")
                first = first or failure
            except httpx.TransportError as error:
                raise _broken(error) from error
        # The last one is often the IPv6 address of a machine without IPv6.
        raise first or HttpFailure(Code.NO_ADDRESS, f"`{url.host}` has no address")

    def _message(self, url: Url, address: Address) -> httpx.Request:
        headers = {
            "host": url.authority,
            "user-agent": f"orchestrator/{__version__}",
            "accept": "*/*",
            "accept-encoding": ACCEPTED,
            "connection": "close",
            **self._body.headers,
            **self._headers,
        }
        target = url.target.encode("ascii")
        return httpx.Request(
            self._method,
            httpx.URL(scheme=url.scheme, host=str(address), port=url.port, raw_path=target),
            headers=headers,
            content=self._body.stream(),
            extensions={"sni_hostname": url.host, "target": target},
        )

    async def _tls(self, url: Url) -> ssl.SSLContext:
        if url.scheme == "http":
            return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # Reading the authorities takes longer than the loop should stand still.
        return await aside(_tls_context_now, self._ca_file)

    async def _receive(self, answer: httpx.Response, sink: Sink) -> None:
        """Hand the body on, decoded. Raises HttpFailure as soon as it is longer than it may be."""
        declared = answer.headers.get("content-length", "")
        if declared.isascii() and declared.isdigit() and self._method != "HEAD" and int(declared) > self._limit:
            raise self._too_large()
        unpack = decoder(answer.headers.get("content-encoding", ""))
        packed = total = 0
        try:
            async with aclosing(cast(AsyncGenerator[bytes, None], answer.aiter_raw())) as pieces:
                async for piece in pieces:
                    packed += len(piece)
                    for part in unpack.feed(piece):
                        total += len(part)
                        if total > self._limit:
                            raise self._too_large()
                        if total <= _INLINE:
                            sink(part)
                        else:
                            await aside(sink, part)
                    if packed > self._limit:
                        raise self._too_large()
        except httpx.TransportError as error:
            raise _broken(error) from error
        unpack.end()
        self._say(f"< {total} bytes")

    def _too_large(self) -> HttpFailure:
        return HttpFailure(Code.TOO_LARGE, f"the answer is longer than max_bytes allows, {self._limit} bytes")

    def _tell(self, answer: httpx.Response) -> None:
        """The head of an answer. Values are told of headers that can't be secrets."""
        self._say(f"< {_status(answer)}")
        for name, value in answer.headers.items():
            if name in _TOLD:
                self._say(f"< {name}: {_printable(value)}")
        if others := sorted(set(answer.headers) - _TOLD):
            self._say(f"< other headers: {', '.join(others)}")

    def _say(self, line: str) -> None:
        self._err.feed(line.encode("utf-8", "backslashreplace") + b"\n")


class _Body:
    """What is sent. A file is read a little at a time, and from its beginning at each redirect."""

    def __init__(self, request: HttpRequest, fence: Fence) -> None:
        self._content = request.content()
        self._fd, self._size = open_body(fence, request.body_file) if request.body_file else (-1, 0)
        self.headers: dict[str, str] = {}
        if self.given:
            self.headers["content-length"] = str(self._size if self._content is None else len(self._content))
        if request.json_ is not None:
            self.headers["content-type"] = "application/json"

    @property
    def given(self) -> bool:
        return self._content is not None or self._fd >= 0

    def stream(self) -> bytes | AsyncIterator[bytes] | None:
        return self._content if self._fd < 0 else self._pieces()

    async def _pieces(self) -> AsyncIterator[bytes]:
        at = 0
        while at < self._size:
            piece = await aside(os.pread, self._fd, min(CHUNK, self._size - at), at)
            if not piece:
                raise HttpFailure(Code.NOT_READ, "the body_file became shorter while it was sent")
            yield piece
            at += len(piece)

    def drop(self) -> None:
        self.close()
        self._content = None
        self.headers = {}

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _tls_context_now(ca_file: str) -> ssl.SSLContext:
    """What verifies servers, with the authorities as they are on disk now. Raises HttpFailure."""
    try:
        return _tls_context(ca_file, os.stat(ca_file).st_mtime_ns if ca_file else 0)
    except (OSError, ssl.SSLError) as error:
        raise HttpFailure(
            Code.TLS, f"ca_file in section [http] of the config, {ca_file}, can't be used: {error.strerror or error}"
        ) from error


@lru_cache(maxsize=2)
def _tls_context(ca_file: str, changed: int) -> ssl.SSLContext:
    del changed  # another time of change is another context
    context = httpx.create_ssl_context(trust_env=False)
    if ca_file:
        context.load_verify_locations(ca_file)
    return context


def _status(answer: httpx.Response) -> str:
    return _printable(f"{answer.status_code} {answer.reason_phrase}".strip())


def _printable(text: str) -> str:
    """What a server sent may be meant for a terminal."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def _broken(error: httpx.TransportError) -> HttpFailure:
    """The connection stood, and what came over it was not a whole answer."""
    if isinstance(error, httpx.ProtocolError):
        return HttpFailure(Code.BAD_ANSWER, f"no proper HTTP came back: {_printable(str(error))}")
    return HttpFailure(Code.NOT_RECEIVED, f"the connection broke: {in_words(cause_of(error))}")
