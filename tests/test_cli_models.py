"""`models`, and doctor's word about them: what a person sees of the servers there are."""

import json

import dialects
import pytest
from conftest import House
from typer.testing import CliRunner

from orchestrator.cli import models
from orchestrator.cli.app import app
from orchestrator.cli.doctor import CHECKS, home_checks


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A home, and no server at the well-known ports, whatever runs on this machine."""
    monkeypatch.setattr(models, "WELL_KNOWN", {"ollama": 9})
    monkeypatch.setenv("COLUMNS", "300")
    return House(tmp_path)


@pytest.fixture
def other():
    server = dialects.ollama(("b:1", "a:7b"), running=())
    yield server
    server.close()


def configure(place, **servers):
    lines = [f"[models.{name}]\nbase_url = {url!r}\n" for name, url in servers.items()]
    (place.root / "config/local.toml").write_text("\n".join(lines))


def invoke(place, *arguments):
    return CliRunner().invoke(app, ["--home", str(place.root), *arguments])


def test_a_server_that_answers_is_shown_with_all_that_it_says(place, llama):
    configure(place, default=llama.base_url)
    answer = invoke(place, "models")
    assert answer.exit_code == 0, answer.output
    assert f"default  ready    llama.cpp b1-sdist at {llama.base_url}" in answer.stdout
    assert "asks scripted (context 4096 tokens, 2 slots); it has scripted" in answer.stdout


def test_a_test_question_is_really_asked(place, llama):
    configure(place, default=llama.base_url, gone="http://127.0.0.1:9/v1")
    answer = invoke(place, "models", "--test")
    assert answer.exit_code == 0, answer.output
    assert "answered “I am sorry, I cannot help with that.”" in answer.stdout
    told = json.loads(invoke(place, "models", "default", "--test", "--json").stdout)["models"]
    assert [state["name"] for state in told] == ["default"]
    assert told[0]["test"]["ok"]
    assert told[0]["test"]["measured"]


def test_a_server_without_the_model_that_the_config_names_is_not_called_ready(place, llama):
    configure(place, default=llama.base_url)
    with (place.root / "config/local.toml").open("a") as local:
        local.write('model = "other"\n')
    answer = invoke(place, "models")
    assert (answer.exit_code, answer.stdout.partition("  llama.cpp")[0]) == (75, "default  unfit  ")
    assert "has no model 'other': it has scripted; set `model` in [models.default]" in answer.stdout


def test_a_model_whose_answers_may_fill_its_context_is_told_before_a_task_meets_it(place, llama):
    configure(place, default=llama.base_url)
    with (place.root / "config/local.toml").open("a") as local:
        local.write("max_tokens = 4096\n")
    answer = invoke(place, "models", "--json")
    assert (answer.exit_code, "no code task fits default: its context has 4,096 tokens" in answer.stderr) == (0, True)
    assert [finding.level for finding in home_checks.models(place.home)] == ["ok", "warn"]


def test_where_none_answers_each_is_told_why_and_the_code_is_75(place, other):
    configure(place, default="http://127.0.0.1:9/v1", small=f"{other.root}/v2")
    answer = invoke(place, "models")
    assert answer.exit_code == 75
    assert "default  down     no model server answers at http://127.0.0.1:9/v1: Connection refused" in answer.stdout
    assert f'set base_url = "{other.base_url}" in [models.small]' in answer.stdout
    assert "docs/models.md" in answer.stderr


def test_a_server_at_a_well_known_port_is_offered_with_the_lines_that_it_takes(place, other, monkeypatch):
    monkeypatch.setattr(models, "WELL_KNOWN", {"ollama": other.server_port, "vllm": 9})
    configure(place, default="http://127.0.0.1:9/v1")
    answer = invoke(place, "models")
    assert answer.exit_code == 75
    offered = answer.stdout.partition("add to config/local.toml:\n")[2]
    with (place.root / "config/local.toml").open("a") as local:
        local.write(offered)
    told = json.loads(invoke(place, "models", "--json").stdout)
    assert told["found"] == []
    assert [(state["name"], state["model"]) for state in told["models"]][1:] == [("ollama", "b:1")]


def test_an_unknown_name_is_told_with_the_nearest(place):
    answer = invoke(place, "models", "defalt")
    assert answer.exit_code == 2
    assert "Did you mean 'default'?" in answer.stderr


def test_a_key_that_is_a_secret_s_name_is_looked_up_and_never_shown(place, other):
    configure(place, default=other.base_url)
    with (place.root / "config/local.toml").open("a") as local:
        local.write('model = "b:1"\napi_key = "${MODEL_KEY}"\n')
    answer = invoke(place, "models")
    assert answer.exit_code == 75
    assert "`orchestrator secrets set MODEL_KEY`" in answer.stdout
    secrets = place.root / "config/secrets.env"
    secrets.write_text("MODEL_KEY=very-secret\n")
    secrets.chmod(0o600)
    answer = invoke(place, "models", "--json")
    assert answer.exit_code == 0, answer.output
    assert other.keys == {"Bearer very-secret"}
    assert "very-secret" not in answer.output


def test_doctor_says_whether_a_model_server_answers_and_warns_only_of_one_that_was_asked_for(place, llama):
    assert home_checks.models in CHECKS
    configure(place, default=llama.base_url, small="http://127.0.0.1:9/v1")
    default, small = home_checks.models(place.home)
    assert (default.level, small.level) == ("ok", "warn")
    assert default.text == f"default: llama.cpp b1-sdist at {llama.base_url}, ready, with scripted"
    assert "no model server answers at http://127.0.0.1:9/v1" in small.text
    (place.root / "config/local.toml").unlink()
    assert [finding.level for finding in home_checks.models(place.home)] == ["ok"]
