"""What the rules know of SQL, of tools with nouns and verbs, and of git's settings."""

from __future__ import annotations

import pytest
from standard_rules import RULES

from orchestrator.outcome import Call
from orchestrator.policy.decide import Context, decide
from orchestrator.policy.git_settings import settings
from orchestrator.policy.sql import destroys
from orchestrator.policy.verbs import Verbs, rehearses


@pytest.mark.parametrize(
    "text",
    [
        "drop table a", "select 1; DROP/* x */TABLE a", "/*!50000 drop table a */", "truncate a", "delete from a",
        "delete from a where 1=1", "delete from a where x = 1 or 'a' = 'a'", "delete from a where (2 > 1) and true",
        "update a set b = 1", "update a set b = (select c from d where e = 1)", "update a set b = 1 where not false",
        "with d as (delete from a returning *) select * from d", "explain analyze delete from a",
        "alter table a drop column b", "alter role me superuser", "grant all on a to b", "copy a to program 'sh'",
        "select 1 into outfile '/x'", "select '\\'; drop table a; --'", "do $$ begin execute 'drop table a'; end $$",
        "exec('drop ' + 'table a')", "\\! id", "select 1 \\g | sh", ".shell id", "create language plpython3u",
        "select pg_read_file('/x')", "match (n) detach delete n", "delete from a where id is not null",
    ],
)  # fmt: skip
def test_sql_that_destroys_is_known_however_it_is_written(text: str) -> None:
    assert destroys(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "drop", "truncate", "select 'drop table a'", "select 1 -- drop table a", "/* truncate a */ select 1",
        'select "drop table a" from b', "select truncate(1.5, 1)", "delete from a where id = 1",
        "update a set b = 1 where c between 1 and 2", "delete from a where deleted_at is not null",
        "insert into a values (1) on conflict do update set b = 1", "select * from a for update",
        "create table a (b int references c on delete cascade)", "alter table a alter b drop not null",
        "update a set b = 1 where c = 2 or d = 3", "delete from a where b = 'x' and 1 = 1", "select it''s from a",
        "select $$ drop table a $$", "create trigger t before delete on a", "app.db", ".tables",
    ],
)  # fmt: skip
def test_sql_that_only_speaks_of_destroying_is_left_alone(text: str) -> None:
    assert not destroys(text)


@pytest.mark.parametrize(
    ("operands", "found"),
    [
        ("ec2 terminate-instances", True), ("compute instances delete vm", True), ("apps:delete", True),
        ("iam put-user-policy", True), ("config SET dir", True), ("compute instances list delete", False),
        ("get delete", False), ("config get set", False), ("logs delete-log-group", True), ("undeleted", False),
        ("describe-delete", False), ("issue create delete", False), ("delete.txt", False), ("", False),
    ],
)  # fmt: skip
def test_the_first_action_among_the_operands_decides(operands: str, found: bool) -> None:
    wanted = Verbs(("delete", "terminate", "put-*", "config set"))
    assert wanted.decide(tuple(operands.split())) is found


@pytest.mark.parametrize(
    ("flags", "operands", "rehearsed"),
    [
        (("--dry-run",), ("publish",), True), (("--dry-run=client",), ("delete",), True), (("--help",), (), True),
        (("--dry-run=none",), ("delete",), False), (("--dry-run", "--no-dry-run"), (), False),
        ((), ("help", "push"), True), ((), ("ec2", "help"), True), (("--force",), ("push",), False),
    ],
)  # fmt: skip
def test_a_rehearsal_is_told_from_the_real_thing(
    flags: tuple[str, ...], operands: tuple[str, ...], rehearsed: bool
) -> None:
    assert rehearses("aws", flags, operands) is rehearsed


@pytest.mark.parametrize(
    ("command", "wanted"),
    [
        ("git -c Core.Pager=x log", ["core.pager=x"]), ("git clone --config a.b=c url", ["a.b=c"]),
        ("git clone --config=a.b=c url", ["a.b=c"]), ("git --config-env=a.b=N log", ["a.b=$N"]),
        ("git --config-env a.b=N log", ["a.b=$N"]), ("git config a.b c", ["a.b=c"]),
        ("git config set --global a.b c", ["a.b=c"]), ("git config -f x a.b c", ["a.b=c"]), ("git config a.b", []),
        ("git config --get a.b c", []), ("git config unset a.b", []), ("git commit -m a.b=c", []),
        ("git switch -c feature", []),
    ],
)  # fmt: skip
def test_git_settings_have_one_form_however_they_are_given(command: str, wanted: list[str]) -> None:
    words = tuple(command.split())
    operands = words[words.index("config") :] if "config" in words else words[1:]
    assert list(settings(words, operands)) == wanted


