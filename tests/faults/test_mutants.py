"""The tests that guard the promises do bite: faults put into the source are caught, each by the test named for it."""

import os
import shutil
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
MUTANTS = tomllib.loads(Path(__file__).with_name("mutants.toml").read_text())
COPIED = ("orchestrator", "tests", "config", "policy", "skills", "queue", "systemd", "launchd", "pyproject.toml")
IGNORED = shutil.ignore_patterns("__pycache__", "gate", ".*")
QUICK = ("spec_renamed_before_its_result",)


class Mutated:
    """A copy of the project with one fault in it, or with none."""

    def __init__(self, folder):
        self.folder = folder
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, folder / name, ignore=IGNORED, symlinks=True)
            else:
                shutil.copy(ROOT / name, folder / name)

    def put_in(self, mutant):
        path = self.folder / "orchestrator" / mutant["file"]
        text = path.read_text()
        assert text.count(mutant["old"]) == 1
        path.write_text(text.replace(mutant["old"], mutant["new"]))

    def run(self, *tests):
        """Run these tests of the copy on the copy."""
        environment = {**os.environ, "PYTHONPATH": str(self.folder)}
        for name in ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER"):
            environment.pop(name, None)
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-m", "soak or not soak"]
        paths = [f"tests/{test}" for test in tests]
        return subprocess.run(
            [*command, *paths], cwd=self.folder, env=environment, capture_output=True, text=True, timeout=600
        )


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_still_fits_the_source_and_the_test_that_catches_it_is_there(name):
    mutant = MUTANTS[name]
    path = ROOT / "orchestrator" / mutant["file"]
    text = path.read_text()
    assert text.count(mutant["old"]) == 1, f"{path} has changed: bring `old` of [{name}] in mutants.toml up to date"
    compile(text.replace(mutant["old"], mutant["new"]), path, "exec")
    file, _, test = mutant["caught_by"].partition("::")
    assert f"def {test.partition('[')[0]}(" in (ROOT / "tests" / file).read_text()


@pytest.mark.parametrize("name", QUICK)
def test_a_mutant_is_caught_quickly(name, tmp_path):
    assert is_caught(name, tmp_path)


@pytest.mark.soak
def test_every_mutant_is_caught_and_the_source_as_it_is_is_not(tmp_path, capsys):
    whole = Mutated(tmp_path / "whole").run(*sorted({mutant["caught_by"] for mutant in MUTANTS.values()}))
    assert whole.returncode == 0, whole.stdout
    with ThreadPoolExecutor(2) as pool:
        caught = dict(zip(MUTANTS, pool.map(lambda name: is_caught(name, tmp_path / name), MUTANTS), strict=True))
    with capsys.disabled():
        print(f"\nmutants caught: {sum(caught.values())} of {len(caught)}")
        for name, mutant in MUTANTS.items():
            print(f"  {'caught' if caught[name] else 'ALIVE '} {name:<55} {mutant['caught_by'].rpartition('::')[2]}")
    assert all(caught.values())


def is_caught(name, folder):
    """Whether the named test fails on the mutant. Nothing but a failed test counts."""
    mutated = Mutated(folder)
    mutated.put_in(MUTANTS[name])
    ran = mutated.run(MUTANTS[name]["caught_by"])
    assert ran.returncode in (0, 1), ran.stdout + ran.stderr
    shutil.rmtree(folder, ignore_errors=True)
    return ran.returncode == 1
