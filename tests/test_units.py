"""The files of services, read by the real tools: systemd-analyze for units, plistlib for property lists."""

import json
import plistlib
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import require_program

from orchestrator.errors import FatalError
from orchestrator.seed import seed_root
from orchestrator.units import Service, units_of
from orchestrator.units.moments import calendar_intervals, moments
from orchestrator.units.stamp import look, stamped

AWKWARD = "/srv/ein Haus, 100%n $HOME \"q\" 'r' \\t ü 😀;#"
SERVICE = Service(
    manager="systemd",
    scope="system",
    name="orchestrator",
    files="/nowhere",
    home="/srv/house",
    python=shutil.which("python3"),
    path="/usr/bin:/bin",
    kill=shutil.which("kill"),
    user="daemon",
)
VARIANTS = {
    "user": replace(SERVICE, scope="user", user=""),
    "user, strict": replace(SERVICE, scope="user", user="", strict=True, sandbox="landlock"),
    "user, scheduled": replace(SERVICE, scope="user", user="", schedule="*/20 9-17 * * 1-5"),
    "system": replace(SERVICE, sandbox="bwrap"),
    "system, strict": replace(SERVICE, strict=True, sandbox="landlock", writable=("/srv/work",)),
    "system, scheduled": replace(SERVICE, schedule="0 18 13 * 5"),
    "awkward": replace(SERVICE, home=AWKWARD, writable=(f"{AWKWARD}/beside",), path=f"{AWKWARD}:/bin"),
}


def written(folder, service):
    """The service's files in a folder; the path of what is enabled."""
    folder.mkdir(exist_ok=True)
    units = units_of(replace(service, files=str(folder)))
    for unit in units:
        Path(unit.path).write_text(unit.text)
    return units[-1].path


def analyze(*words, folder):
    require_program("systemd-analyze")
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "XDG_RUNTIME_DIR": str(folder), "HOME": str(folder)}
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, env=environment)


def exposure(path):
    answer = analyze("security", "--offline=true", "--no-pager", path, folder=Path(path).parent)
    (line,) = [line for line in answer.stdout.splitlines() if "Overall exposure level" in line]
    return float(line.split(":")[1].split()[0])


@pytest.mark.parametrize("name", VARIANTS)
def test_systemd_has_nothing_to_say_about_a_unit(name, tmp_path):
    service = VARIANTS[name]
    scope = ["--user"] if service.scope == "user" else []
    path = written(tmp_path / "units", service)
    answer = analyze("verify", "--man=no", *scope, path, folder=tmp_path)
    assert (answer.returncode, answer.stderr) == (0, "")


def test_verify_would_have_told_a_wrong_line(tmp_path):
    path = Path(written(tmp_path / "units", SERVICE))
    path.write_text(path.read_text().replace("KillMode=", "KilMode="))
    assert "KilMode" in analyze("verify", "--man=no", str(path), folder=tmp_path).stderr


def test_the_strict_unit_is_hardened_as_far_as_promised(tmp_path):
    assert exposure(written(tmp_path, VARIANTS["system, strict"])) <= 1.5


def test_what_the_full_sandbox_costs_is_what_the_docs_say(tmp_path):
    page = (Path(__file__).parent.parent / "docs/service.md").read_text()
    for name in ("system", "system, strict"):
        assert f"| {exposure(written(tmp_path, VARIANTS[name]))} |" in page


def test_only_what_the_sandbox_needs_is_open_in_the_unit_that_has_it(tmp_path):
    path = written(tmp_path, VARIANTS["system"])
    answer = analyze("security", "--offline=true", "--json=short", path, folder=tmp_path)
    unmet = {check["json_field"] for check in json.loads(answer.stdout) if check["set"] is False}
    sandbox = {
        "RestrictNamespaces_user", "RestrictNamespaces_mnt", "RestrictNamespaces_pid", "RestrictNamespaces_ipc",
        "RestrictNamespaces_net", "SystemCallFilter_mount", "SystemCallFilter_privileged",
        "SystemCallFilter_resources", "RestrictAddressFamilies_AF_NETLINK", "ProtectKernelTunables",
        "ProtectKernelLogs", "ProtectHostname", "RestrictSUIDSGID",
    }  # fmt: skip
    skills = {
        "RestrictAddressFamilies_AF_INET_INET6", "RestrictAddressFamilies_AF_UNIX", "PrivateNetwork",
        "IPAddressDeny", "MemoryDenyWriteExecute", "ProcSubset", "ProtectHome", "RootDirectoryOrRootImage",
        "DeviceAllow",
    }  # fmt: skip
    assert unmet <= sandbox | skills, unmet


