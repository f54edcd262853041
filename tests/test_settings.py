"""The configuration: files, environment, and what is wrong with them."""

import re
import tomllib
from pathlib import Path

import pytest

from orchestrator.configuration import load_settings
from orchestrator.errors import FatalError
from orchestrator.home import Home
from orchestrator.seed import plant
from orchestrator.settings import CodingSettings, ModelSettings


@pytest.fixture
def home(tmp_path):
    home = Home(str(tmp_path))
    plant(home)
    return home


def write(home, name, text):
    (Path(home.config) / name).write_text(text)


def test_the_shipped_file_shows_only_defaults(home):
    shipped = load_settings(home)
    write(home, "orchestrator.toml", "")
    assert load_settings(home) == shipped


@pytest.mark.parametrize(("section", "made"), [("models.default", ModelSettings()), ("coding", CodingSettings())])
def test_the_shipped_file_shows_every_key_of_a_model_and_of_code_tasks(section, made):
    shipped = (Path(__file__).parent.parent / "config/orchestrator.toml").read_text()
    shown = shipped.partition(f"[{section}]")[2].partition("\n[")[0]
    values = tomllib.loads("\n".join(line.removeprefix("# ") for line in shown.splitlines()[1:]))
    assert set(values) == set(type(made).model_fields)
    values.pop("api_key", None)  # an example: there is none by default
    assert type(made)(**values) == made


def test_local_overrides_the_file_and_the_environment_overrides_both(home, monkeypatch):
    write(home, "orchestrator.toml", "[daemon]\nmax_tasks = 3\nrescan = '9s'\nsettle = 700\n")
    write(home, "local.toml", "[daemon]\nmax_tasks = 4\nrescan = 100\n")
    monkeypatch.setenv("ORCHESTRATOR_DAEMON__MAX_TASKS", "5")
    daemon = load_settings(home).daemon
    assert (daemon.max_tasks, daemon.rescan, daemon.settle) == (5, 100, 700)


def test_a_pool_in_the_environment_stands_beside_those_in_the_files(home, monkeypatch):
    write(home, "local.toml", "[pools]\ngpu = 1\ndisk = 3\n")
    monkeypatch.setenv("ORCHESTRATOR_POOLS__GPU", "2")
    assert load_settings(home).pools == {"gpu": 2, "disk": 3}


@pytest.mark.parametrize(("text", "expected"), [("250", 250), ("250ms", 250), ("2m", 120_000)])
def test_a_duration_in_the_environment_is_milliseconds_or_has_a_unit(home, monkeypatch, text, expected):
    monkeypatch.setenv("ORCHESTRATOR_DAEMON__DRAIN_TIMEOUT", text)
    assert load_settings(home).daemon.drain_timeout == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[daemon]\nmax_task = 3\n", "daemon.max_task"),
        ("[daemon\n", "not valid TOML"),
        ("[daemon]\nmax_tasks = 0\n", "daemon.max_tasks"),
        ("[daemon]\nrescan = 'soon'\n", "daemon.rescan"),
        ("[nonsense]\n", "nonsense"),
        ("[pools]\ngpu = 0\n", "pools.gpu: .*greater"),
        ("[pools]\ngpu = true\n", "pools.gpu: "),
        ("[pools]\n'gpu 0' = 1\n", "pools: 'gpu 0' is no name for a pool"),
        ("[pool]\ngpu = 1\n", "pool: unknown key [(]did you mean 'pools'"),
        ("[channels.team]\nkind = 'webhook'\nurll = 'x'\n", "channels.team.urll: unknown key [(]did you mean 'url'"),
        ("[channels.team]\nkind = 'webhook'\n", "channels.team: a channel of the kind webhook needs `url`"),
        ("[channels.team]\nkind = 'desktop'\nurl = 'x'\n", "`url` is not for a channel of the kind desktop"),
        ("[channels.log]\nkind = 'desktop'\n", "the channel `log` is always there"),
        ("[channels.team]\nkind = 'desktop'\n[notify.default]\nchannels = ['teem']\n", "did you mean 'team'"),
        ("[notify]\nbody = '${titel}'\n", "no placeholder is called [$]{titel} [(]did you mean [$]{title}"),
        ("[notify]\nbody = '5 $'\n", "neither a placeholder nor doubled"),
        ("[notify.default]\non = ['faild']\n", "notify.default.on"),
        ("[models.small]\nmodle = 'x'\n", "models.small.modle: unknown key [(]did you mean 'model'"),
        ("[models.small]\nbase_url = 'localhost:1234'\n", "models.small.base_url: .* is not an absolute URL"),
        ("[models.small]\nkind = 'llama'\n", "models.small.kind"),
        ("[models.small]\nslots = 0\n", "models.small.slots"),
        ("[models.small]\n[coding]\nmodels = ['smal']\n", "coding.models: there is no .models.smal. [(]did you mean"),
        ("[models]\nbase_url = 'http://x/v1'\n", r"models.base_url: must stand in .*: write \[models.NAME\]"),
        ("coding = 3\n", r"coding: must stand in .*: write \[coding\]"),
        ("[coding]\nmodels = []\n", "coding.models: must not be empty"),
        ("[coding]\nclassify = 'modell'\n", "coding.classify: must be 'rules', 'model' or 'off'"),
        ("[coding]\nclassifier = 'x'\n", "coding.classifier: there is no .models.x."),
    ],
)
def test_a_mistake_in_the_file_is_named_and_nothing_is_guessed(home, text, said):
    write(home, "orchestrator.toml", text)
    with pytest.raises(FatalError, match=said) as raised:
        load_settings(home)
    assert raised.value.exit_code == 2


