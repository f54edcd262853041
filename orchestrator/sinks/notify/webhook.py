"""A webhook: the message as JSON, signed in the way of Standard Webhooks (https://www.standardwebhooks.com).

`webhook-id` stays the same when a message is sent again, so that a receiver can leave out what it has had;
`webhook-timestamp` is the moment of this attempt; `webhook-signature` is over both and the body.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import ssl
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import httpx
import orjson

from orchestrator import __version__
from orchestrator.event import utc_now
from orchestrator.hosts import UrlError, parse
from orchestrator.settings import ChannelSettings
from orchestrator.sinks.notify.message import Message
from orchestrator.sinks.notify.receiver import Receiver, SendError, Surroundings
from orchestrator.sinks.notify.reference import Mask, NotSet, resolve
from orchestrator.sinks.wording import printable

_READ = 2_048  # bytes of an answer that are looked at
_TOLD = 160
_LONGEST_WAIT_S = 3_600.0


def make(channel: ChannelSettings, url: str, around: Surroundings) -> Receiver:
    """Raises SendError for a URL that is none, or a name that has no value."""
    try:
        where = resolve(url, around.lookup)
        secret = resolve(channel.secret.get_secret_value(), around.lookup) if channel.secret else ""
        headers = {name: resolve(value.get_secret_value(), around.lookup) for name, value in channel.headers.items()}
    except NotSet as error:
        raise SendError(str(error)) from error
    try:
        parsed = parse(where)
    except UrlError as error:
        raise SendError(f"its url can't be used: {Mask([secret], [where])(str(error))}") from error
    ca_file = around.settings.http.ca_file
    ca_path = os.path.join(around.home, os.path.expanduser(ca_file)) if ca_file else ""
    mask = Mask([secret, *headers.values()], [where], visible=(parsed.host, parsed.authority))
    return Webhook(where, _key(secret), headers, mask, channel.timeout / 1000, ca_path)


class Webhook:
    """One URL. `key` signs; empty for none. `timeout` is seconds, for each step of the exchange."""

    def __init__(
        self, url: str, key: bytes, headers: Mapping[str, str], mask: Mask, timeout: float, ca_file: str = ""
    ) -> None:
        self._url = url
        self._key = key
        self._headers = headers
        self._mask = mask
        self._timeout = timeout
        self._ca_file = ca_file
        self._tls: ssl.SSLContext | None = None

    def send(self, message: Message, id: str) -> str:
        body = orjson.dumps(_payload(message, id), option=orjson.OPT_NON_STR_KEYS)
        try:
            status, phrase, answer_headers, text = self._post(body, self._all_headers(id, body))
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            raise SendError(self._mask(f"{_kind(error)}: {error}".rstrip(": "))) from error
        said = self._mask(printable(f"{status} {phrase}{f': {text}' if text else ''}"))
        if 200 <= status < 300:
            return f"answered {said}"
        if 300 <= status < 400:
            raise SendError(f"answered {said}; a redirect is not followed: write the new address into the config")
        raise SendError(f"answered {said}", _retry_after(answer_headers.get("retry-after", "")))

    def _post(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, str, httpx.Headers, str]:
        # The environment's proxies and netrc are not for what the configuration names.
        with (
            httpx.Client(timeout=self._timeout, trust_env=False, verify=self._context()) as client,
            client.stream("POST", self._url, content=body, headers=headers) as answer,
        ):
            data = b""
            for chunk in answer.iter_bytes(_READ):
                data += chunk
                if len(data) >= _READ:
                    break
            text = " ".join(data[:_READ].decode("utf-8", "replace").split())[:_TOLD]
            return answer.status_code, answer.reason_phrase, answer.headers, text

    def _all_headers(self, id: str, body: bytes) -> dict[str, str]:
        now = int(time.time())
        headers = {
            "content-type": "application/json",
            "user-agent": f"orchestrator/{__version__}",
            **{name.lower(): value for name, value in self._headers.items()},
            "webhook-id": id,
            "webhook-timestamp": str(now),
        }
        return headers | ({"webhook-signature": sign(self._key, id, now, body)} if self._key else {})

    def _context(self) -> ssl.SSLContext:
        """Made once, and whole only where it is needed: reading the authorities takes a while."""
        if not self._url.startswith("https:"):
            return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self._tls is None:
            self._tls = httpx.create_ssl_context(trust_env=False)
            if self._ca_file:
                self._tls.load_verify_locations(self._ca_file)
        return self._tls


def sign(key: bytes, id: str, timestamp: int, body: bytes) -> str:
    """The signature of a body, as the header has it. `timestamp` is seconds since the epoch."""
    digest = hmac.new(key, f"{id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def _key(secret: str) -> bytes:
    """The bytes that a secret stands for: `whsec_…` is base64, anything else is taken as it is."""
    if not secret.startswith("whsec_"):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error as error:
        raise SendError("its secret begins with whsec_, but what follows is not base64") from error


def _payload(message: Message, id: str) -> dict[str, object]:
    said = {"subject": message.title, "text": message.body, "level": message.level}
    return {"id": id, "type": message.kind, "timestamp": utc_now(), "data": said | dict(message.facts)}


def _retry_after(text: str) -> float:
    """Seconds, of a number or a date; 0 where it says nothing usable."""
    if text.isascii() and text.isdigit():
        return min(float(text[:6]), _LONGEST_WAIT_S)
    try:
        return max(0.0, min(parsedate_to_datetime(text).timestamp() - time.time(), _LONGEST_WAIT_S))
    except ValueError:
        return 0.0


def _kind(error: Exception) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    if isinstance(error, httpx.ConnectError):
        return "no connection"
    return type(error).__name__
