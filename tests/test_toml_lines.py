"""Which line of a TOML file a key stands on."""

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.toml_lines import line_near, line_of

RULES = '''# first
[[rule]]
id = "a"
text = """
[[rule]]
id = "no"
"""
when = {command = ["x"], flags_any = [
  "-y",
]}

[[rule]]
id = "b"
[rule.more]
deep.key = 1
'''


def test_a_key_is_found_where_it_begins_whatever_stands_in_the_texts_before_it():
    wanted = {
        ("rule", 0): 2,
        ("rule", 0, "text"): 4,
        ("rule", 0, "when", "flags_any"): 8,
        ("rule", 1): 12,
        ("rule", 1, "id"): 13,
        ("rule", 1, "more", "deep", "key"): 15,
        ("rule", 2): None,
        ("role",): None,
    }
    assert {place: line_of(RULES, place) for place in wanted} == wanted


def test_a_key_that_is_missing_is_looked_for_in_the_table_around_it():
    assert line_near(RULES, ("rule", 1, "more", "none")) == 14
    assert line_near(RULES, ("none",)) is None


def test_a_text_that_is_no_toml_has_no_lines():
    assert line_of("a = 1\nb = [", ("a",)) is None


@given(st.lists(st.sampled_from(["k{} = 1", "\n", "# note\n", "[t{}]", 'm{} = """\nx\n"""', "[[l]]"]), max_size=30))
def test_the_lines_before_a_key_do_not_hold_it_and_those_up_to_the_next_do(parts):
    text = "\n".join(part.format(number) for number, part in enumerate(parts))
    for place in _places(tomllib.loads(text)):
        line = line_of(text, place)
        assert line is not None
        lines = text.split("\n")
        assert place not in set(_places(tomllib.loads("\n".join(lines[: line - 1]))))
        assert lines[line - 1].strip()
        assert not lines[line - 1].startswith("#")


def _places(document, at=()):
    if not isinstance(document, (dict, list)):
        return
    for key, value in document.items() if isinstance(document, dict) else enumerate(document):
        yield (*at, key)
        yield from _places(value, (*at, key))
