"""Every file of the bad-spec corpus is refused, for the reason and on the line that its index names."""

import tomllib
from pathlib import Path

import pytest

from orchestrator.intake.load import SpecError, load_task

CORPUS = Path(__file__).parent / "corpora" / "bad_specs"
EXPECTED = tomllib.loads((CORPUS / "expected.toml").read_text("utf-8"))
INSTALLED = ("bash", "git", "local_model", "node", "python")


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_bad_spec_is_refused_with_its_reason_and_line(name):
    with pytest.raises(SpecError) as caught:
        load_task((CORPUS / name).read_bytes(), name, skills=INSTALLED)
    problems, expected = caught.value.problems, EXPECTED[name]
    rendered = "\n".join(problem.render(name) for problem in problems)
    for text in expected["says"]:
        assert text in rendered
    told = next(problem for problem in problems if expected["says"][0] in problem.render(name))
    assert told.line == expected.get("line"), rendered
    assert told.column == expected.get("column", told.column), rendered


def test_the_index_names_every_file_of_the_corpus_and_no_other():
    files = {file.name for file in CORPUS.iterdir()} - {"expected.toml"}
    assert files == set(EXPECTED)
    assert len(files) >= 80


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_no_message_can_steer_a_terminal(name):
    with pytest.raises(SpecError) as caught:
        load_task((CORPUS / name).read_bytes(), name, skills=INSTALLED)
    assert all(problem.render(name).isprintable() for problem in caught.value.problems)
    assert len(str(caught.value)) < 1_000


def test_a_file_is_refused_for_its_own_fault_alone():
    """The corpus shows one fault a file; a second message would mean that one fault is told twice."""
    several = {name: len(entry["says"]) for name, entry in EXPECTED.items()}
    talkative = {}
    for name in ("unknown_key.json", "args_number.json", "duplicate_key.json", "huge_integer.json", "nan.json",
                 "alias.yaml", "id_path.json", "plan.yaml", "code_task.json", "check_two_keys.json",
                 "unknown_check.json"):  # fmt: skip
        with pytest.raises(SpecError) as caught:
            load_task((CORPUS / name).read_bytes(), name, skills=INSTALLED)
        if len(caught.value.problems) > max(several[name], 1 + (name == "alias.yaml")):
            talkative[name] = [problem.render(name) for problem in caught.value.problems]
    assert talkative == {}
