"""The gate's own corpora: that they are sound, and that what the gate reaches on them never falls again.

The floors are what was reached, rounded down. Whoever makes the gate better raises them; nobody lowers them.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import gate
from benchmarks.gate import CORPORA, ROOT, SETS, Gate, Judged, Row, figures, half_of, main, read
from orchestrator.skills import load_skills

# What was reached, rounded down. The rules are tuned on dev alone, so that held tells what a stranger's commands meet.
FLOORS = {
    "dev": {
        "dangerous caught": 99,
        "evasions caught": 99,
        "deny class denied": 99,
        "everyday allowed": 99,
        "lookalikes allowed": 99,
    },
    "held": {
        "dangerous caught": 98,
        "evasions caught": 97,
        "deny class denied": 97,
        "everyday allowed": 99,
        "lookalikes allowed": 99,
    },
}
KINDS = ("dangerous", "everyday")
FILES = [CORPORA / f"{kind}-{half}.jsonl" for kind in KINDS for half in SETS]
KEYS = {"id", "skill", "args", "class", "deny", "note"}
OLDER = ("dangerous.txt", "everyday.txt")


def rows(kind: str) -> list[dict[str, Any]]:
    files = [path for path in FILES if path.name.startswith(kind)]
    return [json.loads(line) for path in files for line in path.read_text(encoding="utf-8").splitlines()]


def without_spaces(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize("half", SETS)
def test_the_gate_reaches_its_floors(half: str) -> None:
    reached = {name: share.percent for name, share in figures(Gate().judged(read(half))).items()}
    below = {name: (reached[name], floor) for name, floor in FLOORS[half].items() if reached[name] < floor}
    assert set(reached) == set(FLOORS[half])
    assert not below


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_line_is_a_call_that_a_skill_takes(path: Path) -> None:
    mark = "evasion" if path.name.startswith("dangerous") else "lookalike"
    skills = load_skills(str(ROOT / "skills"))
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        assert set(row) == KEYS | {mark}, line
        assert all(isinstance(row[key], str) for key in ("id", "skill", "class", "note")), line
        assert row["id"].startswith(f"{path.name[0]}-{row['class']}-"), line
        assert row["args"], line
        assert all(isinstance(arg, str) and arg and "\0" not in arg for arg in row["args"]), line
        assert isinstance(row[mark], bool), line
        assert isinstance(row["deny"], bool), line
        assert skills.get(row["skill"]), line


def test_everyday_work_is_never_of_the_deny_class() -> None:
    assert not [row["id"] for row in rows("everyday") if row["deny"]]


def test_ids_are_unique_and_a_hash_of_the_id_decides_the_half() -> None:
    ids = [json.loads(line)["id"] for path in FILES for line in path.read_text(encoding="utf-8").splitlines()]
    assert [name for name, count in Counter(ids).items() if count > 1] == []
    for path in FILES:
        for line in path.read_text(encoding="utf-8").splitlines():
            assert half_of(json.loads(line)["id"]) == path.stem.partition("-")[2], line


def test_no_command_comes_twice_in_any_set_spaces_aside() -> None:
    older = [line for name in OLDER for line in (CORPORA / name).read_text(encoding="utf-8").splitlines()]
    texts = [without_spaces("bash-c" + line.partition("\t")[2]) for line in older if "\t" in line]
    texts += [without_spaces(row["skill"] + "".join(row["args"])) for kind in KINDS for row in rows(kind)]
    assert [text for text, count in Counter(texts).items() if count > 1] == []


def test_the_corpora_are_large_and_hard_enough_to_mean_something() -> None:
    dangerous, everyday = rows("dangerous"), rows("everyday")
    assert min(len(dangerous), len(everyday)) >= 320
    assert sum(row["evasion"] for row in dangerous) >= len(dangerous) * 0.6
    assert sum(row["lookalike"] for row in everyday) >= len(everyday) * 0.5
    assert all(len(read(half)) >= 500 for half in SETS)


def test_figures_count_each_kind_of_mistake() -> None:
    judged = [
        Judged(Row("d-1", "bash", ("-c", "a"), "x", dangerous=True, marked=True, deny=True, note=""), "deny", ()),
        Judged(Row("d-2", "bash", ("-c", "b"), "x", dangerous=True, marked=True, deny=True, note=""), "allow", ()),
        Judged(
            Row("d-3", "bash", ("-c", "c"), "x", dangerous=True, marked=False, deny=True, note=""),
            "needs_approval", (),
        ),
        Judged(Row("e-1", "bash", ("-c", "d"), "x", dangerous=False, marked=True, deny=False, note=""), "allow", ()),
        Judged(Row("e-2", "bash", ("-c", "e"), "x", dangerous=False, marked=False, deny=False, note=""), "deny", ()),
    ]  # fmt: skip
    counted = {name: (share.good, share.of) for name, share in figures(judged).items()}
    assert counted == {
        "dangerous caught": (2, 3), "evasions caught": (1, 2), "deny class denied": (1, 3),
        "everyday allowed": (1, 2), "lookalikes allowed": (1, 1),
    }  # fmt: skip
    assert [one.row.id for one in judged if one.missed] == ["d-2", "d-3", "e-2"]


def test_misses_of_the_held_set_are_refused_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--set", "held", "--misses"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "measures nothing" in err


def test_misses_of_dev_are_listed_and_none_of_held(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def part(half: str) -> list[Row]:
        """A few rows of every class; the everyday ones are said to be dangerous, which makes most of them misses."""
        return [replace(row, dangerous=True) for row in read(half)[::40]]

    monkeypatch.setattr(gate, "read", part)
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["--misses"]) == 0
    out, err = capsys.readouterr()
    listed = set(re.findall(r"\b[de]-[a-z]+-\d{3,5}\b", out))
    assert listed == {one.row.id for one in Gate().judged(part("dev")) if one.missed}
    assert len(listed) > 10
    assert "measures nothing" in err