@pytest.mark.parametrize("name", ["daemon.service", "once.service", "once.timer"])
def test_no_template_holds_a_gap_that_nobody_fills(name, tmp_path):
    service = VARIANTS["user"] if name.startswith("daemon") else VARIANTS["user, scheduled"]
    for unit in units_of(service):
        assert "@" not in unit.text.replace("@system-service", "").replace("@mount", "")


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("home", "/srv/two\nlines", "control character"),
        ("home", "/srv/\udcff", "not UTF-8"),
        ("python", "/srv/it's/python", "systemd refuses in a program's path"),
        ("path", "/bin:/a\tb", "control character"),
    ],
)
def test_what_systemd_cannot_be_told_is_refused(field, value, sentence):
    with pytest.raises(FatalError, match=sentence):
        units_of(replace(SERVICE, **{field: value}))


def test_a_secret_of_the_environment_is_in_no_unit(monkeypatch):
    monkeypatch.setenv("API_TOKEN", "canary")
    assert all("canary" not in unit.text for service in VARIANTS.values() for unit in units_of(service))


@pytest.mark.parametrize("manager", ["systemd", "launchd"])
def test_what_lies_in_the_folder_that_it_is_started_in_is_not_taken_for_the_program(manager, tmp_path):
    (tmp_path / "orchestrator.py").write_text("print('planted')")
    (unit,) = units_of(replace(SERVICE, manager=manager, python=sys.executable))
    if manager == "launchd":
        command = plistlib.loads(unit.text.encode())["ProgramArguments"]
    else:
        (line,) = [line for line in unit.text.splitlines() if line.startswith("ExecStart=:")]
        command = shlex.split(line.removeprefix("ExecStart=:"))
    ran = subprocess.run([*command[:-1], "--version"], cwd=tmp_path, capture_output=True, text=True)
    assert ran.stdout.startswith("orchestrator ")


# ── launchd ────────────────────────────────────────────────────────────────────────────────────


def plist(**changes):
    (unit,) = units_of(replace(SERVICE, manager="launchd", **changes))
    assert unit.path == "/nowhere/local.orchestrator.plist"
    return plistlib.loads(unit.text.encode())


def test_a_property_list_starts_the_daemon_again_and_lets_it_drain():
    answer = plist(home=AWKWARD, user="")
    assert answer["ProgramArguments"][-4:] == ["orchestrator", "--home", AWKWARD, "run"]
    assert answer["ProgramArguments"][0] == SERVICE.python
    assert answer["KeepAlive"] == {"SuccessfulExit": False}
    assert (answer["RunAtLoad"], answer["ExitTimeOut"], answer["Umask"]) == (True, 90, 0o77)
    assert answer["ThrottleInterval"] > 0
    assert answer["SoftResourceLimits"] == {"NumberOfFiles": 4096}
    assert answer["EnvironmentVariables"] == {"PATH": "/usr/bin:/bin", "ORCHESTRATOR_LOG__FILE": "state/log/daemon.log"}
    assert answer["StandardErrorPath"].startswith(AWKWARD)
    assert "UserName" not in answer


def test_a_system_wide_property_list_names_its_user():
    assert plist()["UserName"] == "daemon"


def test_a_scheduled_property_list_runs_once_at_its_times():
    answer = plist(schedule="30 18 * * 5")
    assert answer["ProgramArguments"][-2:] == ["run", "--once"]
    assert answer["StartCalendarInterval"] == [{"Minute": 30, "Hour": 18, "Weekday": 5}]
    assert "KeepAlive" not in answer
    assert answer["RunAtLoad"] is False


def test_a_home_that_no_property_list_can_hold_is_refused():
    with pytest.raises(FatalError, match="control character"):
        plist(home="/srv/a\x07b")


# ── schedules ──────────────────────────────────────────────────────────────────────────────────

