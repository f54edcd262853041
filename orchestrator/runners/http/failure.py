"""Why a request failed. The codes are curl's exit codes, because people know them and retry rules can name them;
130 is a shell's for what was interrupted."""

from __future__ import annotations

import os
import ssl
from enum import IntEnum

from orchestrator.outcome import Failure


class Code(IntEnum):
    """The exit code of a step that made a request."""

    UNSUPPORTED = 1
    BAD_URL = 3
    NO_ADDRESS = 6
    NOT_CONNECTED = 7
    BAD_ANSWER = 8
    STATUS = 22
    NOT_SAVED = 23
    NOT_READ = 26
    TIMED_OUT = 28
    TLS = 35
    TOO_MANY_REDIRECTS = 47
    NOT_RECEIVED = 56
    NOT_VERIFIED = 60
    BAD_ENCODING = 61
    TOO_LARGE = 63
    CANCELLED = 130


_CONNECTION = frozenset({Code.NO_ADDRESS, Code.NOT_CONNECTED, Code.TLS, Code.NOT_RECEIVED})
_ANSWER = frozenset({Code.BAD_ANSWER, Code.STATUS, Code.TOO_MANY_REDIRECTS, Code.BAD_ENCODING, Code.TOO_LARGE})
_PASSING = frozenset({408, 425, 429})  # too slow, too early, too many: the server asks to be asked again


class HttpFailure(Exception):
    """The request did not come to the end that the step asked for; the message is a sentence for people. `status` is
    the answer's, where there was one that was not expected."""

    def __init__(self, code: Code, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status

    @property
    def kind(self) -> Failure:
        """What kind of failure it is: as `retry.on` knows them."""
        if self.status >= 500 or self.status in _PASSING:
            return "server_error"
        if self.code in _CONNECTION:
            return "connection_failed"
        return "bad_answer" if self.code in _ANSWER else "exit_code"


def cause_of(error: BaseException) -> BaseException:
    """What lies at the bottom: the library wraps an error of the system several times."""
    while (below := error.__cause__ or error.__context__) is not None:
        error = below
        if isinstance(error, ssl.SSLError):
            break
    return error


def connect_failure(error: Exception, where: str) -> HttpFailure:
    """The failure of a connection that did not come about."""
    cause = cause_of(error)
    failure = _connect_failure(cause, where)
    failure.__cause__ = error
    return failure


def _connect_failure(cause: BaseException, where: str) -> HttpFailure:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return HttpFailure(Code.NOT_VERIFIED, f"the certificate of {where} is not valid: {cause.verify_message}")
    if isinstance(cause, ssl.SSLError):
        return HttpFailure(Code.TLS, f"no TLS connection to {where}: {cause.reason or cause}")
    return HttpFailure(Code.NOT_CONNECTED, f"no connection to {where}: {in_words(cause)}")


def in_words(cause: BaseException) -> str:
    """The system's own word for an error: asyncio puts the address in its place."""
    if isinstance(cause, OSError) and cause.errno:
        return os.strerror(cause.errno)
    return str(cause) or type(cause).__name__
