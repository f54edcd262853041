"""Values that a script computes are computed as bash does it, and code that hides in them is found. Attack strings are
only judged."""

from __future__ import annotations

import subprocess

import pytest
from standard_rules import RULES

from orchestrator.outcome import Call
from orchestrator.policy.decide import Context, decide
from orchestrator.shell.arithmetic import evaluate
from orchestrator.shell.pieces import Field
from orchestrator.shell.scope import Scope

HOME, WORKSPACE = "/home/user", "/home/user/work"
EXPRESSIONS = (
    "2*3", "7/2", "-7/2", "-7%3", "7%-3", "2**3**2", "-2**2", "1+2*3-4", "(1+2)*3", "1<2", "3<=2", "1==1", "1!=1",
    "1&&0", "1||0", "!5", "~5", "6&3", "6|3", "6^3", "1<<4", "256>>2", "0x1f", "017", "2#101", "16#ff", "1?2:3",
    "0?2:1?4:5", "x+1", "x*y", "y+y", "-x", "- -x", "x=9", "x+=2", "x++ + x", "--x", "1,2", "(x=4,x*2)", "z", "10-3-2",
)  # fmt: skip


def verdict(script: str) -> str:
    argv = ("bash", "-c", script)
    call = Call(0, "bash", "process", argv[1:], argv, {"HOME": HOME}, WORKSPACE, 1_000)
    context = Context(risk="low", home_dir=WORKSPACE, workspace=WORKSPACE, user_home=HOME)
    return decide(call, RULES, context).verdict


def _scope() -> Scope:
    return Scope({"x": (Field("5"),), "y": (Field("x+1"),), "z": (Field(""),)})


def test_arithmetic_comes_to_what_bash_says() -> None:
    script = "".join(f"(x=5 y=x+1 z=; echo $(( {text} )))\n" for text in EXPRESSIONS)
    said = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert {text: evaluate(text, _scope()) for text in EXPRESSIONS} == dict(
        zip(EXPRESSIONS, map(int, said), strict=True)
    )


@pytest.mark.parametrize("text", ["u+1", "1/0", "1+", "$x", "a[0]", "2**-1", "(1", "1 2", "RANDOM"])
def test_what_the_script_does_not_settle_is_not_known(text: str) -> None:
    assert evaluate(text, _scope()) is None


def test_a_variable_that_is_set_to_something_unknown_is_unknown() -> None:
    scope = _scope()
    assert evaluate("x = u + 1", scope) is None
    held = scope.value("x")
    assert held is not None
    assert held.expands


COMPUTED = r"""
kill -9 $((0-1))
x=2; kill -9 $((x-3))
i=0; let i=i-1; kill -9 $i
declare -i n=5-6; kill -9 $n
(( n = 1 - 2 )); kill -9 "$n"
init $((3+3))
p=abc/etcabc; o=3; rm -rf "${p:o:4}"
p=zz/usr; rm -rf "${p: -4}"
p=/usr/xx; rm -rf "${p:0:-3}"
p='\x2fusr'; rm -rf "${p@E}"
declare -n target=HOME; rm -r --force -- "$target"
f() { local -n p=$1; rm -rf "$p"; }; f HOME
declare -n r=x; r=/usr; rm -rf "$x"
a=(x y /usr); i=1; rm -rf "${a[i+1]}"
a=(x /usr); i=0; while (( i < 2 )); do rm -rf "${a[i]}"; (( i++ )); done
a=(x /usr); for ((i = 0; i < 2; i++)); do rm -rf "${a[i]}"; done
a[0]=rm; a[1]=-rf; a[2]=/usr; "${a[@]}"
declare -A m; m[x]=/usr; rm -rf "${m[x]}"
set -- a b /usr; shift 2; rm -rf "$1"
set -- x /usr; rm -rf "${!#}"
IFS=, read -r a b c <<< 'rm,-rf,/usr'; $a $b $c
IFS=: read -ra w <<< 'rm:-rf:/usr'; "${w[@]}"
mapfile -d: -t w <<< 'rm:-rf:/usr:'; "${w[@]}"
printf -v c '%b' '\0162\0155'; $c -rf /usr
: /usr; rm -rf "$_"
$UNKNOWN -rf /usr
""".strip().splitlines()