SCHEDULES = {
    "30 18 * * 5": ["Fri *-*-* 18:30:00"],
    "*/20 9-10 * 1,7 mon-wed": ["Mon,Tue,Wed *-1,7-* 9,10:0,20,40:00"],
    "0 0 1 * *": ["*-*-1 0:0:00"],
    "0 0 13 * 5": ["*-*-13 0:0:00", "Fri *-*-* 0:0:00"],
    "0 0 * * 7": ["Sun *-*-* 0:0:00"],
    "weekly": ["Sun *-*-* 0:0:00"],
    "hourly": ["*-*-* *:0:00"],
}


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_cron_expression_becomes_what_systemd_calls_a_calendar(schedule, tmp_path):
    calendars = [moment.on_calendar() for moment in moments(schedule)]
    assert calendars == SCHEDULES[schedule]
    for calendar in calendars:
        assert analyze("calendar", calendar, folder=tmp_path).returncode == 0


def test_a_cron_expression_becomes_launchds_intervals():
    assert calendar_intervals("0,30 18 1 * *") == [
        {"Minute": 0, "Hour": 18, "Day": 1},
        {"Minute": 30, "Hour": 18, "Day": 1},
    ]
    assert calendar_intervals("0 0 13 * 5") == [
        {"Minute": 0, "Hour": 0, "Day": 13},
        {"Minute": 0, "Hour": 0, "Weekday": 5},
    ]


@pytest.mark.parametrize(
    ("schedule", "sentence"),
    [
        ("soon", "five fields are needed"),
        ("0 0 0 * * *", "five fields are needed"),
        ("61 * * * *", "bad minute"),
        ("0 0 L * *", "`L`, `LW` and `#`"),
        ("0 0 * * 5#1", "`L`, `LW` and `#`"),
        ("1-59 1-9 * * *", "launchd would need 531 intervals"),
        ("0 0 */2 * 5", "launchd can't ask"),
    ],
)
def test_a_schedule_that_cannot_be_told_is_refused_with_what_to_write(schedule, sentence):
    with pytest.raises(FatalError, match=sentence) as raised:
        calendar_intervals(schedule)
    assert "write a cron expression" in str(raised.value)


# ── whose a file is ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("manager", ["systemd", "launchd"])
def test_a_file_tells_what_it_was_written_from(manager, tmp_path):
    service = replace(SERVICE, manager=manager, home=f"{AWKWARD}--x", files=str(tmp_path), schedule="0 18 * * 5")
    for unit in units_of(service):
        Path(unit.path).write_text(unit.text)
        found = look(unit.path)
        assert (found.state, found.service) == ("ours", service)
        if manager == "launchd":
            assert plistlib.loads(unit.text.encode())["Label"] == "local.orchestrator"


@pytest.mark.parametrize("manager", ["systemd", "launchd"])
def test_a_change_by_hand_is_seen(manager, tmp_path):
    (unit,) = units_of(replace(SERVICE, manager=manager, files=str(tmp_path)))
    before, by_hand, after = unit.text.rpartition("90")  # the first may stand in the path of this test's folder
    changed = f"{before}91{after}"
    assert by_hand
    Path(unit.path).write_text(changed)
    assert look(unit.path).state == "edited"


def test_what_is_not_ours_is_foreign_whatever_it_is(tmp_path):
    for name, text in {"unit": "[Unit]\n", "broken": "# orchestrator-service: {\n", "list": "\x00\udcff"}.items():
        (tmp_path / name).write_text(text, errors="surrogateescape")
        assert look(str(tmp_path / name)).state == "foreign"
    (tmp_path / "masked").symlink_to("/dev/null")
    assert look(str(tmp_path / "masked")).state == "foreign"
    assert look(str(tmp_path / "absent")).state == "absent"


def test_a_file_of_another_version_is_ours_still(tmp_path):
    path = tmp_path / "unit"
    text = stamped("[Unit]\n", SERVICE)
    path.write_text(text.replace('"kill":', '"killer":'))
    assert (look(str(path)).state, look(str(path)).service) == ("ours", None)


def test_the_templates_are_the_programs_own_not_the_homes(house):
    assert not (house.root / "systemd").exists()
    assert Path(seed_root(), "systemd/daemon.service").is_file()
