"""The configuration: `config/orchestrator.toml`, over it `config/local.toml`, over it the environment.

`ORCHESTRATOR_DAEMON__MAX_TASKS=4` sets `daemon.max_tasks`. Unknown keys are errors: a misspelt limit that is
silently ignored is worse than none.
"""

from __future__ import annotations

import difflib
import os
import re
from string import Template
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from orchestrator.spec import ID_PATTERN, Duration, EnvName, Level, NotifyOn


def _number_from_environment(value: object) -> object:
    """The environment knows only text: a bare number there is milliseconds, as it is in the file."""
    return int(value) if isinstance(value, str) and value.isdigit() else value


Milliseconds = Annotated[Duration, BeforeValidator(_number_from_environment)]


Slots = Annotated[int, Field(strict=True, ge=1), BeforeValidator(_number_from_environment)]


def _pool_names(pools: dict[str, int]) -> dict[str, int]:
    for name in pools:
        if not re.match(ID_PATTERN, name):
            raise ValueError(f"{name!r} is no name for a pool: write letters, digits, `.`, `_` and `-` alone")
    return pools


def _place(value: str) -> str:
    if not value.startswith(("/", "~/")) and value != "~":
        raise ValueError(f"{value!r} must begin with / or ~/")
    return value


Place = Annotated[str, AfterValidator(_place)]


ENV_PREFIX, ENV_SEPARATOR = "ORCHESTRATOR_", "__"


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


class SecretsSettings(Section):
    file: str = "config/secrets.env"
    env: tuple[EnvName, ...] = ()
    keyring: str = ""


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


class NotifyDefault(Section):
    channels: tuple[str, ...] = ()
    on: tuple[NotifyOn, ...] = ("not_ok",)
    level: Level | None = None


def _placeholders(template: str) -> str:
    """A template that names only what a message has; `$$` is a dollar."""
    parsed = Template(template)
    if not parsed.is_valid():
        raise ValueError(
            f"a `$` in {template!r} is neither a placeholder nor doubled: write ${{title}}, or $$ for a dollar"
        )
    for name in parsed.get_identifiers():
        if name not in PLACEHOLDERS:
            near = difflib.get_close_matches(name, PLACEHOLDERS, n=1)
            meant = f" (did you mean ${{{near[0]}}}?)" if near else ""
            raise ValueError(f"no placeholder is called ${{{name}}}{meant}; there are {', '.join(PLACEHOLDERS)}")
    return template


PLACEHOLDERS = (
    "icon", "title", "id", "run", "name", "status", "reason", "duration", "level", "host", "home", "lines", "more",
)  # fmt: skip
MessageTemplate = Annotated[str, StringConstraints(max_length=2_000), AfterValidator(_placeholders)]


class NotifySettings(Section):
    default: NotifyDefault = NotifyDefault()
    title: MessageTemplate = "${icon} ${title}: ${status}"
    body: MessageTemplate = "${reason}\n${duration} on ${host}\n\n${lines}\n\n${more}"
    lines: int = Field(10, ge=0, le=100)
    give_up: Milliseconds = 86_400_000


_KEYS_OF_KIND: dict[str, tuple[set[str], set[str]]] = {
    "apprise": ({"url"}, set()),
    "webhook": ({"url"}, {"secret", "headers"}),
    "command": ({"command"}, {"env"}),
    "desktop": (set(), set()),
}
"""Which keys a kind of channel needs, and which others it may have beside those of all kinds."""


class ChannelSettings(Section):
    """`url`, `secret` and `headers` may hold `${NAME}`, which is looked up when a message is sent."""

    kind: Literal["apprise", "webhook", "command", "desktop"]
    url: tuple[SecretStr, ...] = ()
    secret: SecretStr | None = None
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    command: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    level: Level = "debug"
    troubles: bool = False
    per_minute: int = Field(6, ge=1, le=600)
    timeout: Milliseconds = 20_000
    title: MessageTemplate | None = None
    body: MessageTemplate | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_or_several(cls, values: object) -> object:
        """`urls = [..]` is `url` for several receivers of one channel."""
        if not isinstance(values, dict):
            return values
        values = dict(values)
        if "urls" in values:
            if "url" in values:
                raise ValueError("`url` and `urls` exclude each other")
            values["url"] = values.pop("urls")
        if isinstance(values.get("url"), str):
            values["url"] = (values["url"],)
        return values

    @model_validator(mode="after")
    def _keys_fit_the_kind(self) -> ChannelSettings:
        needed, allowed = _KEYS_OF_KIND[self.kind]
        own = {key for need, may in _KEYS_OF_KIND.values() for key in need | may}
        if lacking := sorted(key for key in needed if not getattr(self, key)):
            raise ValueError(f"a channel of the kind {self.kind} needs `{lacking[0]}`")
        if alien := sorted((self.model_fields_set & own) - needed - allowed):
            raise ValueError(f"`{alien[0]}` is not for a channel of the kind {self.kind}")
        return self


