"""The language of `${{ … }}`: what it can say, what it can't, and that nothing in it takes long or much."""

import string
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestrator.templates.expression import LONGEST_TEXT, ExpressionError, Names, compiled, text_of, truth_of
from orchestrator.templates.text import condition, filled, parts_of

NAMES = {
    "vars": Names(
        "vars", {"x": "it's", "n": 3, "list": ["a", "b"], "map": {"k": {"deep": 1}}, "no": False, "none": None}
    ),
    "env": Names("env", {"PATH_": "/a/b"}),
    "task": Names("task", {"id": "t"}),
    "steps": Names("steps", {}),
    "needs": Names("needs", {}),
}


def value_of(text):
    return filled(text, lambda expression: expression.value(NAMES))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("a ${{ vars.n }} b ${{ vars.no }}", "a 3 b false"),
        ("${{ vars.n }}", 3),
        ("${{ vars.n + 1 > 3 and not vars.no }}", True),
        ("${{ vars.map.k.deep }}${{ vars['map']['k']['deep'] }}", "11"),
        ("${{ vars.list[1] }}", "b"),
        ("${{ vars.list | join(',') }}", "a,b"),
        ("${{ vars.gone | default('d') }}", "d"),
        ("${{ vars.none | default('d', true) }}", "d"),
        ("${{ vars.gone is defined }}", False),
        ("${{ 'a' if vars.n == 3 else 'b' }}", "a"),
        ("${{ 't' in vars.x }}", True),
        ("${{ vars.x | upper | replace('S', 'z') }}", "IT'z"),
        ("${{ {'a': {'b': '}}'}} | json }}", '{"a": {"b": "}}"}}'),
        ("${{ ('{\"a\": [1, 2]}' | fromjson).a | last }}", 2),
        ("${{ '${{' }} stays", "${{ stays"),
        ("${{ vars.x | sh }}", "'it'\"'\"'s'"),
        ("${{ ' 7 ' | int + 0.5 }}", 7.5),
        ("}} and $ {{ alone", "}} and $ {{ alone"),
    ],
)
def test_what_expressions_come_to(text, value):
    assert value_of(text) == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("${{ vars.lits }}", "`vars.lits` is not defined (did you mean `list`?)"),
        ("${{ var.n }}", "there is no `var` (did you mean `vars`?)"),
        ("${{ vars.x | uper }}", "there is no filter `uper` (did you mean `upper`?)"),
        ("${{ vars.x is definde }}", "there is no test `definde` (did you mean `defined`?)"),
        ("${{ vars.x", "has no end: `}}` is missing"),
        ("${{ 'a }}", "a text in it that begins with ' is not closed"),
        ("${{ }}", "is empty"),
        ("${{ vars.x vars.n }}", "is not expected there"),
        ("${{ vars.x.__class__ }}", "can't be taken of a text"),
        ("${{ vars.__class__ }}", "`vars.__class__` is not defined"),
        ("${{ vars.map.items }}", "`items` is not defined"),
        ("${{ vars.x.upper() }}", "nothing can be called"),
        ("${{ range(9) }}", "nothing can be called"),
        ("${{ ''['__class__'] }}", "can't be taken of a text"),
        ("${{ self }}", "there is no `self`"),
        ("${{ 2 ** 9 }}", "`**` is not allowed"),
        ("${{ 'a' * 9 }}", "`*` is for numbers"),
        ("${{ 'a%s' % 9 }}", "`%` is for numbers"),
        ("${{ vars.list * 9 }}", "`*` is for numbers"),
        ("${{ vars.n * 10" + "0" * 200 + " }}", "too large"),
        ("${{ vars.x ~ 'a' }}", "`~` is not known here"),
        ("${{ 'a' if vars.no }}", "needs an `else`"),
        ("${{ 1 / 0 }}", "division by zero"),
        ("${{ vars.x < 1 }}", "not supported between"),
        ("${{ vars.x | int }}", "is no number"),
        ("${{ vars.list | sh }}", "is a list"),
        ("${{ vars.x | join(*vars.list) }}", "before an argument"),
        ("a${{ vars.none }}", "is null"),
        ("a${{ vars.map }}", "is a mapping"),
        ("${{ success }}", "write `success()`"),
        ("${{ success(1) }}", "takes nothing"),
        ("${{ " + "(" * 300 + "1" + ")" * 300 + " }}", "can't be read"),
        ("${{ " + "1 + " * 400 + "1 }}", "at most 1,000 characters"),
        ("${{ vars.x" + "|replace('t', 'tttttttttttttttttttttt')" * 20 + " }}", "longer than"),
        ("{% raw %}${{ {% if x %} }}", "is no expression"),
    ],
)
def test_what_no_expression_can_do(text, said):
    with pytest.raises(ExpressionError) as caught:
        value_of(text)
    assert said in str(caught.value)


ALPHABET = st.sampled_from(
    [*string.printable[:94], " ", "vars", ".x", "steps", "|", "sh", "'", "(", ")", "[", "]", "_" * 2]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(ALPHABET, max_size=30).map("".join))
@example("lipsum.__globals__")
@example("().__class__.__bases__[0].__subclasses__()")
@example("cycler.__init__.__globals__.os.popen('id').read()")
@example("vars|attr('__class__')")
@example("''|map(attribute='__class__')|list")
@example("{}.__setitem__('a', 1)")
@example("'{0.__class__}'.format(1)")
@example("namespace(a=1).a")
def test_whatever_is_written_comes_to_plain_data_or_an_error(source):
    try:
        value = compiled(source).value(NAMES)
    except ExpressionError:
        return
    assert isinstance(value, str | int | float | bool | list | tuple | dict | type(None))


@given(st.text(max_size=60))
def test_every_text_is_parts_or_an_error(text):
    try:
        parts = parts_of(text)
    except ExpressionError:
        return
    assert "${{" in text or "".join(parts) == text


def test_what_it_mentions_is_known_before_it_is_worked_out():
    found = compiled("steps.build.outputs.path + vars['x'] + env[vars.n] if needs.a.status == 'ok' else task.id")
    assert found.paths == {
        ("steps", "build", "outputs", "path"), ("vars", "x"), ("env",), ("vars", "n"), ("needs", "a", "status"),
        ("task", "id"),
    }  # fmt: skip


def test_a_condition_is_one_expression_that_is_true_or_false():
    assert condition("vars.n == 3").value(NAMES) is True
    assert condition(" ${{ vars.n == 3 }} ").value(NAMES) is True
    assert condition("always() and failure()").functions == {"always", "failure"}
    with pytest.raises(ExpressionError, match="would always be true"):
        condition("not ${{ vars.no }}")
    for value in ("false", "", None, 0, []):
        with pytest.raises(ExpressionError, match="must be true or false"):
            truth_of(value)


def test_a_value_that_no_program_can_receive_is_an_error():
    assert text_of("x" * LONGEST_TEXT)
    for value in ("a\0b", "x" * (LONGEST_TEXT + 1), "é" * LONGEST_TEXT, None, [], {}):
        with pytest.raises(ExpressionError):
            text_of(value)


def test_the_worst_that_fits_into_one_expression_is_over_soon():
    """No time is asserted: pytest's own limit would end it."""
    big = NAMES | {"vars": Names("vars", {"x": "ab" * 60_000})}
    begun = time.monotonic()
    for source in (
        "vars.x" + "|replace('a','a')" * 20,
        "vars.x|split('a')" + "|join('a')|split('b')" * 10,
        "9" + "*9" * 200,
    ):
        try:
            compiled(source).value(big)
        except ExpressionError:
            continue
    assert time.monotonic() > begun