@pytest.mark.parametrize(
    ("shared", "local", "said"),
    [
        ("[daemon]\nmax_tasks = 0\n", "", "orchestrator.toml:2: daemon.max_tasks"),
        ("[daemon]\nmax_tasks = 0\n", "[daemon]\n\n# fewer\nmax_tasks = -1\n", "local.toml:4: daemon.max_tasks"),
        ("[daemon]\nmax_tasks = 0\n", "[daemon]\nrescan = 1\n", "orchestrator.toml:2: daemon.max_tasks"),
        ("daemon.max_tasks = 0\n", "", "orchestrator.toml:1: daemon.max_tasks"),
        ("[coding]\n\nmodels = [\n  'b',\n]\n", "", "orchestrator.toml:3: coding.models: there is no"),
        (
            "",
            "\n[channels.x]\nkind = 'webhook'\n",
            "local.toml:2: channels.x: a channel of the kind",
        ),
        ('[notify]\nbody = """\n[coding]\n5 $"""\n', "", "orchestrator.toml:2: notify.body"),
    ],
)
def test_a_mistake_is_shown_with_the_file_and_the_line_that_have_the_last_word(home, shared, local, said):
    write(home, "orchestrator.toml", shared)
    write(home, "local.toml", local)
    with pytest.raises(FatalError, match=re.escape(said)):
        load_settings(home)


def test_a_mistake_in_the_environment_is_shown_with_its_variable(home, monkeypatch):
    write(home, "local.toml", "[daemon]\nmax_tasks = 2\n")
    monkeypatch.setenv("orchestrator_daemon__MAX_TASKS", "0")
    with pytest.raises(FatalError, match="orchestrator_daemon__MAX_TASKS in the environment: "):
        load_settings(home)


def test_the_secrets_of_channels_are_in_no_text_that_could_be_logged(home):
    write(
        home,
        "local.toml",
        "[channels.team]\nkind = 'webhook'\nurls = ['http://h/hidden-a', 'http://h/hidden-b']\nsecret = 'hidden-c'\n"
        "headers = {Authorization = 'hidden-d'}\n",
    )
    settings = load_settings(home)
    assert [url.get_secret_value()[-1] for url in settings.channels["team"].url] == ["a", "b"]
    assert "hidden" not in f"{settings!r}{settings}"
    write(
        home, "local.toml", "[channels.team]\nkind = 'webhook'\nurl = 'http://h/hidden'\nurls = ['http://h/hidden']\n"
    )
    with pytest.raises(FatalError, match="`url` and `urls` exclude each other") as raised:
        load_settings(home)
    assert "hidden" not in str(raised.value)


def test_a_list_in_the_environment_that_is_no_json_is_named(home, monkeypatch):
    monkeypatch.setenv("ORCHESTRATOR_STEPS__ENV", "HOME")
    with pytest.raises(FatalError, match="a list or mapping in an ORCHESTRATOR_… variable is JSON"):
        load_settings(home)
