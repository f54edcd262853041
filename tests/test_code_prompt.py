"""What a model is told: the templates, how they are filled, and what is said of a broken one."""

from pathlib import Path

import pytest

from orchestrator.cli.doctor.home_checks import prompts
from orchestrator.coding.context import Shown
from orchestrator.coding.prompt import MARKER, NEEDED, correction, load_prompt, render_prompt
from orchestrator.errors import TaskError
from orchestrator.runners.model.answer import Question
from orchestrator.runners.model.models import Models
from orchestrator.settings import ModelSettings, Settings
from orchestrator.skills.model_request import KINDS, ModelRequest

CONFIG = str(Path(__file__).resolve().parent.parent / "config")
GOOD = "For you.\n# System\nBe good.\n# User\n" + "\n".join(f"${{{name}}}" for name in NEEDED) + "\n"
BARE = ModelRequest(description="T-ADD: add two numbers", output_file="src/add.js")
FULL = ModelRequest(
    description="T-ADD: costs $5, ${HOME} and $$",
    output_file="src/add.js",
    context_files=("src/a.js", "src/b.py"),
    constraints=("Export named function", "No\n  dependencies"),
    test_command=("pytest", "-q", "a b"),
)
FILES = (Shown("src/a.js", "export const A = `x`;\n", 9), Shown("src/b.py", "B = 1\n", 9, "outline"))


@pytest.mark.parametrize("kind", KINDS)
def test_the_prompt_of_each_kind_says_all_that_a_task_says(kind):
    system, user = render_prompt(load_prompt(CONFIG, kind), FULL, FILES, "old();\n", failure=correction("boom"))
    for part in (
        "T-ADD: costs $5, ${HOME} and $$", "Write the", "src/add.js", "Language: JavaScript.",
        "- Export named function\n- No dependencies\n", "### src/a.js\n\n```javascript\nexport const A = `x`;\n```",
        "### src/b.py (an outline: the bodies are left out)\n\n```python\nB = 1\n```",
        "## src/add.js as it is now", "```javascript\nold();\n```", "```sh\npytest -q 'a b'\n```", MARKER, "boom",
    ):  # fmt: skip
        assert part in user
    assert "exactly one fenced code block" in system
    assert "```javascript" in system


@pytest.mark.parametrize("kind", KINDS)
def test_of_what_a_task_does_not_say_no_trace_is_left(kind):
    system, user = render_prompt(load_prompt(CONFIG, kind), BARE, (), None)
    assert MARKER not in system + user
    assert "$" not in system + user
    assert "\n\n\n" not in user
    assert [line for line in user.splitlines() if line.startswith("#")] == ["## Task"]
    assert "what stands above" not in (system + user)


def test_a_markdown_file_is_asked_for_in_a_fence_that_can_hold_fences():
    request = ModelRequest(description="x", output_file="docs/x.md", kind="doc")
    template = load_prompt(CONFIG, "doc")
    assert "````markdown" in render_prompt(template, request, (), None)[0]
    system, user = render_prompt(template, request, (), "`````\nx\n`````\n")
    assert "``````markdown" in system
    assert "``````markdown\n`````\nx\n`````\n``````" in user


def test_the_file_itself_is_not_shown_twice():
    _, user = render_prompt(load_prompt(CONFIG, "code"), BARE, (Shown("src/add.js", "old();", 2),), "old();")
    assert user.count("old();") == 1


def test_a_correction_names_the_marker_first_and_says_what_it_leaves_out():
    text = correction("begin\x1b[31m red\x1b[0m\r\n" + "x" * 10_000 + "```\nend\n")
    assert text.startswith(f"## {MARKER}\n")
    assert "begin red\n" in text
    assert "\n````text\n" in text
    assert "end\n````" in text
    assert "characters are left out here" in text
    assert len(text) < 4_000


def test_a_home_without_a_template_uses_the_one_that_came_with_this_version(tmp_path):
    assert load_prompt(str(tmp_path), "code") == load_prompt(CONFIG, "code")


def test_a_template_of_ones_own_is_used(tmp_path):
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts/code.md").write_bytes(GOOD.replace("\n", "\r\n").encode())
    system, user = render_prompt(load_prompt(str(tmp_path), "code"), BARE, (), None)
    assert (system, user) == ("Be good.", "T-ADD: add two numbers\nsrc/add.js")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD.replace("# System\n", ""), "code.md needs the line `# System` exactly once, and there is none"),
        (GOOD + "# User\n", "code.md:11: needs the line `# User` exactly once, and there are 2"),
        ("# User\n# System\n", "code.md:1: `# User` must stand below `# System`"),
        (GOOD.replace("good", "${tagg}"), "code.md:3: no placeholder is called `${tagg}` (did you mean `${tag}`?)"),
        (GOOD.replace("good", "$5"), "code.md:3: a `$` is neither a placeholder nor doubled"),
        (GOOD.replace("${constraints}\n", ""), "code.md has no `${constraints}`"),
        (GOOD.encode() + b"\xff", "code.md is no UTF-8 text"),
        (GOOD + "x" * 70_000, "code.md is larger than 64 KiB"),
    ],
)
def test_a_broken_template_is_refused_with_its_file_and_line(tmp_path, text, said):
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts/code.md").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(TaskError) as error:
        load_prompt(str(tmp_path), "code")
    assert said in error.value.message
    assert "mend it, or remove it" in error.value.message
    assert error.value.reason == "prompt_invalid"


def test_a_template_that_is_a_folder_is_told_as_such(tmp_path):
    (tmp_path / "prompts/code.md").mkdir(parents=True)
    with pytest.raises(TaskError, match="can't be read: Is a directory"):
        load_prompt(str(tmp_path), "code")


def test_doctor_names_a_broken_template_and_one_that_no_kind_uses(house):
    assert [finding.text for finding in prompts(house.home)] == ["code, test, refactor, doc"]
    (house.root / "config/prompts/doc.md").write_text(GOOD.replace("good", "${tagg}"))
    (house.root / "config/prompts/tests.md").write_text(GOOD)
    broken, alien, sound = prompts(house.home)
    assert "doc.md:3: no placeholder is called `${tagg}`" in broken.text
    assert "no kind of code task uses tests.md" in alien.text
    assert (sound.level, sound.text) == ("ok", "code, test, refactor")


async def test_a_real_server_reads_the_task_in_the_first_prompt_and_the_failure_in_the_second(llama):
    """Our scripted model answers a keyword, and otherwise after the marker: so both must stand in what it is sent."""
    settings = Settings(models={"default": ModelSettings(base_url=llama.base_url)})
    models, answers = Models(lambda: settings), []
    try:
        for failure in ("", correction("assert add(2, 3) == 5")):
            system, user = render_prompt(load_prompt(CONFIG, "code"), BARE, (), None, failure=failure)
            answers.append(await models.ask("default", Question(user, system=system)))
    finally:
        await models.close()
    assert "return a - b" in answers[0].text
    assert "return a + b" in answers[1].text
