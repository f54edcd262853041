"""What a user installs: the wheel, outside of any checkout."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import require

CHECKOUT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    try:
        import build  # noqa: F401
        import hatchling  # noqa: F401
    except ImportError:
        require(False, "build and hatchling are not installed")
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(CHECKOUT)]
    subprocess.run(command, check=True, capture_output=True)
    return next(out.glob("*.whl"))


def test_the_wheel_carries_the_seed_and_nothing_importable_but_the_package(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"orchestrator"}
    for part in (
        "config/orchestrator.toml", "config/prompts/code.md", "skills/bash/skill.toml", "queue/examples/tsk_smoke.json",
        "systemd/daemon.service", "launchd/daemon.plist",
    ):  # fmt: skip
        assert f"orchestrator/_seed/{part}" in names
    assert any(name.startswith("orchestrator/_seed/policy/") for name in names)
    assert not any("local.toml" in name or ".gitkeep" in name for name in names)


def test_from_the_unpacked_wheel_a_home_is_made_and_a_task_runs(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    home = tmp_path / "home"
    # The wheel's package before the checkout's; its dependencies are those of this environment.
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}

    def orchestrator(*args):
        return subprocess.run(
            [sys.executable, "-m", "orchestrator", "--home", str(home), *args],
            env=environment, cwd=tmp_path, capture_output=True, text=True,
        )  # fmt: skip

    assert orchestrator("init").returncode == 0
    where = subprocess.run(
        [sys.executable, "-c", "import orchestrator; print(orchestrator.__file__)"],
        env=environment, cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert where.stdout.startswith(str(tmp_path / "site"))
    (home / "queue/inbox/tsk_smoke.json").write_bytes((home / "queue/examples/tsk_smoke.json").read_bytes())
    ran = orchestrator("run", "--once")
    assert (ran.returncode, ran.stdout.strip()) == (0, "✅ tsk_smoke.json: OK")
    assert json.loads((home / "queue/done/tsk_smoke.result.json").read_text())["status"] == "ok"
