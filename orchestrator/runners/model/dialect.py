"""Which kind of server answers, and what it tells of itself.

Rule: recognised by the shape of what it answers. A status means nothing: LM Studio answers 200 to every path.
"""

from __future__ import annotations

import difflib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from orchestrator.runners.model.answer import Dialect, ModelProblem
from orchestrator.runners.model.troubles import Reply, of_refusal
from orchestrator.settings import ModelSettings

_SHOWN = 20
Kind = Literal["auto", "llama.cpp", "lmstudio", "ollama", "vllm", "openai"]
Get = Callable[[str], Awaitable[Reply]]
"""Asks for a path below the server's root, where each dialect has its own."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What a server told. `models` is what can be asked for, `loaded` what is in memory (None: it does not say);
    `contexts` in tokens, by model; `slots` None where it does not say."""

    dialect: Dialect
    models: tuple[str, ...]
    version: str = ""
    loaded: tuple[str, ...] | None = None
    contexts: Mapping[str, int] = field(default_factory=dict)
    slots: int | None = None
    loading: bool = False

    def meant(self, name: str, settings: ModelSettings) -> str:
        """The server's own name of the model that `[models.NAME]` means. Raises ModelProblem."""
        wanted = settings.model
        found = self._called(wanted) if wanted else self._only()
        if found is not None:
            return found
        lacks = f"has no model {wanted!r}" if wanted else "does not say which of its models is meant"
        near = difflib.get_close_matches(wanted, self.models, n=1) if wanted else []
        meant = f" (did you mean {near[0]!r}?)" if near else ""
        has = f": it has {', '.join(self.models[:_SHOWN])}; set `model` in [models.{name}]"
        what = f"{lacks}{meant}{has}" if self.models else "has no model: load one there"
        raise ModelProblem("no_model", name, f"{settings.base_url} {what}")

    def _called(self, wanted: str) -> str | None:
        return next((name for name in (wanted, f"{wanted}:latest") if name in self.models), None)

    def _only(self) -> str | None:
        """The one that is meant where none is named; None where that is not clear."""
        for names in (self.loaded or (), self.models):
            if len(names) == 1 or (names and self.dialect in ("llama.cpp", "vllm")):
                return names[0]
        return None


def listed(reply: Reply) -> list[dict[str, Any]] | None:
    """The entries of a `/models` answer; None where it is none. Ollama writes an empty list as null."""
    body = reply.json if reply.status == 200 else None
    if not isinstance(body, dict) or "error" in body:
        return None
    data = body.get("data")
    return [] if data is None and body.get("object") == "list" else _named(data, "id")


async def recognise(reply: Reply, get: Get, kind: Kind) -> Survey | None:
    """Read a `/models` answer, and ask for what only this kind of server has. None where it is no such answer."""
    entries = listed(reply)
    if entries is None:
        return None
    tried = _DIALECTS if kind == "auto" else [_BY_NAME[kind]] if kind in _BY_NAME else []
    for read in tried:
        if (survey := await read(entries, reply, get, kind != "auto")) is not None:
            return survey
    return Survey("openai", _ids(entries))


async def _llama_cpp(entries: list[dict[str, Any]], reply: Reply, get: Get, sure: bool) -> Survey | None:
    if not sure and reply.server != "llama.cpp" and not _owned(entries, "llamacpp"):
        return None
    properties = await get("/props")
    told = mapping(properties.json)
    context = count(mapping(told.get("default_generation_settings")).get("n_ctx"))
    names = _ids(entries)
    return Survey(
        "llama.cpp",
        names,
        version=str(told.get("build_info") or ""),
        contexts=dict.fromkeys(names, context) if context else {},
        slots=count(told.get("total_slots")),
        loading=of_refusal(properties) == "loading",
    )


async def _vllm(entries: list[dict[str, Any]], reply: Reply, get: Get, sure: bool) -> Survey | None:
    del reply
    if not sure and not _owned(entries, "vllm") and not any("max_model_len" in entry for entry in entries):
        return None
    version = mapping((await get("/version")).json).get("version")
    return Survey("vllm", _ids(entries), str(version or ""), contexts=_lengths(entries, "id", "max_model_len"))


async def _ollama(entries: list[dict[str, Any]], reply: Reply, get: Get, sure: bool) -> Survey | None:
    del reply
    version = mapping((await get("/api/version")).json).get("version")
    if not sure and not isinstance(version, str):
        return None
    running = _named(mapping((await get("/api/ps")).json).get("models"), "name") or []
    names = tuple(str(entry["name"]) for entry in running)
    return Survey("ollama", _ids(entries), str(version or ""), names, _lengths(running, "name", "context_length"))


async def _lmstudio(entries: list[dict[str, Any]], reply: Reply, get: Get, sure: bool) -> Survey | None:
    del reply
    newer = _named(mapping((await get("/api/v1/models")).json).get("models"), "key")
    if newer is not None:
        return _lmstudio_newer(newer)
    older = _named(mapping((await get("/api/v0/models")).json).get("data"), "id")
    if older is None or not (sure or all("state" in entry for entry in older)):
        return Survey("lmstudio", _ids(entries)) if sure else None
    models = [entry for entry in older if entry.get("type") != "embeddings"]
    loaded = [entry for entry in models if entry.get("state") == "loaded"]
    return Survey(
        "lmstudio", _ids(models), loaded=_ids(loaded), contexts=_lengths(loaded, "id", "loaded_context_length")
    )


def _lmstudio_newer(models: list[dict[str, Any]]) -> Survey:
    """Each model may be loaded several times, each time under a name and with a context of its own."""
    able = [model for model in models if model.get("type") != "embedding"]
    instances = {
        str(instance["id"]): count(mapping(instance.get("config")).get("context_length"))
        for model in able
        for instance in _named(model.get("loaded_instances"), "id") or []
    }
    names = dict.fromkeys((*(str(model["key"]) for model in able), *instances))
    contexts = {name: context for name, context in instances.items() if context}
    return Survey("lmstudio", tuple(names), loaded=tuple(instances), contexts=contexts)


_BY_NAME = {"llama.cpp": _llama_cpp, "vllm": _vllm, "ollama": _ollama, "lmstudio": _lmstudio}
_DIALECTS = list(_BY_NAME.values())


def mapping(value: Any) -> dict[str, Any]:
    """An object of JSON; an empty one in the place of anything else."""
    return value if isinstance(value, dict) else {}


def _named(entries: Any, key: str) -> list[dict[str, Any]] | None:
    """A list of objects that each have a name; None for anything else."""
    if not isinstance(entries, list):
        return None
    whole = all(isinstance(entry, dict) and isinstance(entry.get(key), str) for entry in entries)
    return entries if whole else None


def _ids(entries: Iterable[dict[str, Any]]) -> tuple[str, ...]:
    return tuple(str(entry["id"]) for entry in entries)


def _owned(entries: Iterable[dict[str, Any]], owner: str) -> bool:
    return any(entry.get("owned_by") == owner for entry in entries)


def _lengths(entries: Iterable[dict[str, Any]], name: str, length: str) -> dict[str, int]:
    return {str(entry[name]): tokens for entry in entries if (tokens := count(entry.get(length)))}


def count(value: Any) -> int | None:
    """A number of things, if it is one."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
