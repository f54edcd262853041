"""Reads a home's configuration, and says of each mistake in which file and line, or in which variable, it stands."""

from __future__ import annotations

import difflib
import os
import tomllib

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsError, TomlConfigSettingsSource

from orchestrator.errors import FatalError
from orchestrator.home import MARKER, Home
from orchestrator.settings import ENV_PREFIX, ENV_SEPARATOR, ChannelSettings, ModelSettings, Settings
from orchestrator.toml_lines import line_of


def load_settings(home: Home) -> Settings:
    """Read the config of a home. Raises FatalError that names file, line and key of each mistake."""
    files = [f"{home.root}/{MARKER}", f"{home.config}/local.toml"]
    texts = {file: text for file in files if (text := _text(file)) is not None}
    values = TomlConfigSettingsSource(Settings, toml_file=files, deep_merge=True)()
    try:
        return Settings(**values)
    except ValidationError as error:
        lines = [f"  {_where(item, texts)}{_problem(item)}" for item in error.errors()]
        raise FatalError("the configuration is not valid:\n" + "\n".join(lines), exit_code=2) from error
    except SettingsError as error:
        message = f"the environment is not valid: {error} (a list or mapping in an ORCHESTRATOR_… variable is JSON)"
        raise FatalError(message, exit_code=2) from error


def _text(file: str) -> str | None:
    """What a file holds, None where there is none."""
    try:
        with open(file, "rb") as handle:
            text = handle.read().decode()
        tomllib.loads(text)
    except FileNotFoundError:
        return None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FatalError(f"{file}: not valid TOML: {error}", exit_code=2) from error
    except OSError as error:
        raise FatalError(f"{file}: cannot be read: {error.strerror}", exit_code=2) from error
    return text


def _where(item: ErrorDetails, texts: dict[str, str]) -> str:
    """Who has the last word on a key: the environment, else the later file; of a key that is missing, its section's."""
    place = item["loc"] or tuple(_sentence(item).partition(":")[0].split("."))  # a check of several keys names one
    variables = {name.upper(): name for name in os.environ}
    for depth in range(len(place), 0, -1):
        parts = [str(part) for part in place[:depth]]
        if variable := variables.get((ENV_PREFIX + ENV_SEPARATOR.join(parts)).upper()):
            return f"{variable} in the environment: "
        for file, text in reversed(texts.items()):
            if line := line_of(text, place[:depth]):
                return f"{file}:{line}: "
    return ""


def _sentence(item: ErrorDetails) -> str:
    return item["msg"].removeprefix("Value error, ").replace("Input should be", "must be", 1)


def _problem(item: ErrorDetails) -> str:
    place, kind = item["loc"], item["type"]
    key = ".".join(map(str, place))
    if kind in ("model_type", "dict_type"):
        section = f"{place[0]}.NAME" if len(place) > 1 and kind == "model_type" else key
        return f"{key}: must stand in a section of its own: write [{section}]"
    if kind == "too_short":
        return f"{key}: must not be empty"
    if kind != "extra_forbidden":
        return f"{key}: {_sentence(item)}" if key else _sentence(item)
    near = difflib.get_close_matches(str(place[-1]), _keys(place[:-1]), n=1)
    return f"{key}: unknown key" + (f" (did you mean {near[0]!r}?)" if near else "")


def _keys(place: tuple[int | str, ...]) -> tuple[str, ...]:
    """The keys that may stand at a place of the configuration."""
    if place[:1] == ("channels",):
        return (*ChannelSettings.model_fields, "urls")
    if place[:1] == ("models",):
        return tuple(ModelSettings.model_fields)
    section: type[BaseModel] = Settings
    for part in place:
        annotation = section.model_fields[str(part)].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return ()
        section = annotation
    return tuple(section.model_fields)
