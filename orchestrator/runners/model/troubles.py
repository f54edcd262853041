"""What a server's refusal means. Pure: from a status and a body to one of the known ways in which no answer comes.

The servers agree on nothing here but JSON, so the words of their messages have to be read too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import orjson

from orchestrator.runners.model.answer import Trouble

_SHOWN = 300
_OVERFLOW = re.compile(
    r"exceed_context_size|context.{0,20}(?:length|size|window|overflow)|maximum model length|max_model_len"
    r"|max_tokens must be at least|prompt is too long|too many tokens|\bn_ctx\b",
    re.IGNORECASE | re.DOTALL,
)
_LOADING = re.compile(r"\bloading\b|\bis being loaded\b", re.IGNORECASE)
_NO_MODEL = re.compile(
    r"no models? (?:is |are )?loaded|model.{0,120}?(?:not found|does not exist|not loaded|not exist|unknown)"
    r"|failed to load model|invalid model|unknown model",
    re.IGNORECASE | re.DOTALL,
)
_PASSING = frozenset((408, 425, 429))  # too slow, too early, too many


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered where no stream was wanted, or came. `server` is the header of that name."""

    status: int
    content_type: str
    server: str
    text: str

    @property
    def json(self) -> Any:
        """What the body says, None where it is no JSON. orjson takes no half characters, which nothing could write."""
        try:
            return orjson.loads(self.text)
        except ValueError:
            return None

    @property
    def error(self) -> str:
        """The server's own words for what is wrong, in one line; empty where it names nothing wrong. What is no JSON is
        a page for people, and says it all."""
        body = self.json
        if isinstance(body, dict):
            return error_of(body)
        return "" if body is not None else one_line(re.sub(r"<[^>]*>", " ", self.text))


def error_of(body: dict[str, Any]) -> str:
    """The message of `{"error": …}` or `{"message": …}`: in these two places all known servers have it."""
    error = body.get("error") or (body.get("message") if body.get("object") == "error" else None)
    if isinstance(error, dict):
        kind = str(error.get("type") or "")
        message = str(error.get("message") or error)
        return one_line(message if kind in message else f"{message} ({kind})")
    return one_line(str(error)) if error else ""


def one_line(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= _SHOWN else f"{plain[: _SHOWN - 1]}…"


def of_refusal(reply: Reply) -> Trouble:
    """The trouble that a status and a body mean. `wrong_url` where it is no refusal, but no answer either."""
    said = reply.error
    if reply.status in (401, 403):
        return "unauthorized"
    if reply.status == 503 and _LOADING.search(said):
        return "loading"
    if reply.status >= 400 and (trouble := of_words(said)):
        return trouble
    if reply.status >= 500 or reply.status in _PASSING:
        return "broken"
    return "wrong_url" if reply.status < 400 or reply.status in (404, 405) else "refused"


def of_words(said: str) -> Trouble | None:
    """The trouble that a message names, whatever status it came with; None where it names none that is known."""
    if _OVERFLOW.search(said):
        return "overflow"
    return "no_model" if _NO_MODEL.search(said) else None


def advice(trouble: Trouble, name: str) -> str:
    """What to do about a refusal, for the model `[models.NAME]`."""
    return _ADVICE.get(trouble, "look into the server's log").replace("NAME", name)


_ADVICE: dict[Trouble, str] = {
    "unauthorized": "set `api_key` in [models.NAME] to one that it knows",
    "wrong_url": "look at `base_url` in [models.NAME]: it mostly ends in /v1",
    "loading": "it still loads its model: try again later",
    "overflow": "the question does not fit its context: give it less, or start the server with a larger context",
    "no_model": "load a model there, or set `model` in [models.NAME] to one that `orchestrator models` lists",
    "refused": "it does not take this question: look into the server's log, and at `kind` in [models.NAME]",
}
