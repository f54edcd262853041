"""What the rules know of SQL, of tools with nouns and verbs, and of git's settings."""

from __future__ import annotations

import pytest

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