@pytest.mark.parametrize("script", COMPUTED)
def test_a_value_that_can_be_worked_out_is_judged_as_if_it_stood_there(script: str) -> None:
    assert verdict(script) == "deny"


EVALUATED = r"""
(( x ))
echo $(( x + 1 ))
let x
let 'x + 1'
[[ $x -eq 1 ]]
[[ -v $x ]]
test -v "$x"
printf -v "$x" y
unset "$x"
declare "$x=1"
declare -i y=x
declare -i y; y=x
b=(1 2); echo "${b[x]}"
b[x]=1
s=abc; echo "${s:x:1}"
declare -n r="$x"; echo "$r"
echo "${!x}"
for ((i = x; i < 1; i++)); do :; done
y=x; (( y ))
echo "${x@P}"
""".strip().splitlines()


@pytest.mark.parametrize("script", EVALUATED)
def test_code_in_a_value_is_judged_where_the_shell_evaluates_it(script: str) -> None:
    assert verdict(f"x='a[$(rm -rf /usr)]'; {script}") == "deny"
    assert verdict(f"x='a[$(./tool)]'; {script}") == "needs_approval"


FED = r"""
coproc S { sh; }; echo 'rm -rf /usr' >&"${S[1]}"
coproc bash; echo 'rm -rf /usr' >&"${COPROC[1]}"
exec 3> >(bash); echo 'rm -rf /usr' >&3
exec {fd}> >(sh); echo 'rm -rf /usr' >&$fd
echo 'rm -rf /usr' > >(bash)
tee >(sh) <<< 'rm -rf /usr'
mkfifo p; sh p & echo 'rm -rf /usr' > p
""".strip().splitlines()


@pytest.mark.parametrize("script", FED)
def test_a_shell_is_judged_by_what_a_descriptor_sends_it(script: str) -> None:
    assert verdict(script) == "deny"


BOMBS = r"""
b() { $FUNCNAME | $FUNCNAME & }; b
b() { "${FUNCNAME[0]}" & "${FUNCNAME[0]}"; }; b
b() { local me=$FUNCNAME; $me | $me & }; b
printf 'bash "$BASH_SOURCE" & bash "$BASH_SOURCE" &\n' > b.sh; bash b.sh
printf 'all:\n\t$(MAKE) all &\n\t$(MAKE) all\n' > Makefile; make
""".strip().splitlines()


@pytest.mark.parametrize("script", BOMBS)
def test_what_starts_itself_by_another_name_for_itself_is_a_bomb(script: str) -> None:
    assert verdict(script) == "deny"


EVERYDAY = r"""
i=0; for f in *.txt; do arr[i++]=$f; done; echo "${arr[$((i-1))]}"
declare -A seen=(); while read -r n; do [[ -v seen[$n] ]] && echo "$n"; seen[$n]=1; done < names.txt
coproc BC { bc -l; }; echo '2+2' >&"${BC[1]}"; read -r r <&"${BC[0]}"; echo "$r"
exec 3> >(tee build.log); make >&3
log() { printf '%s %s\n' "${FUNCNAME[1]}" "$*"; }; log start
walk() { for f in "$1"/*; do [ -d "$f" ] && walk "$f"; done; }; walk src
mkdir -p build/x && cd "$_" && rm -rf -- *
n=$(nproc); make -j $((n > 8 ? 8 : n))
v=$(git describe); echo "${v:1}" "${v@Q}"
printf 'all:\n\t$(MAKE) -C src all\n' > Makefile; make
while (( tries++ < 5 )); do curl -fs localhost:8080 && break; sleep 1; done
""".strip().splitlines()


@pytest.mark.parametrize("script", EVERYDAY)
def test_everyday_scripts_may_compute(script: str) -> None:
    assert verdict(script) == "allow"
