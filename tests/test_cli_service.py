"""`orchestrator service` on a machine where no systemd runs: what is written, what is left alone, what is said."""

import json
import os
import plistlib
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from conftest import House, require
from typer.testing import CliRunner

from orchestrator.cli.app import app
from orchestrator.sandbox import probe


class Desk:
    """A home, and a user's folder for units."""

    def __init__(self, house, folder):
        self.house = house
        self.config = folder / "config"
        self.units = self.config / "systemd/user"
        self.unit = self.units / "orchestrator.service"
        self.timer = self.units / "orchestrator.timer"

    def service(self, *words, env=None, house=None):
        environment = {"XDG_CONFIG_HOME": str(self.config), "XDG_RUNTIME_DIR": "", **(env or {})}
        command = ["--home", str((house or self.house).root), "service", *words]
        return CliRunner().invoke(app, command, env=environment)

    def install(self, *words, **options):
        return self.service("install", "--user", "--no-start", *words, **options)

    def status(self):
        ran = self.service("status", "--user", "--json")
        assert ran.exit_code == 75, ran.stderr  # no daemon runs here
        return json.loads(ran.stdout)


@pytest.fixture
def desk(house, tmp_path):
    return Desk(house, tmp_path)


def refused(answer, *sentences):
    assert answer.exit_code == 2, answer.stdout
    for sentence in sentences:
        assert sentence in answer.stderr
    return True


def test_a_service_is_installed_once_and_uninstalled_without_a_trace(desk):
    first = desk.install()
    assert (first.exit_code, first.stdout) == (0, f"wrote {desk.unit}\n"), first.stderr
    assert "systemctl --user enable --now orchestrator.service" in first.stderr
    assert desk.unit.stat().st_mode & 0o777 == 0o644
    before = desk.unit.stat().st_mtime_ns
    assert desk.install().stdout == f"unchanged {desk.unit}\n"
    assert desk.unit.stat().st_mtime_ns == before
    status = desk.status()
    assert (status["installed"], status["serves"], status["home"]) == (True, False, str(desk.house.root))
    assert status["files"] == [{"path": str(desk.unit), "state": "as it would be written now"}]
    mine = desk.units / "orchestrator.service.d/mine.conf"
    mine.parent.mkdir()
    mine.write_text("[Service]\nMemoryMax=2G\n")
    assert desk.status()["drop_ins"] == [str(mine)]
    gone = desk.service("uninstall", "--user")
    assert (gone.exit_code, gone.stdout) == (0, f"removed {desk.unit}\n")
    assert f"kept {mine}" in gone.stderr
    assert [path for path in desk.units.rglob("*") if path.is_file()] == [mine]
    assert desk.service("uninstall", "--user").stdout == "orchestrator is not installed as this user's service\n"


def test_a_unit_of_somebody_else_is_never_removed_and_only_replaced_on_demand(desk):
    desk.units.mkdir(parents=True)
    desk.unit.write_text("[Service]\nExecStart=/bin/true\n")
    assert refused(desk.install(), "did not write it", "--force")
    gone = desk.service("uninstall", "--user", "--force", "--json")
    assert json.loads(gone.stdout)["kept"] == [str(desk.unit)]
    assert desk.unit.read_text() == "[Service]\nExecStart=/bin/true\n"
    assert desk.status()["files"][0]["state"] == "not ours"
    assert desk.install("--force").exit_code == 0
    assert "orchestrator --home" in desk.unit.read_text()


def test_a_unit_that_a_person_changed_is_kept(desk):
    desk.install()
    desk.unit.write_text(desk.unit.read_text() + "# mine\n")
    assert desk.status()["files"][0]["state"] == "changed by hand"
    assert refused(desk.install(), "changed by hand", "systemctl edit")
    assert refused(desk.service("uninstall", "--user"), "changed by hand")
    assert desk.unit.read_text().endswith("# mine\n")
    assert desk.service("uninstall", "--user", "--force").exit_code == 0
    assert not desk.unit.exists()


def test_each_home_needs_a_name_of_its_own(desk, tmp_path):
    desk.install()
    other = House(tmp_path / "other")
    assert refused(desk.install(house=other), f"serves another home, {desk.house.root}", "--name")
    assert refused(desk.service("uninstall", "--user", house=other), "serves another home")
    assert desk.install("--name", "second", house=other).exit_code == 0
    assert (desk.units / "second.service").exists()
    assert refused(desk.install("--name", "../evil"), "letters, digits")


def test_a_schedule_brings_a_timer_and_the_daemon_takes_it_away_again(desk):
    assert desk.install("--schedule", "0 18 * * 5").exit_code == 0
    assert "OnCalendar=Fri *-*-* 18:0:00" in desk.timer.read_text()
    assert "Type=oneshot" in desk.unit.read_text()
    assert [file["state"] for file in desk.status()["files"]] == ["as it would be written now"] * 2
    assert desk.install().exit_code == 0
    assert not desk.timer.exists()
    assert "Type=notify" in desk.unit.read_text()
    assert refused(desk.install("--schedule", "sometimes"), "five fields are needed")


def test_a_configuration_that_moved_on_is_seen_in_the_status(desk, tmp_path):
    desk.install()
    (desk.house.root / "config/local.toml").write_text('[sandbox]\nlevel = "none"\n')
    status = desk.status()
    if probe().best != "none":
        assert status["files"][0]["state"] == "differs from what would be written now"
        assert "install again" in " ".join(status["advice"])
    (desk.house.root / "config/local.toml").write_text("nonsense")
    assert "could not be written now" in " ".join(desk.status()["advice"])


