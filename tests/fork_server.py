"""Starts `python -m orchestrator …` as a process of its own, without the price of a new interpreter.

Imports are most of what a daemon's start and a short command cost, and the tests start hundreds of both. So one
process, that has imported everything, forks for each who asks. What is forked has a pid, an environment, a folder and
files of its own, is killed and stopped like any other, and ends as any other. Only /proc shows the parent's command
line and environment, so whoever gives it what is not in READ_LATER gets a new interpreter.
"""

import atexit
import functools
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor

AT_FIRST = dict(os.environ)
READ_AT_IMPORT = ("orchestrator.clock", "orchestrator.failpoint")
"""Modules that look into the environment as they are imported: they are imported anew."""
READ_LATER = (
    "ORCHESTRATOR_",
    "LOCAL_ALLOW_HIGH",
    "NO_COLOR",
    "PYTEST_CURRENT_TEST",
    "GIT_",
    "NOTIFY_SOCKET",
    "WATCHDOG_",
)
"""Beginnings of variables that nothing looks at before `main`."""


def start(command, env, stderr):
    """Start a daemon; it says nothing but to `stderr`, a file."""
    if not is_forked(command, env):
        return subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=stderr)
    with open(os.devnull, "w") as nowhere:
        return server().start(command[3:], env, (0, nowhere.fileno(), stderr.fileno()))


def run(command, env, timeout, **options):
    """Run a command to its end, as `subprocess.run` does."""
    if is_forked(command, env) and options.keys() <= {"cwd", "input"}:
        return server().run(command[3:], env, timeout, **options)
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=env, **options)


def is_forked(command, environment):
    changed = dict(environment.items() ^ AT_FIRST.items())
    return (
        hasattr(os, "pidfd_open")
        and command[:3] == [sys.executable, "-m", "orchestrator"]
        and all(name.startswith(READ_LATER) for name in changed)
    )


@functools.cache
def server():
    return ForkServer()


class Forked:
    """As much of a `subprocess.Popen` as tests use."""

    def __init__(self, server, pid):
        self._server, self.pid, self.returncode = server, pid, None
        self._end = os.pidfd_open(pid)

    def __del__(self):
        os.close(self._end)

    def poll(self):
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout=None):
        if self.returncode is None:
            ended = select.poll()
            ended.register(self._end, select.POLLIN)
            if not ended.poll(None if timeout is None else timeout * 1000):
                raise subprocess.TimeoutExpired(f"the process {self.pid}", timeout)
            self.returncode = self._server.ask(reap=self.pid)
        return self.returncode

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)


class ForkServer:
    """The near end. May be used by several threads at once."""

    def __init__(self):
        self._link, far = socket.socketpair()
        self._turn = threading.Lock()
        command = [sys.executable, __file__, str(far.fileno())]
        process = subprocess.Popen(command, pass_fds=[far.fileno()], stdin=subprocess.DEVNULL, env=AT_FIRST)
        far.close()
        self._answers = self._link.makefile()
        atexit.register(process.wait)
        atexit.register(self._link.shutdown, socket.SHUT_RDWR)

    def ask(self, files=(), **question):
        with self._turn:
            socket.send_fds(self._link, [b"?"], files)
            self._link.sendall(json.dumps(question).encode() + b"\n")
            return json.loads(self._answers.readline())

    def start(self, arguments, env, streams, cwd=None):
        question = {"arguments": arguments, "environment": env, "folder": str(cwd or os.getcwd())}
        return Forked(self, self.ask(streams, **question))

    def run(self, arguments, env, timeout, cwd=None, input=""):
        (stdin, feed), (out, stdout), (err, stderr) = os.pipe(), os.pipe(), os.pipe()
        process = self.start(arguments, env, (stdin, stdout, stderr), cwd)
        for far in (stdin, stdout, stderr):
            os.close(far)
        with ThreadPoolExecutor(3) as pool:
            pool.submit(_feed, feed, input)
            said = [pool.submit(_read, end) for end in (out, err)]
            try:
                code = process.wait(timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
            return subprocess.CompletedProcess(arguments, code, *(future.result(timeout) for future in said))


def _feed(end, text):
    with open(end, "w") as pipe:
        pipe.write(text)


def _read(end):
    with open(end) as pipe:
        return pipe.read()


def serve(link):
    """Fork for each who asks, until nobody can ask any more. Returns in what is forked, and nowhere else."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    questions = link.makefile()
    while True:
        head, files, _, _ = socket.recv_fds(link, 1, 3)
        if not head:
            sys.exit()
        question = json.loads(questions.readline())
        if "reap" in question:
            answer = os.waitstatus_to_exitcode(os.waitpid(question["reap"], 0)[1])
        elif not (answer := os.fork()):
            questions.close()
            link.close()
            return become(question, files)
        for file in files:
            os.close(file)
        link.sendall(b"%d\n" % answer)


def become(question, files):
    """Be what was asked for: all that a new interpreter would get from who starts it."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(question["folder"])
    os.environ.clear()
    os.environ.update(question["environment"])
    for name in READ_AT_IMPORT:
        importlib.reload(sys.modules[name])
    sys.stdin = open(0, closefd=False)
    sys.stdout = open(1, "w", closefd=False)
    sys.stderr = open(2, "w", buffering=1, closefd=False, errors="backslashreplace")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv[1:] = question["arguments"]


def main():
    link = socket.socket(fileno=int(sys.argv[1]))
    sys.path[0] = os.getcwd()  # as with `python -m`
    import orchestrator.cli.app
    import orchestrator.daemon  # noqa: F401
    from orchestrator.cli.front import main as answer
    from orchestrator.home import Home
    from orchestrator.policy.rules import load_rules
    from orchestrator.seed import plant

    with tempfile.TemporaryDirectory() as folder:
        plant(Home(folder))
        load_rules(f"{folder}/policy")  # so that their regular expressions are compiled once for all
    gc.freeze()
    serve(link)
    answer()


if __name__ == "__main__":
    main()
