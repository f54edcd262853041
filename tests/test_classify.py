"""What is given to a local model, and what is not: each verdict and the sentence that explains it."""

from types import SimpleNamespace

import pytest

from orchestrator.coding.classify import Facts, classify, facts_of
from orchestrator.coding.second import second_opinion
from orchestrator.runners.model.answer import ModelProblem
from orchestrator.skills.model_request import ModelRequest


def asked(description, output="src/utils/x.js", **fields):
    return ModelRequest(description=description, output_file=output, **{"test_command": "node --test", **fields})


@pytest.mark.parametrize(
    ("category", "description", "output", "fields"),
    [
        ("utility", "Create utility function", "src/utils/myUtil.js", {}),
        ("utility", "A function that reduces an array to its sum", "sum.py", {}),
        ("utility", "Parse the body of a webhook", "src/parse.ts", {}),
        ("utility", "Format numbers with a fixed number of digits", "src/format.js", {}),
        ("utility", "Function that lists all files in a directory", "src/ls.py", {}),
        ("utility", "A function that says whether a session id is well-formed", "src/sid.js", {}),
        ("utility", "A function that fixes up broken UTF-8", "src/text.py", {}),
        ("other", "A tokenizer for arithmetic expressions", "src/tokens.py", {}),
        ("constants", "The names of all events", "src/constants/events.js", {}),
        ("constants", "Constants for the colours", "src/colours.js", {}),
        ("types", "What a user is", "src/types/user.ts", {}),
        ("types", "TypeScript types for the store's items", "src/item.ts", {}),
        ("tests", "Unit tests for clamp", "src/__tests__/clamp.test.js", {"kind": "test"}),
        ("small component", "A button that shows a label", "src/components/Button.jsx", {}),
        ("small component", "A component without state; no hooks", "src/Badge.tsx", {}),
        ("docs", "How to install it", "README.md", {"kind": "doc"}),
        ("refactoring", "Name the variables better", "src/a.py", {"kind": "refactor"}),
    ],
)
def test_small_work_of_one_file_is_local(category, description, output, fields):
    verdict = classify(asked(description, output, **fields))
    assert (verdict.category, verdict.verdict) == (category, "local"), verdict.reasons
    assert verdict.reasons


@pytest.mark.parametrize(
    ("category", "description", "output"),
    [
        ("reducer", "A reducer for the basket", "src/basket.js"),
        ("reducer", "How the basket changes", "src/reducers/basket.js"),
        ("hook", "A custom hook that debounces a value", "src/debounce.js"),
        ("hook", "Debounce a value", "src/useDebounce.js"),
        ("multi-file", "Rename the option in all files", "src/utils/a.js"),
        ("integration", "Integrate the payment provider", "src/pay.js"),
        ("integration", "An end-to-end test of the login", "tests/login.py"),
        ("bug fix", "Fix the crash when the list is empty", "src/utils/list.js"),
        ("multi-file", "Refactor the auth module across the codebase", "src/auth.js"),
        ("integration", "Create a REST API client", "src/api.ts"),
        ("bug fix", "Correct the wrong total", "src/cart.js"),
        ("bug fix", "Investigate why it is slow", "src/cart.js"),
        ("bug fix", "The last card is never dealt. Find out why and repair it", "src/deal.js"),
        ("bug fix", "Resolve a memory leak in the parser", "src/parser.py"),
    ],
)
def test_what_takes_more_than_one_file_s_knowledge_is_escalated(category, description, output):
    verdict = classify(asked(description, output))
    assert (verdict.category, verdict.verdict) == (category, "escalate")
    assert category in verdict.reasons[0]


