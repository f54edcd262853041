"""What a daemon tells the service manager that started it, heard on a real socket."""

import asyncio
import os
import signal
import socket
import threading
import time

import pytest
from conftest import smoke, until

from orchestrator.supervisor import Supervisor

BEAT_S = 0.01
WATCHDOG = {"WATCHDOG_USEC": str(int(BEAT_S * 3e6))}


class Ear:
    """The manager's end of the socket."""

    def __init__(self, address):
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self.socket.settimeout(30)

    def next(self):
        """The next message, as the set of its lines."""
        return set(self.socket.recv(4096).decode().split("\n"))

    def waiting(self):
        """All messages that are there now."""
        self.socket.setblocking(False)
        found = []
        try:
            while True:
                found.append(self.next())
        except BlockingIOError:
            return found

    def until(self, line):
        """The messages up to the first that has a line which begins so."""
        heard = []
        while not heard or not any(one.startswith(line) for one in heard[-1]):
            heard.append(self.next())
        return heard


@pytest.fixture(params=["path", "abstract"])
def ear(request, tmp_path):
    ear = Ear(str(tmp_path / "notify") if request.param == "path" else f"@orchestrator-test-{os.getpid()}")
    yield ear
    ear.socket.close()


def grace(message):
    return next(int(line.partition("=")[2]) for line in message if line.startswith("EXTEND_TIMEOUT_USEC="))


def test_a_daemon_tells_its_whole_life(house, ear):
    house.start(env={"NOTIFY_SOCKET": ear.address, "WATCHDOG_USEC": "300000"})
    *starting, ready = ear.until("READY=1")
    assert "STATUS=0 running, 0 waiting" in ready
    assert starting
    assert all(grace(message) > 0 for message in starting)
    house.drop(smoke("slow", f"touch {house.root}/begun; while [ ! -e {house.root}/go ]; do sleep 0.01; done"))
    until((house.root / "begun").exists, "the task")
    heard = ear.until("STATUS=1 running")
    assert all("WATCHDOG=1" in message for message in heard)
    house.process.send_signal(signal.SIGHUP)
    (reloading,) = [message for message in ear.until("RELOADING=1") if "RELOADING=1" in message]
    (stamp,) = [int(line.partition("=")[2]) for line in reloading if line.startswith("MONOTONIC_USEC=")]
    assert 0 < stamp <= time.monotonic_ns() // 1000
    ear.until("READY=1")
    house.process.send_signal(signal.SIGTERM)
    stopping = ear.until("STOPPING=1")[-1]
    assert grace(stopping) > 0
    assert all("WATCHDOG=1" in beat and grace(beat) > 0 for beat in (ear.next(), ear.next()))
    (house.root / "go").touch()
    assert house.stop() == 0


def test_a_broken_configuration_ends_the_reload_too(house, tmp_path):
    ear = Ear(str(tmp_path / "notify"))
    house.start(env={"NOTIFY_SOCKET": ear.address})
    ear.until("READY=1")
    (house.root / "config/local.toml").write_text("nonsense")
    house.process.send_signal(signal.SIGHUP)
    ear.until("RELOADING=1")
    ear.until("READY=1")
    until(lambda: "reload refused" in (house.root / "daemon.log").read_text(), "the log")
    ear.socket.close()


async def test_a_blocked_loop_falls_silent(ear):
    supervisor = Supervisor({"NOTIFY_SOCKET": ear.address} | WATCHDOG)
    supervisor.attend()
    assert supervisor.ready(lambda: "well") == ""
    await asyncio.sleep(BEAT_S * 5)
    assert len([message for message in ear.waiting() if "WATCHDOG=1" in message]) > 1
    threading.Event().wait(BEAT_S * 20)  # the loop's thread waits: nothing of the loop can run
    assert ear.waiting() == []
    await asyncio.sleep(BEAT_S * 2)
    assert {"WATCHDOG=1", "STATUS=well"} in ear.waiting()
    supervisor.close()


async def test_the_watchdog_of_another_process_is_not_fed(ear):
    supervisor = Supervisor({"NOTIFY_SOCKET": ear.address, "WATCHDOG_PID": "1"} | WATCHDOG)
    supervisor.attend()
    assert ear.next() == {"EXTEND_TIMEOUT_USEC=30000000", "STATUS=starting"}
    supervisor.close()


def test_the_variables_are_taken_out_of_the_environment():
    environ = {"NOTIFY_SOCKET": "", "WATCHDOG_PID": "1", "OTHER": "x"} | WATCHDOG
    Supervisor(environ).close()
    assert environ == {"OTHER": "x"}


async def test_without_a_manager_nothing_is_sent_and_nothing_fails():
    supervisor = Supervisor({})
    supervisor.attend()
    assert supervisor.ready(lambda: "well") == ""
    with supervisor.reloading():
        pass
    supervisor.stopping()
    supervisor.close()


@pytest.mark.parametrize("address", ["vsock:2:1", "/nowhere/at/all", "/" + "x" * 200, "@"])
async def test_an_address_that_nobody_hears_at_is_told_and_costs_nothing(address):
    supervisor = Supervisor({"NOTIFY_SOCKET": address})
    supervisor.attend()
    assert address[:20] in supervisor.ready(lambda: "well")
    supervisor.close()


def test_a_daemon_that_the_manager_cannot_hear_serves_all_the_same(house):
    house.start(env={"NOTIFY_SOCKET": "/nowhere/at/all"})
    house.drop(smoke())
    assert house.result("tsk_x")["status"] == "ok"
    until(lambda: "can't be told that we serve" in (house.root / "daemon.log").read_text(), "the log")