def verdict(script: str) -> str:
    argv = ("bash", "-c", script)
    call = Call(0, "bash", "process", argv[1:], argv, {}, "/home/user/work", 1_000)
    context = Context(risk="low", home_dir="/home/user/work", workspace="/home/user/work", user_home="/home/user")
    return decide(call, RULES, context).verdict


TO_THE_MACHINE = (
    "privileged: true", "pid: host", "volumes: ['/:/host']", "volumes: [\"/etc:/e:ro\"]", "volumes: ['~/.ssh:/k']",
    "volumes: ['/var/run/docker.sock:/s']", "cap_add: [SYS_ADMIN]", "security_opt: ['seccomp:unconfined']",
    "volumes: [{type: bind, source: /, target: /h}]",
)  # fmt: skip
HARMLESS = (
    "privileged: false", "volumes: ['./a:/etc/app', 'data:/var/lib/x']", "# privileged: true", "pid: service:web",
    "volumes: ['/etc/localtime:/etc/localtime:ro']", "cap_add: [NET_BIND_SERVICE]", "command: ls /etc",
)  # fmt: skip
HANDED_OVER = (
    "docker compose -f - up -d <<'E'\n@\nE",
    "cat > docker-compose.override.yml <<'E'\n@\nE\ndocker compose up",
    "cat <<'E' > /tmp/c.yml\n@\nE\npodman-compose -f /tmp/c.yml up -d",
)


@pytest.mark.parametrize("way", HANDED_OVER)
def test_a_description_of_containers_is_read_where_the_script_has_written_it(way: str) -> None:
    described = {text: verdict(way.replace("@", f"services:\n  a:\n    {text}")) for text in TO_THE_MACHINE + HARMLESS}
    wanted = dict.fromkeys(TO_THE_MACHINE, "needs_approval") | dict.fromkeys(HARMLESS, "allow")
    assert described == wanted


WRITTEN_AND_READ = r"""
echo 'drop/**/table a;' > x.sql; psql -f x.sql app
printf 'TRUNCATE a;\n' > /tmp/x.sql; psql "$DSN" --file=/tmp/x.sql
echo 'drop table a' > x; cat x | mysql app
echo 'drop table a' > x.sql; sqlite3 app.db '.read x.sql'
echo 'db.dropDatabase()' > x.js; mongosh "$URL" --file x.js
echo "return redis.call('flushall')" > f.lua; redis-cli --eval f.lua
""".strip().splitlines()


@pytest.mark.parametrize("script", WRITTEN_AND_READ)
def test_a_file_that_the_script_writes_for_a_client_is_read(script: str) -> None:
    assert verdict(script) == "needs_approval"
    for destroying in (
        "drop/**/table a",
        "drop table a",
        "TRUNCATE a",
        "db.dropDatabase()",
        "return redis.call('flushall')",
    ):
        script = script.replace(destroying, "select 1")
    assert verdict(script) == "allow"


EMPTIES = r"""
python3 -c "from app import db; db.drop_all()"
python3 -c "import redis; redis.Redis(host='cache').flushall()"
python3 -c "[cur.execute(f'DROP TABLE {t}') for t in ('a', 'b')]"
python3 -c "c.cursor().execute('TRUN' + 'CATE ' + t)"
python3 -c "MongoClient(u).app.users.delete_many({})"
python3 -c "User.objects.all().delete()"
python3 -c "call_command('flush', interactive=False)"
node -e "c.connect().then(() => c.query('DROP' + ' TABLE users'))"
node -e "p.user.deleteMany({})"
node -e "sequelize.sync({force: true})"
node -e "new Redis(url).flushall()"
ruby -rpg -e 'PG.connect(ENV["DSN"]).exec("DROP TABLE users")'
perl -MDBI -e 'DBI->connect("dbi:Pg:dbname=app")->do("TRUNCATE users")'
rails runner 'User.delete_all'
flask shell <<< 'db.drop_all()'
""".strip().splitlines()

EMPTIES_NOTHING = r"""
python3 -c "import sqlite3; c = sqlite3.connect(':memory:'); c.execute('drop table t')"
python3 -c "cur.execute('DELETE FROM sessions WHERE expires < ?', (0,))"
python3 -c "df = df.drop(columns=['x']).drop_duplicates()"
python3 -c "print('DROP TABLE users; db.drop_all()')"
node -e "const m = new Map(); m.delete('x'); m.clear(); console.log('TRUNCATE users')"
node -e "p.user.deleteMany({where: {id: 1}})"
node -e "console.log(/drop table x/.exec('y'))"
rails runner 'puts User.count'
""".strip().splitlines()


@pytest.mark.parametrize("script", EMPTIES)
def test_code_that_empties_a_database_needs_approval(script: str) -> None:
    assert verdict(script) == "needs_approval"


@pytest.mark.parametrize("script", EMPTIES_NOTHING)
def test_code_that_empties_no_database_runs(script: str) -> None:
    assert verdict(script) == "allow"
