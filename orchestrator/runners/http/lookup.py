"""The one place where a host's name is looked up: once for each request, so that what is checked is what is used."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading

from orchestrator.hosts import LOCALHOST, Address, TrustedHosts, Url, is_local
from orchestrator.runners.http.failure import Code, HttpFailure


async def addresses_of(url: Url, trusted: TrustedHosts) -> tuple[Address, ...]:
    """The addresses that may be connected to, in order. Raises HostError, and HttpFailure where there are none."""
    trusted.check(url)
    if url.address is not None:
        return (url.address,)
    # What `localhost` means is not left to any file or name server.
    found = LOCALHOST if is_local(url) else await _look_up(url.host, url.port)
    trusted.check_addresses(url, found)
    return found


async def _look_up(host: str, port: int) -> tuple[Address, ...]:
    """A thread of its own: a name server that does not answer must hold up neither the loop nor the daemon's end."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[tuple[Address, ...]] = loop.create_future()

    def settle(found: tuple[Address, ...], failure: HttpFailure | None) -> None:
        if answer.done():
            return
        if failure is None:
            answer.set_result(found)
        else:
            answer.set_exception(failure)

    def ask() -> None:
        found: tuple[Address, ...] = ()
        failure = None
        try:
            found = _ask(host, port)
        except OSError as error:
            failure = HttpFailure(Code.NO_ADDRESS, f"no address is known of `{host}`: {error.strerror or error}")
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, found, failure)

    threading.Thread(target=ask, name="name-lookup", daemon=True).start()
    return await answer


def _ask(host: str, port: int) -> tuple[Address, ...]:
    answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(ipaddress.ip_address(answer[4][0]) for answer in answers))
