"""The inputs of a step whose skill has `runner = "http"`: what one request may say, checked before the task runs.

Rule: the shape only. Whether the host is trusted is decided with the config at hand, when the step is bound. This
is imported with the first such step, so that a daemon without any starts as quickly as ever.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from orchestrator.hosts import Url, parse
from orchestrator.spec import Inside, Text

PROGRAM = "http"
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_STATUSES = re.compile(r"([1-5])xx|([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?")
# Each of these is worked out from the request itself; another value would make two readers of it disagree.
_OURS = frozenset(
    ("host", "content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "te", "trailer", "expect",
     "accept-encoding", "proxy-authorization", "proxy-connection")
)  # fmt: skip

Scalar = str | int | float | bool
Range = tuple[int, int]


def _headers(value: object) -> object:
    """Names are tokens, each once; values are printable ASCII, so that no header can smuggle in another."""
    if not isinstance(value, dict):
        raise ValueError("must be a mapping of names to strings")
    for name, text in value.items():
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            raise ValueError(f"{name!r} is not the name of a header")
        if name.lower() in _OURS:
            raise ValueError(f"`{name}` can't be given: it follows from the request")
        if not isinstance(text, str):
            raise ValueError(f"the value of `{name}` must be a string: put it in quotes")
        if not all(" " <= character <= "~" or character == "\t" for character in text):
            raise ValueError(f"the value of `{name}` holds a line break or a character that is not ASCII")
        if text != text.strip():  # the library would refuse it later, and show it
            raise ValueError(f"the value of `{name}` begins or ends with a space")
    if len({name.lower() for name in value}) < len(value):
        raise ValueError("a name stands there twice")
    return value


def _statuses(value: object) -> object:
    """One status or several: 404, "2xx", "200-299", or a list of these."""
    items = value if isinstance(value, (list, tuple)) else [value]
    found: list[Range] = []
    for item in items:
        match = _STATUSES.fullmatch(str(item)) if not isinstance(item, bool) else None
        if match is None:
            raise ValueError(f'{item!r} is not a status: write 404, "2xx", "200-299", or a list of these')
        low = int(match[1]) * 100 if match[1] else int(match[2])
        found.append((low, low + 99 if match[1] else int(match[3] or low)))
    return tuple(found)


class HttpRequest(BaseModel):
    """One request. `max_bytes` counts the body of the answer, decoded."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    url: Text = Field(description="http:// or https://, to this machine or a trusted host.")
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] = "GET"
    query: dict[str, Scalar] = Field(default_factory=dict)
    headers: Annotated[dict[str, str], BeforeValidator(_headers)] = Field(default_factory=dict)
    json_: Any = Field(None, alias="json")
    body: str | None = None
    body_file: Inside | None = None
    expect_status: Annotated[tuple[Range, ...], BeforeValidator(_statuses)] = ((200, 299),)
    save: Inside | None = None
    max_bytes: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _consistent(self) -> HttpRequest:
        given = [name for name in ("json", "body", "body_file") if getattr(self, _FIELD[name]) is not None]
        if len(given) > 1:
            raise ValueError(f"`{given[0]}` and `{given[1]}` can't both be the body: give one")
        self.address()
        return self

    def address(self) -> Url:
        """The URL with its query."""
        url = parse(self.url)
        if not self.query:
            return url
        pairs = {key: _word(value) for key, value in self.query.items()}
        return parse(f"{url}{'&' if '?' in url.target else '?'}{urlencode(pairs)}")

    def expects(self, status: int) -> bool:
        return any(low <= status <= high for low, high in self.expect_status)

    def content(self) -> bytes | None:
        """The body, where it is not a file."""
        if self.json_ is not None:
            return orjson.dumps(self.json_)
        return None if self.body is None else self.body.encode()

    def argv(self) -> tuple[str, ...]:
        """The request as a command line, for rules and for people. Values of headers may be secrets, and are left out."""
        words = [PROGRAM, self.method, str(self.address())]
        for name in self.headers:
            words += ["--header", name]
        if (content := self.content()) is not None:
            words += ["--json" if self.json_ is not None else "--body", content.decode()]
        for option, value in (("--body-file", self.body_file), ("--save", self.save)):
            if value is not None:
                words += [option, value]
        return tuple(words)


_FIELD = {field.alias or name: name for name, field in HttpRequest.model_fields.items()}


def read_request(inputs: Mapping[str, Any]) -> HttpRequest:
    """Raises ValueError with a sentence that names the input."""
    try:
        return HttpRequest.model_validate(dict(inputs))
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        sentence = problem["msg"].removeprefix("Value error, ")
        raise ValueError(f"input `{where}`: {sentence}" if where else sentence) from None


def _word(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

