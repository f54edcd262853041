"""What a model is shown of a workspace: which files, how they are made to fit, and what it never sees."""

import ast
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.coding.context import ContextProblem, current_text, read_context, room_for_context
from orchestrator.coding.languages.outline import outline
from orchestrator.home import Home
from orchestrator.runners.fence import Fence
from orchestrator.runners.model.tokens import estimate

LONG = "    total = 0\n" * 400
MODULE = f'''"""Odds of a hand."""

import os

LIMIT = 10
"""How many at once."""
TABLE = {{{", ".join(f"{n}: {n}" for n in range(100))}}}


def odds(call: float, pot: float = 1.0, *rest: int, **named: str) -> float:
    """The odds, from 0 to 1."""
{LONG}    return call / (pot + call)


class Hand(list):
    """Two cards."""

    cards: tuple[str, ...] = ()

    async def deal(self, n: int) -> None:
        self.cards += (str(n),)

    def _hidden(self): ...


def _secret_of_ours():
    pass


if __name__ == "__main__":
    answer = odds(1)
'''


class Workspace:
    def __init__(self, root):
        self.root = Path(root)
        self.fence = Fence(str(root), Home(str(root / "home")))

    def write(self, path, text):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_bytes(text if isinstance(text, bytes) else text.encode())

    def read(self, *paths, budget=None, large="outline"):
        return read_context(self.fence, str(self.root), paths, budget=budget, large=large)

    def refused(self, *paths, **options):
        with pytest.raises(ContextProblem) as error:
            self.read(*paths, **options)
        return str(error.value)


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path)


def test_files_come_whole_in_their_order_each_once_and_counted(workspace):
    workspace.write("src/b.js", "export const b = 1;\r\n")
    workspace.write("a.md", "\ufeffä\n")
    shown = workspace.read("src/b.js", "a.md", "src/b.js")
    assert [(file.path, file.text, file.shown) for file in shown] == [
        ("src/b.js", "export const b = 1;\n", "whole"),
        ("a.md", "ä\n", "whole"),
    ]
    assert all(file.tokens >= estimate(file.text) for file in shown)


def test_a_file_that_is_not_there_is_named_with_the_nearest_that_is(workspace):
    workspace.write("src/constants/gameConstants.js", "")
    assert workspace.refused("src/constants/gameConstant.js") == (
        "the context file src/constants/gameConstant.js does not exist in the workspace "
        "(did you mean src/constants/gameConstants.js?)"
    )
    assert "did you mean src/constants/x.js?" in workspace.refused("src/constant/x.js")


def test_what_lies_outside_is_not_read_through_any_link(workspace, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "diary.txt").write_text("dear diary")
    (workspace.root / "file.txt").symlink_to(outside / "diary.txt")
    (workspace.root / "folder").symlink_to(outside)
    for path in ("file.txt", "folder/diary.txt", "../outside/diary.txt"):
        assert "out of the workspace" in workspace.refused(path)


def test_a_link_that_ends_inside_is_followed(workspace):
    workspace.write("real/x.txt", "x")
    (workspace.root / "link").symlink_to("real")
    assert workspace.read("link/x.txt")[0].text == "x"


def test_a_folder_that_becomes_a_link_while_it_is_read_leads_nowhere(workspace, tmp_path_factory, monkeypatch):
    """The check and the opening are two moments; whoever runs in the workspace may act between them."""
    outside = tmp_path_factory.mktemp("outside")
    (outside / "x.txt").write_text("dear diary")
    workspace.write("folder/x.txt", "mine")
    real = os.path.realpath

    def swapped(path, **options):
        answer = real(path, **options)
        if str(path).endswith("x.txt"):
            shutil.rmtree(workspace.root / "folder")
            (workspace.root / "folder").symlink_to(outside)
        return answer

    monkeypatch.setattr("orchestrator.coding.reading.os.path.realpath", swapped)
    assert "there is a link" in workspace.refused("folder/x.txt")


@pytest.mark.parametrize(
    "path", [".env", "app/.env.production", "deploy/server.pem", "id_ed25519", ".ssh/config", "x/credentials.json"]
)
def test_files_of_secrets_are_refused_by_their_names(workspace, path):
    workspace.write(path, "x=1")
    assert "no model is shown those" in workspace.refused(path)


def test_a_link_with_a_harmless_name_shows_no_secret(workspace):
    workspace.write(".env", "TOKEN=1")
    (workspace.root / "notes.txt").symlink_to(".env")
    assert "no model is shown those" in workspace.refused("notes.txt")


def test_an_example_of_a_file_of_secrets_is_shown(workspace):
    workspace.write(".env.example", "TOKEN=")
    assert workspace.read(".env.example")[0].text == "TOKEN="


def test_a_private_key_is_refused_whatever_its_file_is_called(workspace):
    begin = "-----BEGIN " + "RSA PRIVATE KEY-----"
    workspace.write("notes.txt", f"see\n{begin}\nMIIE\n")
    assert "holds a private key" in workspace.refused("notes.txt")


