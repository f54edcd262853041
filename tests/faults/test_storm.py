"""Daemons that are killed at any moment lose nothing, run nothing twice, and leave nobody behind."""

import sys

import pytest
from conftest import require_program
from storm import Storm

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the harness finds processes through /proc")


def weather(folder, **options):
    """One storm from its beginning to its tally."""
    require_program("flock")
    storm = Storm(folder, **options)
    try:
        return storm.run()
    finally:
        storm.close()


@pytest.mark.parametrize("daemons", [1, 2])
def test_a_hundred_specs_and_ten_kills_break_no_promise(tmp_path, daemons):
    tally = weather(tmp_path, specs=100, kills=10, daemons=daemons)
    assert not tally.problems, tally.table(f"{daemons} daemons")
    assert tally.kills >= 10
    assert sum(tally.statuses.values()) == 100


@pytest.mark.soak
@pytest.mark.parametrize(
    ("specs", "kills", "daemons", "sandbox"),
    [(4_000, 200, 1, "none"), (4_000, 200, 2, "none"), (1_000, 50, 1, "bwrap"), (1_000, 50, 2, "bwrap")],
)
def test_ten_thousand_specs_and_five_hundred_kills_break_no_promise(tmp_path, capsys, specs, kills, daemons, sandbox):
    if sandbox == "bwrap":
        require_program("bwrap")
    tally = weather(tmp_path, specs=specs, kills=kills, daemons=daemons, sandbox=sandbox)
    table = tally.table(f"storm: {daemons} competing daemons, sandbox {sandbox}")
    with capsys.disabled():
        print(f"\n{table}")
    assert not tally.problems, table
    assert tally.kills >= kills
    assert sum(tally.statuses.values()) == specs