def test_printing_changes_nothing(desk):
    ran = desk.service("install", "--user", "--print")
    assert ran.exit_code == 0
    assert ran.stdout.startswith("# orchestrator-service: ")
    assert f'--home "{desk.house.root}" run' in ran.stdout
    units = json.loads(desk.service("install", "--user", "--print", "--json", "--schedule", "daily").stdout)
    assert [Path(unit["path"]).name for unit in units] == ["orchestrator.service", "orchestrator.timer"]
    plist = plistlib.loads(desk.service("install", "--user", "--print", "--for", "launchd").stdout.encode())
    assert plist["ProgramArguments"][-3:] == ["--home", str(desk.house.root), "run"]
    assert not desk.config.exists()
    assert refused(desk.service("install", "--user", "--for", "launchd"), "--print only")


def test_the_path_of_the_shell_is_taken_over_but_for_what_is_not_safe(desk, tmp_path):
    good, loose = tmp_path / "good bin", tmp_path / "loose"
    good.mkdir()
    loose.mkdir()
    loose.chmod(0o777)
    path = f"{good}:relative:{loose}:{tmp_path}/absent:{os.environ['PATH']}"
    text = desk.service("install", "--user", "--print", env={"PATH": path, "SECRET_TOKEN": "canary"}).stdout
    (line,) = [line for line in text.splitlines() if line.startswith('Environment="PATH=')]
    assert line.startswith(f'Environment="PATH={good}:')
    assert not {"relative", str(loose), f"{tmp_path}/absent"} & set(line.split(":"))
    assert "canary" not in text


def test_a_setting_of_the_shell_alone_does_not_shape_the_unit_and_is_told(desk, monkeypatch):
    require(probe().bwrap, "the sandbox bwrap does not work here")
    monkeypatch.setenv("ORCHESTRATOR_SANDBOX__LEVEL", "none")
    answer = desk.service("install", "--user", "--print")
    assert "ORCHESTRATOR_SANDBOX__LEVEL is set in this shell" in answer.stderr
    assert "ORCHESTRATOR_SANDBOX__REQUIRE=bwrap" in answer.stdout


def test_without_systemctl_nothing_is_written_and_what_to_do_is_said(desk, tmp_path):
    (tmp_path / "bin").mkdir()
    ran = desk.service("install", "--user", env={"PATH": str(tmp_path / "bin")})
    assert ran.exit_code == 1
    assert "no systemd" in ran.stderr
    assert "`orchestrator run`" in ran.stderr
    assert "--no-start" in ran.stderr
    assert not desk.config.exists()


def test_a_program_that_would_not_start_is_found_before_anything_is_written(desk, tmp_path):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--symlinks", tmp_path / "bare"], check=True)
    checkout = Path(__file__).resolve().parent.parent
    here = {"PYTHONPATH": f"{checkout}:{sysconfig.get_path('purelib')}", "XDG_CONFIG_HOME": str(desk.config)}
    command = [tmp_path / "bare/bin/python", *desk.house.command("service", "install", "--user", "--no-start")[1:]]
    ran = subprocess.run(command, env={**os.environ, **here}, capture_output=True, text=True)
    assert ran.returncode == 2, ran.stdout
    for sentence in ("could not start", "No module named", "without PYTHONPATH"):
        assert sentence in ran.stderr
    assert not desk.config.exists()


def test_a_service_of_the_system_is_refused_where_it_could_not_work_but_printed(desk):
    require(os.geteuid() == 0, "a system's service is installed by root")
    install = ("install", "--system", "--no-start", "--name", "nobody-installs-this")
    assert refused(desk.service(*install), "belongs to root", "chown -R orchestrator:")
    shown = desk.service(*install, "--print")
    assert "User=orchestrator\n" in shown.stdout
    assert "would not be installed so" in shown.stderr
    os.chown(desk.house.root, 4242, 4242)
    assert refused(desk.service(*install), "user 4242, whom this machine does not know")
    os.chown(desk.house.root, 1, 1)
    if str(desk.house.root).startswith(("/tmp/", "/var/tmp/")):
        assert refused(desk.service(*install), "a /tmp of its own")


def test_a_service_whose_home_is_gone_can_still_be_looked_at_and_uninstalled(desk):
    desk.install()
    shutil.rmtree(desk.house.root)
    assert "could not be written now" in " ".join(desk.status()["advice"])
    assert desk.service("uninstall", "--user").stdout == f"removed {desk.unit}\n"


def test_strict_is_refused_where_it_would_open_what_the_sandbox_closes(desk, tmp_path):
    require(probe().abi, "this kernel has no Landlock")
    strict = ("--strict",)
    assert refused(desk.install(*strict), "a task could approve itself", "workspace.root")
    (tmp_path / "work").mkdir()
    local = desk.house.root / "config/local.toml"
    local.write_text(f'[workspace]\nroot = "{tmp_path}/work"\n')
    assert desk.install(*strict).exit_code == 0
    text = desk.unit.read_text()
    assert "RestrictNamespaces=yes" in text
    assert "ORCHESTRATOR_SANDBOX__REQUIRE=landlock" in text
    local.write_text(local.read_text() + '[sandbox]\nrequire = "bwrap"\n')
    assert refused(desk.install(*strict), "wants the sandbox bwrap")
    assert "only systemd" in desk.service("install", "--user", "--strict", "--print", "--for", "launchd").stderr
