"""What a person sees on a terminal of some width: real pseudo-terminals."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios

import pytest
from conftest import House, smoke
from rich.console import Console

from orchestrator.cli.demo.board import Row, _table
from orchestrator.cli.demo.specs import pieces

LONG = "cmd-20260301T120000Z-0123"


def on_a_terminal(house: House, columns, *arguments):
    """The lines that a command prints on a terminal, without colours."""
    terminal, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"} | {"TERM": "xterm"}
    process = subprocess.Popen(house.command(*arguments), stdout=end, stderr=subprocess.DEVNULL, env=environment)
    os.close(end)
    output = b""
    while chunk := _read(terminal):
        output += chunk
    os.close(terminal)
    assert process.wait(60) == 0
    return re.sub(r"\x1b\[[0-9;]*m", "", output.decode()).splitlines()


def _read(terminal):
    try:
        return os.read(terminal, 65_536)
    except OSError:  # what Linux says once the other end is closed
        return b""


@pytest.mark.parametrize(
    ("columns", "without"), [(200, set()), (80, {"PRIORITY", "STATE"}), (50, {"PRIORITY", "STATE", "TOOK"})]
)
def test_list_shows_one_line_for_each_task_however_narrow_the_terminal(house, columns, without):
    house.drop(smoke(LONG, title="A title that is longer than what is left for it on a terminal of eighty columns"))
    house.drop(smoke("short"))
    lines = on_a_terminal(house, columns, "list")
    assert len(lines) == 3
    assert max(map(len, lines)) <= columns
    shown = set(lines[0].split())
    assert {"NAME", "STATE", "STATUS", "PRIORITY", "AGE", "TOOK", "WHY"} - shown == without
    assert any(line.startswith(LONG[:11]) for line in lines)


def test_list_in_a_pipe_cuts_nothing(house):
    title = "A title that is longer than what is left for it on a terminal of eighty columns, and " + "x" * 200
    house.drop(smoke(LONG, title=title))
    assert title in house.run("list").stdout


def test_the_demos_table_keeps_every_column_and_one_line_a_task():
    rows = [Row(piece) for piece in pieces("http://localhost:1")[0][:3]]
    for row in rows:
        row.result = {"status": "failed", "duration_ms": 1_234.0, "reason": "acceptance_failed: " + "x" * 200}
    columns = int(os.environ.get("COLUMNS", "80"))
    console = Console(width=columns, record=True, file=open(os.devnull, "w"))
    console.print(_table(rows))
    lines = console.export_text().splitlines()
    assert len(lines) == 1 + len(rows)
    assert lines[0].split() == ["task", "state", "took", "what"]
    assert all("1.2 s" in line and line.rstrip().endswith("…") for line in lines[1:])