def _base_url(value: str) -> str:
    from orchestrator.hosts import parse  # most homes have no model, and need not know how

    parse(value)
    return value.rstrip("/")


class ModelSettings(Section):
    """One model on one server. `base_url` is what the server's OpenAI-compatible paths begin with; `model` its own name
    of the model, empty: the one that it has. `context` and `max_tokens` are in tokens; a context of 0 is asked of the
    server. `kind` is recognised where it is `auto`."""

    base_url: Annotated[str, AfterValidator(_base_url)] = "http://127.0.0.1:1234/v1"
    model: str = ""
    kind: Literal["auto", "llama.cpp", "lmstudio", "ollama", "vllm", "openai"] = "auto"
    slots: int = Field(1, ge=1, le=1_000)
    context: int = Field(0, ge=0)
    max_tokens: int = Field(2_048, ge=16)
    temperature: float = Field(0.2, ge=0, le=2)
    api_key: SecretStr | None = None
    connect_timeout: Milliseconds = 3_000
    first_token_timeout: Milliseconds = 300_000
    idle_timeout: Milliseconds = 60_000
    timeout: Milliseconds = 600_000


class CodingSettings(Section):
    """How local code tasks are done. `models` is the chain of those that name none."""

    models: tuple[str, ...] = Field(("default",), min_length=1)
    classify: Literal["rules", "model", "off"] = "rules"
    classifier: str = ""
    large_context: Literal["outline", "refuse"] = "outline"
    test_timeout: Milliseconds = 300_000


DEFAULT_MODEL = "default"
LOG_CHANNEL = "log"
ModelName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
ChannelName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]


def _not_the_log(channels: dict[str, ChannelSettings]) -> dict[str, ChannelSettings]:
    if LOG_CHANNEL in channels:
        raise ValueError(f"the channel `{LOG_CHANNEL}` is always there: it is the daemon's log; choose another name")
    return channels


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix=ENV_PREFIX, env_nested_delimiter=ENV_SEPARATOR
    )

    daemon: DaemonSettings = DaemonSettings()
    workspace: WorkspaceSettings = WorkspaceSettings()
    steps: StepSettings = StepSettings()
    http: HttpSettings = HttpSettings()
    sandbox: SandboxSettings = SandboxSettings()
    secrets: SecretsSettings = SecretsSettings()
    log: LogSettings = LogSettings()
    memory: MemorySettings = MemorySettings()
    retention: RetentionSettings = RetentionSettings()
    pools: Annotated[dict[str, Slots], AfterValidator(_pool_names)] = Field(default_factory=dict)
    models: dict[ModelName, ModelSettings] = Field(default_factory=lambda: {DEFAULT_MODEL: ModelSettings()})
    coding: CodingSettings = CodingSettings()
    notify: NotifySettings = NotifySettings()
    channels: Annotated[dict[ChannelName, ChannelSettings], AfterValidator(_not_the_log)] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _default_channels_are_there(self) -> Settings:
        for name in self.notify.default.channels:
            if name != LOG_CHANNEL and name not in self.channels:
                near = difflib.get_close_matches(name, self.channels, n=1)
                meant = f" (did you mean {near[0]!r}?)" if near else ""
                raise ValueError(f"notify.default.channels: there is no [channels.{name}]{meant}")
        return self

    @model_validator(mode="after")
    def _models_of_code_tasks_are_there(self) -> Settings:
        said = [("models", name) for name in self.coding.models] if "models" in self.coding.model_fields_set else []
        for key, name in (*said, ("classifier", self.coding.classifier)):
            if name and name not in self.models:
                near = difflib.get_close_matches(name, self.models, n=1)
                meant = f" (did you mean {near[0]!r}?)" if near else ""
                raise ValueError(f"coding.{key}: there is no [models.{name}]{meant}")
        return self

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
