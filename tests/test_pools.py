"""What tasks share: no more of it is given out than there is, in order, and everybody gets it in the end."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.intake.load import SpecError, load_task
from orchestrator.pools import Pools, of_skill, suspicions, too_much, wants_of
from orchestrator.scheduler.backlog import Backlog, Ready, Waiting
from orchestrator.spec import LEVEL

READY = Ready(prepared=None, spec=b"")  # type: ignore[arg-type]
SIZES = {"gpu": 2, "disk": 3, of_skill("model"): 1}


def waiting(name, resources, arrived=0.0, *, priority="medium", skills=(), task_id=None):
    return Waiting(
        name, name, task_id or name, priority, arrived, (1, 1, 1), "", resources=resources, skills=tuple(skills)
    )


def backlog_of(*tasks, sizes=SIZES):
    backlog = Backlog(900.0, sizes)
    for task in tasks:
        backlog.add(task, READY)
    return backlog


def all_that_start(backlog):
    started = []
    while (task := backlog.pop()) is not None:
        started.append(task)
    return started


def names(tasks):
    return [task.name for task in tasks]


def end(backlog, task):
    backlog.give_back(task)
    backlog.free(task)


def test_a_name_without_a_pool_is_a_lock_of_one_and_who_asks_for_none_of_it_passes():
    first, second = waiting("first", {"db": 1}, 1), waiting("second", {"db": 1}, 2)
    backlog = backlog_of(first, second, waiting("free", {}, 3))
    assert names(all_that_start(backlog)) == ["first", "free"]
    end(backlog, first)
    assert names(all_that_start(backlog)) == ["second"]


def test_one_that_waits_for_much_is_not_overtaken_by_small_ones_behind_it():
    small, much = waiting("small", {"gpu": 1}, 1), waiting("much", {"gpu": 2}, 2)
    backlog = backlog_of(small, much, waiting("later", {"gpu": 1}, 3))
    assert names(all_that_start(backlog)) == ["small"]
    end(backlog, small)
    assert names(all_that_start(backlog)) == ["much"]
    end(backlog, much)
    assert names(all_that_start(backlog)) == ["later"]


def test_one_that_waits_for_two_things_is_overtaken_at_neither():
    holder, both = waiting("holder", {"db": 1}, 1), waiting("both", {"db": 1, "disk": 3}, 2)
    backlog = backlog_of(holder, both, waiting("disk", {"disk": 1}, 3))
    assert names(all_that_start(backlog)) == ["holder"]
    end(backlog, holder)
    assert names(all_that_start(backlog)) == ["both"]


def test_an_urgent_one_goes_before_those_that_wait():
    holder = waiting("holder", {"db": 1}, 1)
    backlog = backlog_of(holder, waiting("low", {"db": 1}, 2, priority="low"))
    all_that_start(backlog)
    urgent = waiting("urgent", {"db": 1}, 3, priority="urgent")
    backlog.add(urgent, READY)
    end(backlog, holder)
    assert names(all_that_start(backlog)) == ["urgent"]
    end(backlog, urgent)
    assert names(all_that_start(backlog)) == ["low"]


def test_a_skill_with_a_limit_is_used_by_so_many_tasks_at_once():
    first = waiting("first", {}, 1, skills=["bash", "model"])
    backlog = backlog_of(first, waiting("second", {}, 2, skills=["model"]), waiting("other", {}, 3, skills=["bash"]))
    assert names(all_that_start(backlog)) == ["first", "other"]
    end(backlog, first)
    assert names(all_that_start(backlog)) == ["second"]


def test_when_the_next_one_is_withdrawn_the_one_behind_it_has_its_turn():
    holder, much = waiting("holder", {"gpu": 1}, 1), waiting("much", {"gpu": 2}, 2)
    backlog = backlog_of(holder, much, waiting("small", {"gpu": 1}, 3))
    all_that_start(backlog)
    backlog.remove("much")
    assert names(all_that_start(backlog)) == ["small"]


def test_one_that_waits_for_its_namesake_holds_up_nobody_at_a_lock():
    first = waiting("first", {}, 1, task_id="same")
    backlog = backlog_of(first, waiting("again", {"db": 1}, 2, task_id="same"), waiting("other", {"db": 1}, 3))
    assert names(all_that_start(backlog)) == ["first", "other"]


def test_what_a_dead_daemon_had_begun_has_its_slots_before_anybody_else():
    left = waiting("left", {"gpu": 2})
    backlog = backlog_of(waiting("new", {"gpu": 1}))
    backlog.occupy(left)
    backlog.hold_slots(left)
    assert all_that_start(backlog) == []
    end(backlog, left)
    assert names(all_that_start(backlog)) == ["new"]


def test_new_sizes_count_for_those_that_wait_and_take_nothing_from_those_that_hold():
    holder, small, much = (
        waiting("holder", {"gpu": 2}, 1),
        waiting("small", {"gpu": 1}, 2),
        waiting("much", {"gpu": 2}, 3),
    )
    backlog = backlog_of(holder, small, much)
    assert names(all_that_start(backlog)) == ["holder"]
    backlog.use(900.0, {"gpu": 3})
    assert names(all_that_start(backlog)) == ["small"]
    backlog.use(900.0, {"gpu": 1})
    # It can never have two of one, so its turn is to be refused; it holds nothing.
    assert names(all_that_start(backlog)) == ["much"]
    end(backlog, small)
    backlog.add(waiting("last", {"gpu": 1}, 4), READY)
    assert all_that_start(backlog) == []
    end(backlog, holder)
    assert names(all_that_start(backlog)) == ["last"]


WANTS = st.dictionaries(st.sampled_from(["gpu", "disk", "db", "net"]), st.integers(1, 2), max_size=3).map(
    lambda wants: {name: min(number, SIZES.get(name, 1)) for name, number in wants.items()}
)
TASK = st.tuples(WANTS, st.sampled_from(list(LEVEL)), st.lists(st.sampled_from(["bash", "model"]), unique=True))


@given(st.lists(TASK, max_size=20), st.data())
def test_however_tasks_come_and_end_no_pool_is_overdrawn_nobody_overtakes_and_all_start(tasks, data):
    backlog, running, waits, unseen = Backlog(1.0, SIZES), [], [], list(enumerate(tasks))
    place = {}
    while unseen or running:
        if unseen and (not running or data.draw(st.booleans())):
            number, (wants, priority, skills) = unseen.pop(0)
            task = waiting(str(number), wants, float(number), priority=priority, skills=skills)
            place[task] = (number - LEVEL[priority], number)
            waits.append(task)
            backlog.add(task, READY)
        else:
            end(backlog, running.pop(data.draw(st.integers(0, len(running) - 1))))
        if waits and data.draw(st.integers(0, 9)) == 9:
            backlog.remove(waits.pop(0).name)
        if (task := backlog.pop()) is None:
            assert running or not waits, "nobody runs, and nobody may start"
            continue
        waits.remove(task)
        mine = wants_of(task.resources, task.skills, SIZES)
        for other in waits:
            shared = mine.keys() & wants_of(other.resources, other.skills, SIZES).keys()
            assert not shared or place[task] < place[other], "one was overtaken"
        running.append(task)
        for name in mine:
            used = sum(wants_of(one.resources, one.skills, SIZES).get(name, 0) for one in running)
            assert used <= SIZES.get(name, 1)
    assert waits == list(backlog.names()) == []


def test_ten_thousand_that_wait_for_one_lock_are_not_gone_through_at_each_turn(monkeypatch):
    looks = itertools.count()
    lack = Pools.lack
    monkeypatch.setattr(Pools, "lack", lambda pools, item: (next(looks), lack(pools, item))[1])
    count = 10_000
    backlog = backlog_of(*(waiting(str(number), {"db": 1}, float(number)) for number in range(count)))
    for number in range(count):
        (task,) = all_that_start(backlog)
        assert task.name == str(number)
        end(backlog, task)
    assert next(looks) <= 3 * count


def test_whom_a_task_waits_for_is_said_by_name():
    pools = Pools({"gpu": 2, of_skill("model"): 1})
    pools.hold("train", {"gpu": 1, of_skill("model"): 1})
    pools.hold("render", {"gpu": 1, "db": 1})
    for order, (name, wants) in enumerate(
        {"big": {"gpu": 2}, "next": {"gpu": 1}, "lock": {"db": 1}, "ask": {of_skill("model"): 1}}.items()
    ):
        pools.enter(name, order, wants)
    assert [pools.lack(name).sentence(pools.sizes) for name in ("big", "next", "lock", "ask")] == [
        "waits for 2 gpu (held by train, render)",
        "waits for 1 gpu (after big)",
        "waits for lock db (held by render)",
        "waits for skill model (held by train)",
    ]
    assert pools.waiters("gpu") == [("big", 2), ("next", 1)]


def test_who_asks_for_more_than_there_is_hears_how_much_there_is():
    assert too_much("gpu", 2, {"gpu": 2}) == too_much("db", 1, {}) == ""
    assert "asks for 3, but the pool has 2" in too_much("gpu", 3, {"gpu": 2})
    assert "it is a lock" in too_much("db", 2, {"gpu": 2})


def test_a_lock_that_is_probably_a_misspelt_pool_is_found():
    sizes = {"gpu": 1, of_skill("model"): 1}
    for name in ("gpus", "GPU"):
        (said,) = suspicions({name: 1}, sizes)
        assert f"resources.{name}: there is no pool of this name" in said
        assert said.endswith("did you mean the pool 'gpu'?")
    assert suspicions({"gpu": 1, "database": 1, "skill": 1}, sizes) == []


@pytest.mark.parametrize("ending", ["json", "yaml"])
def test_who_asks_for_more_than_a_pool_has_is_refused_with_line_and_nearest_name(ending):
    spec = (
        b'{"id": "a", "title": "T", "skills": ["bash"],\n'
        b'"steps": [{"skill": "bash"}],\n"resources": {"gpu": 3,\n"gpus": 2}}'
    )
    with pytest.raises(SpecError) as caught:
        load_task(spec, f"a.{ending}", pools={"gpu": 2})
    told = [problem.render("a") for problem in caught.value.problems]
    assert [line[:8] for line in told] == ["a:3:22: ", "a:4:9: r"]
    assert "the pool has 2" in told[0]
    assert told[1].endswith("(did you mean 'gpu'?)")
