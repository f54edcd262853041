"""What the tests share: a home of one's own, a real daemon in it, and how a missing part is said."""

import contextlib
import fcntl
import json
import os
import resource
import shutil
import signal
import sys
import threading
from pathlib import Path

import fork_server
import pytest

from orchestrator.daemon import mark_of
from orchestrator.home import Home, daemon_pid
from orchestrator.runners.process import sweep
from orchestrator.seed import plant

PATIENCE_S = 60
# A shell ignores Ctrl-C for what it starts in the background, and so would all that we start from there.
signal.signal(signal.SIGINT, signal.default_int_handler)


def require(condition, sentence):
    """Skip the test with a sentence where a user's machine lacks a part; in CI a lack is a failure."""
    if condition:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI must have this part: {sentence}")
    pytest.skip(sentence)


def require_program(name):
    require(shutil.which(name), f"{name} is not installed")


def until(predicate, what="it"):
    """Wait for something that another process does; fails after a minute."""
    pause = threading.Event()
    for _ in range(PATIENCE_S * 200):
        if answer := predicate():
            return answer
        pause.wait(0.005)
    raise AssertionError(f"waited {PATIENCE_S} s in vain for {what}")


def alive(pid):
    """Whether a process runs; one that is dead and waits for its parent to ask does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def smoke(task_id="tsk_x", script="echo ok", **fields):
    """A small spec as a dict."""
    return {
        "id": task_id,
        "title": f"Test {task_id}",
        "risk": "low",
        "skills": ["bash"],
        "steps": [{"skill": "bash", "args": ["-c", script]}],
    } | fields


class House:
    """A home in a temporary folder, used through files and the command line, as a person would.

    Most tests meet their steps outside of the workspace, or look for them by the host's process ids; so here the
    sandbox is off until a test sets `sandbox` to another level.
    """

    sandbox = "none"

    def __init__(self, root):
        self.root = Path(root)
        self.home = Home(str(root))
        plant(self.home)
        self.process = None

    def drop(self, spec, name=None):
        """Put a spec into inbox as our own writers do: a dot-name, then a rename."""
        name = name or f"{spec['id']}.json"
        temporary = Path(self.home.inbox) / f".{name}.tmp"
        temporary.write_text(spec if isinstance(spec, str) else json.dumps(spec))
        temporary.rename(Path(self.home.inbox) / name)

    @property
    def environ(self):
        return {**os.environ, "ORCHESTRATOR_SANDBOX__LEVEL": self.sandbox}

    def command(self, *args):
        return [sys.executable, "-m", "orchestrator", "--home", str(self.root), *args]

    def run(self, *args, env=None, **options):
        """Run one command to its end."""
        environment = {**self.environ, "NO_COLOR": "1", **(env or {})}
        environment.pop("ORCHESTRATOR_HOME", None)
        return fork_server.run(self.command(*args), environment, PATIENCE_S, **options)

    def start(self, env=None):
        """Start a daemon and return when it is ready."""
        with open(self.root / "daemon.log", "ab") as log:
            self.process = fork_server.start(self.command("run"), {**self.environ, **(env or {})}, log)
        until(lambda: daemon_pid(self.home) == self.process.pid or self.process.poll() is not None, "the daemon")
        assert self.process.poll() is None, (self.root / "daemon.log").read_text()
        return self.process

    def stop(self, number=signal.SIGTERM):
        if self.process is not None:
            if self.process.poll() is None:
                self.process.send_signal(number)
            code = self.process.wait(PATIENCE_S)
            self.process = None
            return code
        return None

    def names(self, state):
        return sorted(name for name in os.listdir(f"{self.home.queue}/{state}") if not name.startswith("."))

    def result(self, stem):
        """The result of an ended task, waited for: its spec stands in done/ or failed/, the result beside."""

        def ended():
            for state in ("done", "failed"):
                folder = Path(self.home.queue) / state
                if any((folder / (stem + suffix)).exists() for suffix in (".json", ".yaml", ".yml", "")):
                    return json.loads((folder / f"{stem}.result.json").read_text()) | {"state": state}
            return None

        return until(ended, f"{stem} to end")

    def telemetry(self):
        lines = []
        for file in sorted(Path(self.home.telemetry).glob("*.ndjson")):
            lines += [json.loads(line) for line in file.read_text().splitlines()]
        return lines


@contextlib.contextmanager
def leased(path):
    """Hold a lease on a file: whoever opens it meanwhile waits, or is told to come again. Linux alone has it."""
    lease = os.open(path, os.O_RDONLY)
    try:
        fcntl.fcntl(lease, fcntl.F_SETSIG, signal.SIGURG)  # instead of the deadly SIGIO
        fcntl.fcntl(lease, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        yield
    finally:
        os.close(lease)


@contextlib.contextmanager
def no_descriptor_left():
    """This process can open nothing more."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture
def home(tmp_path):
    """The folders of a home, without a seed."""
    home = Home(str(tmp_path))
    home.prepare()
    return home


@pytest.fixture
def house(tmp_path):
    house = House(tmp_path / "home")
    yield house
    house.stop(signal.SIGKILL)
    sweep(mark_of(house.home))


@pytest.fixture
def daemon(house):
    """A house with a running daemon."""
    house.start()
    return house


@pytest.fixture(scope="session")
def scripted_model(tmp_path_factory):
    """The file of a model that answers by `model_server.TABLE`."""
    import model_server

    model_server.program()
    return model_server.write_model(tmp_path_factory.mktemp("model") / "scripted.gguf")


@pytest.fixture(scope="session")
def llama(scripted_model):
    """A real llama-server for those who leave it as it is: two slots of 4096 tokens."""
    import model_server

    server = model_server.LlamaServer(scripted_model).start()
    yield server
    server.kill()


@pytest.fixture
def own_llama(scripted_model):
    """Makes llama-servers that a test may kill."""
    import model_server

    servers = []

    def make(model=scripted_model, **options):
        servers.append(model_server.LlamaServer(model, **options).start())
        return servers[-1]

    yield make
    for server in servers:
        server.kill()
