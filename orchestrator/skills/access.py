"""What a manifest says about the sandbox, as absolute paths for one workspace."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping

from orchestrator.errors import TaskError
from orchestrator.outcome import Access
from orchestrator.skills.manifest import PLACEHOLDER
from orchestrator.skills.skill import Skill

_OPEN = Access()


def access_of(skill: Skill, workspace: str, environ: Mapping[str, str]) -> Access:
    """`environ` is the daemon's; a path that names a variable which is not set there falls away.

    Raises TaskError("invalid") where a variable does not hold an absolute path."""
    manifest = skill.manifest
    if not (manifest.write or manifest.hide or manifest.show):
        return _OPEN if manifest.network else Access(network=False)
    names = _variables(skill)
    return _resolve(skill, workspace, tuple(environ.get(name) for name in names))


@functools.lru_cache(maxsize=64)
def _variables(skill: Skill) -> tuple[str, ...]:
    manifest = skill.manifest
    found = [name for path in (*manifest.write, *manifest.hide, *manifest.show) for name in PLACEHOLDER.findall(path)]
    return ("HOME", *dict.fromkeys(name.removeprefix("env.") for name in found if name.startswith("env.")))


@functools.lru_cache(maxsize=256)
def _resolve(skill: Skill, workspace: str, values: tuple[str | None, ...]) -> Access:
    environ = dict(zip(_variables(skill), values, strict=True))
    places = {"workspace": workspace, "skill": skill.folder}
    places |= {f"env.{name}": value for name, value in environ.items() if value}

    def paths(templates: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(path for template in templates if (path := _path(template, places, skill.name)))

    manifest = skill.manifest
    return Access(paths(manifest.write), manifest.network, paths(manifest.hide), paths(manifest.show))


def _path(template: str, places: Mapping[str, str], skill: str) -> str:
    """Empty where it names what is not there."""
    if template.startswith("~/"):
        template = "{env.HOME}" + template[1:]
    if any(name and name not in places for name in PLACEHOLDER.findall(template)):
        return ""
    path = PLACEHOLDER.sub(lambda found: places[found[1]] if found[1] else found[0][0], template)
    if not os.path.isabs(path):
        raise TaskError("invalid", f"skill `{skill}`: {template} became {path!r}, which is not an absolute path")
    return os.path.normpath(path)
