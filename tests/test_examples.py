"""The examples that every home starts with: they are valid, and what they promise is judged true."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from orchestrator import checks
from orchestrator.intake.load import load_task
from orchestrator.outcome import StepResult
from orchestrator.spec import Task

EXAMPLES = Path(__file__).parents[1] / "queue" / "examples"
SKILLS = {"bash", "git", "http", "local_model", "node", "python"}
PROGRAMS = {"bash": "bash", "python": "python3", "git": "git", "node": "node"}


def load(name: str) -> Task:
    return load_task((EXAMPLES / name).read_bytes(), name, skills=SKILLS)


def run_steps(task: Task, workspace: Path) -> tuple[StepResult, ...]:
    """The steps as plain processes: what the examples themselves do, without a daemon around them."""
    results = []
    for index, step in enumerate(task.steps):
        ended = subprocess.run(
            [PROGRAMS[step.skill], *step.args],
            cwd=workspace,
            env={**os.environ, **task.env, **step.env},
            capture_output=True,
            text=True,
        )
        assert ended.returncode == 0 or step.optional, ended.stderr
        results.append(
            StepResult(
                index,
                step.skill,
                step.args,
                "ok",
                ended.returncode,
                id=step.id,
                stdout=ended.stdout,
                stdout_bytes=len(ended.stdout.encode()),
            )
        )
    return tuple(results)


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.iterdir() if not path.name.startswith(".")))
def test_every_example_is_a_valid_spec(name: str) -> None:
    assert load(name).id.startswith("tsk_")


@pytest.mark.parametrize(
    "name", ["tsk_smoke.json", "tsk_health_check.json", "tsk_word_report.yaml", "tsk_weekly_review.yaml"]
)
def test_an_example_does_what_its_acceptance_asks(name: str, tmp_path: Path) -> None:
    task = load(name)
    before = checks.baseline(task.acceptance, str(tmp_path))
    results = run_steps(task, tmp_path)
    answers = checks.evaluate(
        task.acceptance,
        results,
        workspace=str(tmp_path),
        run_dir=str(tmp_path),
        baseline=before,
        command_codes={},
    )
    assert answers
    assert [answer for answer in answers if answer.ok is not True] == []


def test_the_smoke_test_and_the_deploy_are_those_of_the_original_system() -> None:
    smoke = json.loads((EXAMPLES / "tsk_smoke.json").read_text())
    assert smoke == {
        "id": "tsk_smoke",
        "title": "Smoke Test",
        "risk": "low",
        "skills": ["bash"],
        "steps": [{"skill": "bash", "args": ["-c", "echo 'SMOKE_OK'"]}],
        "acceptance": ["Printed SMOKE_OK"],
        "memory": {"kind": "solution", "text": "Smoke test passed"},
    }
    deploy = load("tsk_git_deploy.json")
    assert (deploy.id, deploy.priority, deploy.risk, deploy.skills) == ("tsk_deploy", "urgent", "high", ("git", "bash"))
    assert [(step.skill, step.args) for step in deploy.steps] == [
        ("git", ("push", "origin", "main")),
        ("bash", ("scripts/deploy_prod.sh",)),
    ]