@pytest.mark.parametrize(
    ("request_", "facts", "rule", "says"),
    [
        (asked("Name things better", kind="refactor"), Facts(True, 51, 0), "size", "51 lines"),
        (asked("A parser", constraints=("At most 200 lines",)), Facts(), "size", "200 lines"),
        (asked("A 120-line module that parses"), Facts(), "size", "120 lines"),
        (asked("A 300-line game engine module"), Facts(), "size", "300 lines"),
        (asked("Move the shared parser from a.js and b.js here"), Facts(), "one file", "a.js"),
        (asked("A parser", kind="refactor"), Facts(True, 10, 3), "imports", "3 modules"),
        (asked("A parser", context_files=("a.js", "b.ts", "c.js")), Facts(), "imports", "At most 2 imports"),
        (asked("A parser; then update src/index.js to export it"), Facts(), "one file", "src/index.js"),
        (asked("A helper that keeps a session"), Facts(), "stateless", "session"),
    ],
)
def test_each_rule_that_is_broken_escalates_and_says_what_would_change_it(request_, facts, rule, says):
    verdict = classify(request_, facts)
    assert verdict.verdict == "escalate"
    assert [each.name for each in verdict.rules if each.verdict == "broken"] == [rule]
    assert any(says in reason for reason in verdict.reasons)


@pytest.mark.parametrize(
    ("request_", "facts"),
    [
        (asked("Name things better", kind="refactor"), Facts(True, 50, 2)),
        (asked("A parser", constraints=("At most 50 lines", "at most 2 imports")), Facts()),
        (asked("Read the first 1000 lines of a log"), Facts()),
        (asked("A parser", context_files=("a.js", "b.js", "a.test.js", "README.md", "x.py")), Facts()),
        (asked("A parser", context_files=("a.js", "b.js", "c.js"), constraints=("No dependencies",)), Facts()),
        (asked("A helper", constraints=("No global state", "Do not use a database")), Facts()),
    ],
)
def test_the_bounds_themselves_and_what_is_denied_break_no_rule(request_, facts):
    assert classify(request_, facts).verdict == "local"


def test_a_task_without_a_test_stays_local_and_is_told_what_that_means():
    verdict = classify(asked("A function", test_command=None))
    assert verdict.verdict == "local"
    assert any("test_command" in reason for reason in verdict.reasons)


def test_facts_count_the_lines_and_the_imports_of_the_file():
    assert facts_of(None) == Facts()
    code = "import a from 'a'\nconst b = require('b')\nexport * from './c'\nlet d = 1\n"
    assert facts_of(code) == Facts(True, 4, 3)
    assert facts_of("import os\nfrom x import y\nimported = 1\n") == Facts(True, 3, 2)


# ── a model's word after the rules ─────────────────────────────────────────────────────────────────


class Model:
    """Answers a question, or can't; remembers what it was asked."""

    def __init__(self, answer):
        self.answer, self.asked = answer, []

    async def __call__(self, question):
        self.asked.append(question)
        if isinstance(self.answer, Exception):
            raise self.answer
        return SimpleNamespace(text=self.answer)


@pytest.mark.parametrize(
    ("answer", "verdict", "by", "says"),
    [
        ('{"reason": "it needs the parser too", "verdict": "escalate"}', "escalate", "model", "needs the parser too"),
        ('{"reason": "small", "verdict": "local"}', "local", "model", "a model agrees: small"),
        ("```json\n{}\n```", "local", "rules", "no second verdict: the model's answer was not the JSON"),
        (ModelProblem("unreachable", "small", "nothing listens there"), "local", "rules", "nothing listens there"),
    ],
)
async def test_a_model_may_say_no_to_what_the_rules_let_pass_and_its_silence_changes_nothing(answer, verdict, by, says):
    request, model = asked("A utility function"), Model(answer)
    found = await second_opinion(model, request, Facts(), classify(request))
    assert (found.verdict, found.by) == (verdict, by)
    assert any(says in reason for reason in found.reasons)
    assert model.asked[0].schema["required"] == ["reason", "verdict"]
    assert "A utility function" in model.asked[0].user


async def test_no_model_is_asked_about_what_the_rules_escalate():
    request, model = asked("A reducer"), Model('{"reason": "easy", "verdict": "local"}')
    assert (await second_opinion(model, request, Facts(), classify(request))).verdict == "escalate"
    assert model.asked == []