def test_what_belongs_to_the_orchestrator_or_to_git_is_refused(workspace):
    workspace.write("home/config/local.toml", "x")
    workspace.write(".git/config", "x")
    assert "belongs to the orchestrator" in workspace.refused("home/config/local.toml")
    assert "git's own files" in workspace.refused(".git/config")


def test_what_is_no_text_is_refused_with_the_reason(workspace):
    workspace.write("image.png", b"\x89PNG\0")
    workspace.write("old.txt", "grün".encode("latin1"))
    workspace.write("big.txt", "x" * (1024 * 1024 + 1))
    (workspace.root / "folder").mkdir()
    os.mkfifo(workspace.root / "pipe")
    assert "NUL bytes" in workspace.refused("image.png")
    assert "is no UTF-8 text: byte 2 is 0xfc" in workspace.refused("old.txt")
    assert "is larger than 1,024 KiB" in workspace.refused("big.txt")
    assert "not a plain file" in workspace.refused("folder")
    assert "not a plain file" in workspace.refused("pipe")


def test_over_the_budget_the_largest_file_alone_becomes_an_outline(workspace):
    workspace.write("big.py", MODULE)
    workspace.write("small.py", "def f():\n" + "    x = 1\n" * 20)
    assert outline("small.py", (workspace.root / "small.py").read_text())
    whole = sum(file.tokens for file in workspace.read("small.py", "big.py"))
    shown = workspace.read("small.py", "big.py", budget=whole - 1)
    assert [(file.path, file.shown) for file in shown] == [("small.py", "whole"), ("big.py", "outline")]
    assert sum(file.tokens for file in shown) < whole
    assert [file.shown for file in workspace.read("small.py", "big.py", budget=whole)] == ["whole", "whole"]


def test_what_fits_neither_whole_nor_as_an_outline_is_refused_with_numbers_and_advice(workspace):
    workspace.write("data.csv", "1,2,3\n" * 2000)
    workspace.write("big.py", MODULE)
    sentence = workspace.refused("big.py", "data.csv", budget=1000)
    assert "there is room for 1,000" in sentence
    assert "data.csv (3,014, of which no outline can be made)" in sentence
    assert "as an outline" in sentence
    assert "orchestrator tokens" in sentence


def test_outlines_are_not_made_where_the_config_says_refuse(workspace):
    workspace.write("big.py", MODULE)
    assert "big.py (" in workspace.refused("big.py", budget=1000, large="refuse")


def test_without_any_room_the_advice_is_about_the_model(workspace):
    workspace.write("a.py", "a = 1")
    assert "`max_tokens`" in workspace.refused("a.py", budget=-5)
    assert workspace.read(budget=-5) == ()


def test_a_file_that_is_to_be_written_anew_is_shown_only_if_it_could_be_context():
    assert current_text("new.py", None) is None
    assert current_text("old.py", b"a = 1\r\n") == "a = 1\n"
    for path, data, said in ((".env", b"A=1", "files with secrets"), ("logo.png", b"\x89PNG\0", "is no text")):
        with pytest.raises(ContextProblem, match=f"{path} is there already.*{said}"):
            current_text(path, data)


def test_the_room_leaves_more_to_chance_where_tokens_are_estimated():
    assert room_for_context(None, 100, 100, measured=True) is None
    measured, estimated = (room_for_context(8192, 2048, 500, measured=known) for known in (True, False))
    assert 8192 - 2048 - 500 > measured > estimated > 0


def test_the_outline_of_a_module_is_python_that_offers_the_same(workspace):
    made = outline("odds.py", MODULE)
    tree = ast.parse(made)
    assert [node.name for node in tree.body if hasattr(node, "name")] == ["odds", "Hand"]
    assert "def odds(call: float, pot: float=1.0, *rest: int, **named: str) -> float:" in made
    assert '"""The odds, from 0 to 1."""' in made
    assert "LIMIT = 10\n" in made
    assert "How many at once." in made
    assert "TABLE = ..." in made
    assert "cards: tuple[str, ...] = ()" in made
    assert "async def deal(self, n: int) -> None:" in made
    assert not any(word in made for word in ("total", "_hidden", "_secret_of_ours", "import", "answer"))


def test_a_package_keeps_its_imports_because_they_are_what_it_offers():
    assert "from a import b" in outline("x/__init__.py", f"from a import b\n\ndef f():\n{LONG}")


@pytest.mark.parametrize("text", ["def (:\n", "x = '\0'\n", "(" * 5000 + ")" * 5000, "", "x = 1\n"])
def test_what_can_not_be_parsed_or_gains_nothing_has_no_outline(text):
    assert outline("x.py", text) is None


@settings(max_examples=40)
@given(st.sampled_from([".py", ".js", ".ts", ".tsx", ".md"]), st.text(max_size=200))
def test_no_text_breaks_an_outline(ending, text):
    made = outline(f"x{ending}", text)
    assert made is None or len(made) < len(text)
