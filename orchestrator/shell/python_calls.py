"""The names of Python's calls that start programs, touch files, run code or speak to other machines.

Rule: data only, and full names, as imports make them. How a call is read stands in `python_deeds`.
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
    "os.renames": ("mv",), "os.chmod": ("chmod",), "os.lchmod": ("chmod",), "os.chown": ("chown",),
    "os.lchown": ("chown",), "shutil.chown": ("chown",), "os.truncate": ("truncate",), "shutil.copy": ("cp",),
    "shutil.copy2": ("cp",), "shutil.copyfile": ("cp",), "shutil.copytree": ("cp", "-r"), "os.symlink": ("ln", "-s"),
    "os.link": ("ln",), "send2trash.send2trash": ("rm", "-r"), "send2trash": ("rm", "-r"),
}  # fmt: skip
# Of functions that nobody else describes, by the last part of their names.
FILES_BY_END: dict[str, tuple[str, ...]] = {"rmtree": ("rm", "-r"), "remove_tree": ("rm", "-r")}
METHODS: dict[str, tuple[str, ...]] = {
    "unlink": ("rm",), "rmdir": ("rmdir",), "read_text": ("cat",), "read_bytes": ("cat",), "rename": ("mv",),
    "replace": ("mv",), "chmod": ("chmod",), "lchmod": ("chmod",), "rmtree": ("rm", "-r"), "symlink_to": ("ln", "-s"),
    "hardlink_to": ("ln",),
}  # fmt: skip
# How functions call their first argument, and their second.
FIRST = ("path", "src", "fd", "file", "filename", "args", "cmd", "command", "pid", "name", "top", "source", "code")
SECOND = ("dst", "mode", "uid", "user", "length", "dest", "destination", "target", "sig", "flags")
WRITE_METHODS = frozenset(
    ("write_text", "write_bytes", "touch", "tofile", "savefig", "to_csv", "to_json", "to_parquet", "to_excel",
     "to_pickle", "to_html", "write_parquet", "write_csv")
)  # fmt: skip
# These take a file and a mode, as `open` does; those of the second set write whatever the mode is.
OPENERS = frozenset(
    ("open", "io.open", "os.open", "codecs.open", "gzip.open", "bz2.open", "lzma.open", "tarfile.open",
     "zipfile.ZipFile", "tarfile.TarFile", "io.FileIO", "os.fdopen", "aiofiles.open", "shelve.open", "dbm.open")
)  # fmt: skip
WRITERS = frozenset(
    ("logging.FileHandler", "logging.handlers.RotatingFileHandler", "logging.basicConfig", "numpy.save", "np.save",
     "np.savetxt", "numpy.savetxt", "plt.savefig", "matplotlib.pyplot.savefig", "os.mkfifo", "os.mknod")
)  # fmt: skip
CODE = frozenset(
    ("exec", "eval", "compile", "timeit.timeit", "timeit.repeat", "timeit.Timer", "cProfile.run", "profile.run",
     "cProfile.runctx", "pdb.run")
)  # fmt: skip
CODE_METHODS = frozenset(("runsource", "runcode", "runctx"))
SENDERS = (
    "urllib.request.", "requests.", "httpx.", "http.client.", "smtplib.", "ftplib.", "paramiko.", "socket.", "aiohttp.",
    "boto3.", "telnetlib.", "websocket", "urllib3.", "pycurl.", "xmlrpc.", "imaplib.", "poplib.", "nntplib.",
    "asyncio.open_connection", "asyncssh.", "scp.", "pysftp.", "fabric.", "google.cloud.", "azure.", "slack_sdk.",
    "telegram.", "dropbox.", "ssl.", "dns.", "discord.", "grpc.", "pika.", "paho.", "minio.", "s3fs.", "treq.",
    "tornado.httpclient.",
)  # fmt: skip
# The numbers of reboot(2) on x86-64, and on ARM and most others; of kill(2).
REBOOT_CALLS = (169, 142, 88)
KILL_CALLS = (62, 129, 37)
