"""`tokens`: what files cost as context, told as a code task would have it."""

import json

import pytest
from conftest import House
from typer.testing import CliRunner

from orchestrator.cli.app import app
from orchestrator.coding import audit

BIG = "".join(f"def f{n}(x):\n    return x + {n} + {n} + {n} + {n} + {n}\n\n\n" for n in range(200))


@pytest.fixture
def place(tmp_path, monkeypatch):
    house = House(tmp_path / "home")
    src = tmp_path / "src"
    (src / "node_modules").mkdir(parents=True)
    (src / "big.py").write_text(BIG)
    (src / "small.js").write_text("export const A = 1;\n")
    (src / "data.json").write_text("[1, 2]\n" * 1000)
    (src / "yarn.lock").write_text("x@1\n" * 2000)
    (src / "long.md").write_text("a word or two\n" * 500)
    (src / "server.pem").write_text("x")
    (src / "node_modules/x.js").write_text("export const B = 1;\n")
    (src / "linked.js").symlink_to(src / "small.js")
    (src / ".hidden.js").write_text("export const B = 1;\n")
    monkeypatch.chdir(src)
    monkeypatch.setenv("COLUMNS", "300")
    return house


def invoke(place, *arguments):
    return CliRunner().invoke(app, ["--home", str(place.root), "tokens", *arguments])


def test_the_largest_come_first_each_with_its_share_and_an_advice(place):
    answer = invoke(place, ".", "--json")
    assert answer.exit_code == 0, answer.output
    told = json.loads(answer.stdout)
    files = {file["path"]: file for file in told["files"]}
    assert list(files) == ["big.py", "yarn.lock", "data.json", "long.md", "small.js", "server.pem"]
    assert files["big.py"]["tokens"] == -(-len(BIG) // 4)
    assert "an outline saves" in files["big.py"]["advice"]
    assert files["yarn.lock"]["advice"] == "leave it out: a tool made it"
    assert "a few lines of it" in files["data.json"]["advice"]
    assert files["long.md"]["advice"] == "split it"
    assert files["small.js"]["advice"] == ""
    assert "no model is shown those" in files["server.pem"]["problem"]
    assert sum(file["share"] for file in files.values()) == pytest.approx(1, abs=0.001)
    assert told["counted"] == "estimated"
    assert told["total"] - told["smallest"] == files["big.py"]["tokens"] - files["big.py"]["outline"]


def test_people_see_the_largest_and_what_the_rest_has_in_sum(place):
    lines = invoke(place, ".", "--top", "2").stdout.splitlines()
    assert lines[0].split() == ["FILE", "TOKENS", "SHARE", "LINES", "OUTLINE", "ADVICE"]
    assert [line.split()[0] for line in lines[1:3]] == ["big.py", "yarn.lock"]
    assert lines[3].startswith("and 4 smaller ones with 3,505 tokens")
    assert "6 files" in lines[4]
    assert "estimated at four characters each" in lines[4]


def test_a_path_that_is_not_there_and_too_many_files_are_refused(place, monkeypatch):
    answer = invoke(place, "small.js", "smal.js")
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert "smal.js: there is no such file or folder" in answer.stderr
    monkeypatch.setattr(audit, "MOST_FILES", 3)
    assert "more than 3 files" in invoke(place, ".").stderr


def test_a_model_that_the_config_lacks_is_told_the_nearest(place):
    answer = invoke(place, "small.js", "--model", "defalt")
    assert answer.exit_code == 2
    assert "did you mean 'default'?" in answer.stderr


def test_where_no_server_answers_the_estimate_says_so(place):
    (place.root / "config/local.toml").write_text('[models.default]\nbase_url = "http://127.0.0.1:9/v1"\n')
    answer = invoke(place, "small.js", "--model", "default")
    assert answer.exit_code == 0
    assert "the tokens are estimated" in answer.stderr
    assert "5 tokens, estimated" in answer.stdout


def test_a_models_own_server_counts_and_says_whether_all_of_it_fits(place, llama):
    (place.root / "config/local.toml").write_text(
        f"[models.default]\nbase_url = {llama.base_url!r}\nmax_tokens = 256\ncontext = 8192\n"
    )
    told = json.loads(invoke(place, "small.js", "--model", "default", "--json").stdout)
    assert told["counted"] == "measured"
    assert told["files"][0]["tokens"] > 5  # the scripted model has a token for each character
    assert 0 < told["room"] < 8192 - 256
    assert invoke(place, "small.js", "--model", "default").stdout.endswith(": they fit\n")
    assert "they do not fit" in invoke(place, ".", "--model", "default").stdout
