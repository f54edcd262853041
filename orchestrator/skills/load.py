"""The skills of a home, read once: `skills/<name>/skill.toml`."""

from __future__ import annotations

import difflib
import hashlib
import os
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from pydantic import ValidationError

from orchestrator.errors import FatalError, TaskError
from orchestrator.skills.manifest import Input, Manifest
from orchestrator.skills.skill import Skill
from orchestrator.toml_lines import line_near

MANIFEST = "skill.toml"


class Skills:
    """The skills of a home, by name. A collection of their names; `digest` is a SHA-256 over the manifests, `limits`
    how many tasks may use those that have such a limit at once."""

    __slots__ = ("_skills", "digest", "limits")

    def __init__(self, skills: Mapping[str, Skill], digest: str = "") -> None:
        self._skills = dict(sorted(skills.items()))
        self.limits = {
            name: limit for name, skill in self._skills.items() if (limit := skill.manifest.concurrency) is not None
        }
        self.digest = digest

    def names(self) -> frozenset[str]:
        return frozenset(self._skills)

    def get(self, name: str) -> Skill:
        """The skill of that name. Raises TaskError("invalid") that names the nearest one."""
        try:
            return self._skills[name]
        except KeyError:
            near = difflib.get_close_matches(name, self._skills, 1)
            hint = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(self._skills) or 'none'}"
            raise TaskError("invalid", f"there is no skill `{name}` in skills/: {hint}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._skills)

    def __len__(self) -> int:
        return len(self._skills)

    def __contains__(self, name: object) -> bool:
        return name in self._skills


def load_skills(folder: str) -> Skills:
    """Read every `skills/<name>/skill.toml`. Folders whose names begin with `.` or `_` are left alone.

    Raises FatalError that lists every mistake in every manifest by file and key.
    """
    folder = os.path.abspath(folder)
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and entry.name[0] not in "._")
    except OSError as error:
        raise FatalError(
            f"{folder}: the skills folder cannot be read ({error.strerror}); `orchestrator init` makes one",
            exit_code=2,
        ) from error
    digest, problems, skills = hashlib.sha256(), [], {}
    for name in names:
        file = f"{folder}/{name}/{MANIFEST}"
        try:
            content, manifest = _read(file)
        except ValueError as error:
            problems += [f"{file}:{line}" for line in str(error).splitlines()]
            continue
        if manifest.name != name:
            problems.append(f"{file}: name: is `{manifest.name}`, but must be the folder's name, `{name}`")
        digest.update(b"%s:%d:" % (name.encode(), len(content)) + content)
        skills[name] = Skill(manifest, f"{folder}/{name}")
    if problems:
        lines = "\n".join(f"  {line}" for line in problems)
        raise FatalError(
            f"the skills are not valid; correct these files, or move their folders away:\n{lines}", exit_code=2
        )
    return Skills(skills, digest.hexdigest())


def _read(file: str) -> tuple[bytes, Manifest]:
    """Raises ValueError with what stands behind the file's name, one line for each mistake."""
    try:
        with open(file, "rb") as handle:
            content = handle.read()
        # By way of JSON, because strict mode takes a list for a tuple only from there.
        text = content.decode()
        return content, Manifest.model_validate_json(orjson.dumps(tomllib.loads(text)))
    except FileNotFoundError:
        raise ValueError(f" is missing; a skill's folder holds a {MANIFEST}") from None
    except OSError as error:
        raise ValueError(f" cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f" is not valid TOML: {error}") from error
    except ValidationError as error:
        raise ValueError("\n".join(_problem(item, text) for item in error.errors())) from error
    except TypeError as error:
        raise ValueError(f" holds a value that a manifest cannot have: {error}") from error


def _problem(item: Any, text: str) -> str:
    line = line_near(text, item["loc"])
    return (f"{line}: " if line else " ") + _sentence(item)


def _sentence(item: Any) -> str:
    key = ".".join(map(str, item["loc"]))
    if item["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(item["loc"][-1]), (*Manifest.model_fields, *Input.model_fields), 1)
        return f"{key}: unknown key" + (f"; did you mean `{near[0]}`?" if near else "")
    if item["type"] == "missing":
        return f"{key}: is missing"
    message = str(item["msg"]).removeprefix("Value error, ")
    return f"{key}: {message}" if key else message
