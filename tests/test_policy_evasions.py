"""Ways of hiding what is denied: each is only judged here, never run."""

from __future__ import annotations

from pathlib import Path

import pytest
from standard_rules import RULES

from orchestrator.outcome import Call
from orchestrator.policy.decide import Context, decide
from orchestrator.shell import syntax

HOME, WORKSPACE = "/home/user", "/home/user/work"

DENIED = r"""
rm -rf //
rm -rf /home/../
rm -rf -- ~
rm -rf $HOME/.
rm -rf ~/work/..
rm -rf '/'*
rm -rf /{bin,etc,usr}
X='rm -rf /'; $X
X='rm -rf /'; eval "$X"
X=/; Y=$X; rm -rf $Y
a=r; b=m; $a$b -rf /
a=(rm -rf /); "${a[@]}"
set -- rm -rf /; "$@"
f() { "$@"; }; f rm -rf /
alias x='rm -rf /'; x
rm${IFS}-rf${IFS}/
IFS=_; X=rm_-rf_/; $X
: ${X:=rm}; $X -rf /
rm -rf ${Y:-/}
X=rzm; ${X//z/} -rf ${HOME:0:1}
$'\x72m' -rf /
{rm,-rf,/}
$(printf '\162\155') -rf /
rm -rf $(echo Lwo= | base64 -d)
(cd / && rm -rf *)
find / -print0 | xargs -0 rm -rf
find / -exec rm -rf {} \;
xargs rm -rf <<< /
printf '\x72\x6d -rf /' | sh
echo '/ fr- mr' | rev | sh
eval $(echo cm0gLXJmIC8K | base64 --decode)
echo 'rm -rf /' > /tmp/x; bash /tmp/x
printf 'rm -rf /\n' > y; . ./y
source <(echo 'rm -rf /')
env -S 'rm -rf /'
sudo bash -c "rm -rf /"
ssh host rm -rf /
parallel rm -rf ::: /
watch -n1 'rm -rf /'
case x in x) rm -rf /;; esac
for d in /etc /usr; do rm -rf "$d"; done
if a; then D=/; else D=b; fi; rm -rf $D
diff <(ls) <(rm -rf ~)
time rm -rf /
git -c alias.x='!rm -rf /' x
python3 -c "__import__('shutil').rmtree('/')"
python3 -c "import subprocess as s; s.run(['rm','-rf','/'])"
python3 -c "import shutil,os;shutil.rmtree(os.path.expanduser('~'))"
node -e 'require("fs").rmSync("/",{recursive:true})'
perl -e 'system("rm -rf /")'
vim -c ':!rm -rf /' -c q
D=/dev/sda; dd if=/dev/zero of=$D
f() { f | f & }; f
chmod 777 -R /
cd policy && rm *.toml
git -c core.editor='shutdown now' commit
julia -e 'for c in ["reboot", "halt"] run(`$c`) end'
""".strip().splitlines()


def verdict(script: str, workspace: str = WORKSPACE) -> str:
    argv = ("bash", "-c", script)
    call = Call(0, "bash", "process", argv[1:], argv, {"HOME": HOME}, workspace, 1_000)
    context = Context(risk="low", home_dir=workspace, workspace=workspace, user_home=HOME)
    return decide(call, RULES, context).verdict


@pytest.mark.parametrize("script", DENIED)
def test_what_is_denied_is_denied_however_it_is_written(script: str) -> None:
    assert verdict(script) == "deny"


@pytest.mark.parametrize(
    "script",
    [
        "cd build || exit 1; rm -rf *",
        "set -e; cd build; rm -rf *",
        'D=build; rm -rf "$D"',
        'for d in build dist; do rm -rf "$d"; done',
        "T=$(mktemp -d); trap 'rm -rf \"$T\"' EXIT; make",
        'eval "$(ssh-agent -s)"',
        "python3 -c \"import subprocess; subprocess.run(['ls'])\"",
        "cat <<'E' > notes.md\nrm -rf /\nE",
        "find . -name node_modules | xargs rm -rf",
    ],
)
def test_what_is_followed_is_not_taken_for_danger(script: str) -> None:
    assert verdict(script) == "allow"


@pytest.mark.parametrize(
    ("script", "wanted"),
    [
        ("rm -rf .git", "needs_approval"),
        ("mv .git ../old", "needs_approval"),
        ("git clone -q x ../y && rm -rf ../y/.git", "allow"),
        ("rm -rf build", "allow"),
        ("rm -rf policy", "deny"),
    ],
)
def test_a_workspace_in_a_temporary_folder_is_no_scratch(script: str, wanted: str) -> None:
    assert verdict(script, "/tmp/checkout") == wanted


def test_without_shfmt_only_plain_scripts_may_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syntax, "find_shfmt", lambda: None)
    assert verdict("ls -l && echo no-shfmt") == "allow"
    assert verdict("for x in no shfmt; do ls $x; done") == "needs_approval"


def test_a_parser_that_takes_too_long_needs_approval(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    slow = tmp_path / "shfmt"
    slow.write_text("#!/bin/sh\nexec sleep 30\n")
    slow.chmod(0o755)
    monkeypatch.setattr(syntax, "find_shfmt", lambda: str(slow))
    monkeypatch.setattr(syntax, "DEADLINE_SECONDS", 0.05)
    assert verdict("for x in too slow; do ls $x; done") == "needs_approval"
