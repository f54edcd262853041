"""The names of Python's calls that start programs, touch files, run code or speak to other machines.

Rule: data only, and full names, as imports make them. How a call is read stands in `python_code`.
"""

from __future__ import annotations

SCRIPTS = frozenset(
    ("os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput", "commands.getoutput",
     "asyncio.create_subprocess_shell", "pexpect.run", "pexpect.spawn", "invoke.run", "platform.popen")
)  # fmt: skip
PROGRAMS = frozenset(
    [f"subprocess.{name}" for name in ("run", "call", "check_call", "check_output", "Popen")]
    + ["pty.spawn", "os.posix_spawn", "os.posix_spawnp", "asyncio.create_subprocess_exec"]
)
FILES: dict[str, tuple[str, ...]] = {
    "os.remove": ("rm",), "os.unlink": ("rm",), "os.rmdir": ("rmdir",), "os.removedirs": ("rm", "-r"),
    "shutil.rmtree": ("rm", "-r"), "shutil.move": ("mv",), "os.rename": ("mv",), "os.replace": ("mv",),
    "os.renames": ("mv",), "os.chmod": ("chmod",), "os.chown": ("chown",), "os.lchown": ("chown",),
    "shutil.chown": ("chown",), "os.truncate": ("truncate",), "shutil.copy": ("cp",), "shutil.copy2": ("cp",),
    "shutil.copyfile": ("cp",), "shutil.copytree": ("cp", "-r"), "os.symlink": ("ln", "-s"), "os.link": ("ln",),
    "send2trash.send2trash": ("rm", "-r"), "send2trash": ("rm", "-r"),
}  # fmt: skip
METHODS: dict[str, tuple[str, ...]] = {
    "unlink": ("rm",), "rmdir": ("rmdir",), "read_text": ("cat",), "read_bytes": ("cat",), "rename": ("mv",),
    "chmod": ("chmod",), "rmtree": ("rm", "-r"), "symlink_to": ("ln", "-s"),
}  # fmt: skip
WRITE_METHODS = frozenset(("write_text", "write_bytes", "touch"))
CODE = frozenset(
    ("exec", "eval", "builtins.exec", "builtins.eval", "compile", "__builtins__.exec", "__builtins__.eval")
)
SENDERS = (
    "urllib.request.", "requests.", "httpx.", "http.client.", "smtplib.", "ftplib.", "paramiko.", "socket.", "aiohttp.",
    "boto3.", "telnetlib.", "websocket",
)  # fmt: skip
