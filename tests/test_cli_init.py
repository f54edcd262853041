"""`init`, and the seed that it plants."""

import json
import os
import stat
from pathlib import Path

import pytest
from conftest import House
from typer.testing import CliRunner

from orchestrator import seed
from orchestrator.cli.app import app
from orchestrator.home import Home
from orchestrator.sandbox import probe


def invoke(*arguments, **options):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], **options)


def test_init_makes_a_whole_home_with_private_folders(tmp_path):
    answer = invoke("init", tmp_path / "h")
    assert answer.exit_code == 0, answer.output
    home = Home(str(tmp_path / "h"))
    assert home.exists()
    assert Path(home.skills, "bash", "skill.toml").is_file()
    for folder in home.private_folders():
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700, folder


def test_init_again_keeps_what_a_person_changed_and_says_so(tmp_path):
    invoke("init", tmp_path)
    config = tmp_path / "config/orchestrator.toml"
    config.write_text("# mine\n")
    (tmp_path / "skills/bash/skill.toml").unlink()
    answer = invoke("init", tmp_path, "--json")
    assert json.loads(answer.stdout)["made"] == ["skills/bash/skill.toml"]
    assert json.loads(answer.stdout)["kept"] == ["config/orchestrator.toml"]
    assert config.read_text() == "# mine\n"
    assert "kept config/orchestrator.toml" in invoke("init", tmp_path).stderr


def test_init_without_a_folder_uses_the_home_that_is_named(tmp_path):
    assert invoke("--home", tmp_path / "h", "init").exit_code == 0
    assert Home(str(tmp_path / "h")).exists()


def test_init_says_what_stands_in_the_way(tmp_path):
    (tmp_path / "queue").write_text("a file")
    answer = invoke("init", tmp_path)
    assert answer.exit_code == 2
    assert "a file stands where a folder has to be" in answer.stderr


def test_the_seed_never_carries_a_persons_own_overrides_or_an_importable_folder(tmp_path, monkeypatch):
    root = tmp_path / "checkout"
    for path in ("config/orchestrator.toml", "config/local.toml", "skills/x/__init__.py", "skills/x/skill.toml"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("")
    monkeypatch.setattr(seed, "seed_root", lambda: str(root))
    planted = seed.plant(Home(str(tmp_path / "h")))
    assert sorted(planted.made) == ["config/orchestrator.toml", "skills/x/skill.toml"]


def test_doctor_passes_a_new_home_and_names_what_is_wrong_with_a_broken_one(house: House):
    good = invoke("--home", house.root, "doctor", "--json")
    assert good.exit_code == 0, good.output
    by_subject = {finding["subject"]: finding for finding in json.loads(good.stdout)["findings"]}
    assert by_subject["folders"]["level"] == "ok"
    assert by_subject["sandbox"]["text"].startswith(f"level {probe().best}")

    (house.root / "config/local.toml").write_text("[daemon]\nmax_tsaks = 2\n")
    os.chmod(house.home.inbox, 0o755)
    (house.root / "state/memory.db").write_bytes(b"this is no database" * 100)
    bad = invoke("--home", house.root, "doctor", "--json")
    assert bad.exit_code == 1
    wrong = {f["subject"]: f for f in json.loads(bad.stdout)["findings"] if f["level"] != "ok"}
    assert "max_tsaks" in wrong["config"]["text"]
    assert "chmod 700" in wrong["folders"]["advice"]
    assert wrong["memory"]["level"] == "fail"


def test_doctor_names_the_rules_that_a_home_has_loosened(house: House):
    shipped = Path(house.home.policy) / "10-files.toml"
    shipped.write_text(shipped.read_text() + "# mine\n")
    (Path(house.home.policy) / "90-mine.toml").write_text(
        '[[rule]]\nid = "git.push"\noverride = true\neffect = "points"\npoints = 5\nreason = "my own remote"\n'
        'when = { command = ["git"], subcommand = ["push"] }\nmatch = ["git push"]\n'
    )
    said = [
        item
        for item in json.loads(invoke("--home", house.root, "doctor", "--json").stdout)["findings"]
        if item["subject"] == "policy"
    ]
    assert [item["level"] for item in said] == ["ok", "warn", "warn"]
    assert said[1]["text"].endswith("git.push (was +20; now +5, in 90-mine.toml)")
    assert said[2]["text"].endswith("policy/10-files.toml")


def test_doctor_shows_every_mistake_of_a_config_on_a_line_of_its_own_with_the_nearest_key(house: House):
    (house.root / "config/local.toml").write_text("[daemon]\nmax_tsaks = 2\n[lgo]\nlevel = 1\n")
    lines = [line.strip() for line in invoke("--home", house.root, "doctor").stdout.splitlines()]
    local = house.root / "config/local.toml"
    assert f"{local}:2: daemon.max_tsaks: unknown key (did you mean 'max_tasks'?)" in lines
    assert f"{local}:3: lgo: unknown key (did you mean 'log'?)" in lines


@pytest.mark.skipif(os.geteuid() == 0, reason="root can write everywhere")
def test_doctor_fails_a_home_that_this_user_cannot_write(house: House):
    os.chmod(house.home.inbox, 0o500)
    answer = invoke("--home", house.root, "doctor", "--json")
    assert answer.exit_code == 1
    (folders,) = [f for f in json.loads(answer.stdout)["findings"] if f["subject"] == "folders"]
    assert "queue/inbox" in folders["text"]


def test_prime_fits_on_a_page():
    page = invoke("prime").stdout
    assert len(page.splitlines()) <= 60
    assert "submit --wait" in page
    assert "Exit codes" in page
