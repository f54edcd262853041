"""The sandbox as a user meets it: through a daemon, its results, its config, doctor, and as another user."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from conftest import require, smoke
from sandbox_stage import need

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a sandbox here")


def once(house, *specs, **env):
    for spec in specs:
        house.drop(spec)
    return house.run("run", "--once", env=env)


def test_by_default_steps_run_in_the_best_sandbox_and_the_result_and_telemetry_say_so(house):
    need("bwrap")
    house.sandbox = "auto"
    steps = [{"skill": "bash", "args": ["-c", script]} for script in ("echo shared > /tmp/a", "cat /tmp/a > made")]
    done = once(house, smoke("t") | {"steps": steps, "acceptance": ["made exists"]})
    result = house.result("t")
    assert (done.returncode, result["status"], result["sandbox"]) == (0, "ok", "bwrap"), result
    assert house.telemetry()[-1]["meta"]["sandbox"] == "bwrap"
    assert (house.root / "made").read_text() == "shared\n"
    assert os.listdir(house.home.scratch) == ["empty"]
    assert result["results"][0]["max_rss_kb"] < 20_000


def test_what_the_gate_does_not_see_the_sandbox_keeps_from_rules_skills_and_results(house):
    need("bwrap")
    house.sandbox = "auto"
    names = ["policy/none.toml", "skills/bash/skill.toml", "queue/done/t.result.json", "state/x", "config/local.toml"]
    (house.root / "names").write_text("\n".join(names))
    code = "for n in open('names'):\n try: open(n.strip(), 'a')\n except OSError as e: print(e.strerror)"
    step = {"skill": "python", "args": ["-c", code]}
    once(house, smoke("t") | {"skills": ["python"], "steps": [step]}, LOCAL_ALLOW_HIGH="1")
    result = house.result("t")
    assert result["results"][0]["stdout"].splitlines() == ["Read-only file system"] * 5, result
    assert not (Path(house.home.policy) / "none.toml").exists()


def test_a_skill_says_what_it_reaches(house, tmp_path):
    need("bwrap")
    house.sandbox = "auto"
    (tmp_path / "beside").mkdir()
    folder = Path(house.home.skills) / "mine"
    folder.mkdir()
    (folder / "skill.toml").write_text(
        'name = "mine"\ndescription = "a"\nargv = ["bash", "-c", "{args}"]\nnetwork = false\n'
        f'write = ["{tmp_path}/beside"]\nhide = ["{{workspace}}/.env"]\n'
    )
    (house.root / ".env").write_text("canary-secret")
    script = f"echo x > {tmp_path}/beside/made; cat .env; cat /proc/net/dev | wc -l"
    once(house, smoke("t") | {"skills": ["mine"], "steps": [{"skill": "mine", "args": [script]}]})
    result = house.result("t")
    assert (tmp_path / "beside" / "made").exists(), result
    assert result["results"][0]["stdout"].split() == ["3"], "two lines of heading and the loopback, nothing else"


def test_without_a_sandbox_a_skill_that_wants_no_network_does_not_run(house):
    manifest = Path(house.home.skills) / "bash" / "skill.toml"
    manifest.write_text(manifest.read_text().replace("min_args", "network = false\nmin_args"))
    once(house, smoke("t", "echo ran > made"))
    result = house.result("t")
    assert (result["status"], result["sandbox"]) == ("failed", "none")
    assert "network = false" in result["reason"]
    assert not (house.root / "made").exists()


def test_a_daemon_does_not_start_below_the_level_that_is_required(house):
    (house.root / "config/local.toml").write_text('[sandbox]\nrequire = "bwrap"\n')
    refused = house.run("run", "--once")
    assert refused.returncode == 2
    assert "sandbox.require is bwrap, but this host offers only none: sandbox.level is none" in refused.stderr


def test_without_bwrap_doctor_says_how_to_get_it(house, tmp_path):
    house.sandbox = "auto"
    for name in ("bash", "git", "env"):
        (tmp_path / name).symlink_to(shutil.which(name) or "/bin/true")
    answer = house.run("doctor", "--json", env={"PATH": str(tmp_path)})
    finding = next(found for found in json.loads(answer.stdout)["findings"] if found["subject"] == "sandbox")
    assert finding["level"] == "warn"
    assert "bwrap is not installed" in finding["text"]
    assert "bubblewrap" in finding["advice"]


def test_doctor_names_what_the_daemon_runs_and_tasks_may_write(house):
    need("bwrap")
    house.sandbox = "auto"
    (house.root / "bin").mkdir()
    (house.root / "tell.sh").write_text("")
    (house.root / "config" / "safe.sh").write_text("")
    channels = "".join(
        f'[channels.{name}]\nkind = "command"\ncommand = ["bash", "{name}.sh"]\n' for name in ("tell", "config/safe")
    )
    (house.root / "config/local.toml").write_text(channels.replace("[channels.config/", "[channels."))
    path = f"{house.root}/bin{os.pathsep}{os.environ['PATH']}"
    found = json.loads(house.run("doctor", "--json", env={"PATH": path}).stdout)["findings"]
    said = [one["text"] for one in found if one["subject"] == "sandbox" and one["level"] == "warn"]
    here = [f"{house.root}/bin", f"{house.root}/tell.sh"]
    assert said == [f"the daemon runs programs from {entry}, which tasks may write" for entry in here]


def test_a_library_is_not_imported_from_the_top_of_a_checkout():
    ask = (
        "import sys\nfrom orchestrator.cli.front import main\nsys.argv[1:] = ['--version']\n"
        "try: main()\nexcept SystemExit: print(sys.path)"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-P", "-c", ask], env=env, capture_output=True, text=True)
    assert done.stdout.startswith("orchestrator "), done.stderr
    assert f"'{ROOT}'" not in done.stdout


def test_the_walls_stand_for_an_ordinary_user_too():
    need("bwrap")
    require(os.geteuid() == 0, "this user is ordinary already: the other tests have shown it")
    require(shutil.which("setpriv"), "setpriv is not installed")
    folder = tempfile.mkdtemp()
    os.chown(folder, 65534, 65534)
    become = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    env = {**os.environ, "HOME": folder, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "CI": ""}
    look = [sys.executable, "-c", "import pytest, orchestrator"]
    try:
        seen = subprocess.run([*become, *look], env=env, cwd=folder, capture_output=True)
        require(seen.returncode == 0, "an ordinary user can't read this checkout or its interpreter")
        chosen = (
            "outside or unlocks or sockets or moved or hooks or descriptor or outlives or rights or clean or memory"
        )
        tests = [f"{ROOT}/tests/test_sandbox_walls.py", f"{ROOT}/tests/test_sandbox_work.py", "-k", chosen]
        options = ["-q", "-p", "no:cacheprovider", "--basetemp", f"{folder}/t", "--rootdir", str(ROOT)]
        pytest_ = [sys.executable, "-m", "pytest", "-c", f"{ROOT}/pyproject.toml", *options, *tests]
        done = subprocess.run([*become, *pytest_], env=env, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-3000:]
        assert " passed" in done.stdout or "100%" in done.stdout
    finally:
        shutil.rmtree(folder)


def test_a_spec_may_not_take_any_folder_for_its_workspace(house, tmp_path):
    """Else a step, which may queue tasks, could write wherever the daemon's user may."""
    (tmp_path / "beside").mkdir()
    taken = smoke("t", "echo x > made") | {"workspace": {"dir": str(tmp_path / "beside")}}
    once(house, taken)
    result = house.result("t")
    assert (result["status"], (tmp_path / "beside" / "made").exists()) == ("failed", False)
    assert "is not in the workspace" in result["reason"]
    (house.root / "config/local.toml").write_text(f'[sandbox]\nlevel = "none"\nwrite = ["{tmp_path}"]\n')
    once(house, taken | {"id": "u"})
    assert house.result("u")["status"] == "ok"
