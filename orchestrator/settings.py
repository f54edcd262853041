"""The configuration: `config/orchestrator.toml`, over it `config/local.toml`, over it the environment.

`ORCHESTRATOR_DAEMON__MAX_TASKS=4` sets `daemon.max_tasks`. Unknown keys are errors: a misspelt limit that is
silently ignored is worse than none.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from orchestrator.errors import FatalError
from orchestrator.home import MARKER, Home
from orchestrator.spec import Duration, Id


def _number_from_environment(value: object) -> object:
    """The environment knows only text: a bare number there is milliseconds, as it is in the file."""
    return int(value) if isinstance(value, str) and value.isdigit() else value


Milliseconds = Annotated[Duration, BeforeValidator(_number_from_environment)]


def _place(value: str) -> str:
    if not value.startswith(("/", "~/")) and value != "~":
        raise ValueError(f"{value!r} must begin with / or ~/")
    return value


Place = Annotated[str, AfterValidator(_place)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DaemonSettings(Section):
    max_tasks: int = Field(default_factory=lambda: (os.cpu_count() or 1) * 4, ge=1, le=10_000)
    ageing: Milliseconds = 900_000
    rescan: Milliseconds = 5_000
    settle: Milliseconds = 2_000
    drain_timeout: Milliseconds = 60_000
    needs_timeout: Milliseconds = 86_400_000


class WorkspaceSettings(Section):
    root: str = "."


class StepSettings(Section):
    output_limit: int = Field(10 * 1024 * 1024, ge=64 * 1024)
    path: str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    env: tuple[str, ...] = (
        "HOME",
        "USER",
        "LOGNAME",
        "LANG",
        "LC_ALL",
        "LC_CTYPE",
        "TZ",
        "TMPDIR",
        "TERM",
        "SHELL",
    )
    inherit_path: bool = True


def _hosts(items: tuple[str, ...]) -> tuple[str, ...]:
    if items:
        from orchestrator.hosts import trust  # most homes trust none, and need not know how

        trust(items)
    return items


class HttpSettings(Section):
    trusted_hosts: Annotated[tuple[str, ...], AfterValidator(_hosts)] = ()
    max_bytes: int = Field(100 * 1024 * 1024, ge=1024)
    ca_file: str = ""


class SandboxSettings(Section):
    level: Literal["auto", "bwrap", "landlock", "none"] = "auto"
    require: Literal["none", "landlock", "bwrap"] = "none"
    write: tuple[Place, ...] = ()
    hide: tuple[Place, ...] = ()
    show: tuple[Place, ...] = ()
    open_files: int = Field(0, ge=0)
    processes: int = Field(0, ge=0)


class LogSettings(Section):
    format: Literal["auto", "console", "json"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"
    file: str = ""
    max_bytes: int = Field(16 * 1024 * 1024, ge=64 * 1024)
    keep: int = Field(5, ge=0, le=1000)


class MemorySettings(Section):
    enabled: bool = True


class RetentionSettings(Section):
    days: int = Field(90, ge=0)
    count: int = Field(10_000, ge=0)
    count_per_task: int = Field(100, ge=0)
    telemetry_files: int = Field(200, ge=0)
    every: Milliseconds = 3_600_000


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix="ORCHESTRATOR_", env_nested_delimiter="__"
    )

    daemon: DaemonSettings = DaemonSettings()
    workspace: WorkspaceSettings = WorkspaceSettings()
    steps: StepSettings = StepSettings()
    http: HttpSettings = HttpSettings()
    sandbox: SandboxSettings = SandboxSettings()
    log: LogSettings = LogSettings()
    memory: MemorySettings = MemorySettings()
    retention: RetentionSettings = RetentionSettings()
    pools: dict[Id, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings


def load_settings(home: Home) -> Settings:
    """Read the config of a home. Raises FatalError that names the file and the key."""
    files = [f"{home.root}/{MARKER}", f"{home.config}/local.toml"]
    for file in files:
        try:
            with open(file, "rb") as handle:
                tomllib.load(handle)
        except FileNotFoundError:
            continue
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise FatalError(f"{file}: not valid TOML: {error}", exit_code=2) from error
        except OSError as error:
            raise FatalError(f"{file}: cannot be read: {error.strerror}", exit_code=2) from error
    values = TomlConfigSettingsSource(Settings, toml_file=files, deep_merge=True)()
    try:
        return Settings(**values)
    except ValidationError as error:
        where = f"{MARKER}, config/local.toml or ORCHESTRATOR_… in the environment"
        lines = [f"  {_problem(item['loc'], item['type'], item['msg'])}" for item in error.errors()]
        raise FatalError(f"the configuration is not valid ({where}):\n" + "\n".join(lines), exit_code=2) from error


def _problem(place: tuple[int | str, ...], kind: str, message: str) -> str:
    key = ".".join(map(str, place))
    if kind != "extra_forbidden":
        return f"{key}: {message.removeprefix('Value error, ')}"
    known = Settings.model_fields if len(place) == 1 else _KEYS.get(str(place[0]), ())
    near = difflib.get_close_matches(str(place[-1]), known, n=1)
    return f"{key}: unknown key" + (f" (did you mean {near[0]!r}?)" if near else "")


_KEYS = {
    name: tuple(field.annotation.model_fields)
    for name, field in Settings.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, Section)
}
