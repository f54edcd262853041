"""A disk of its own whose power can be cut: what was never synced is gone, as on a real one.

A loop device holds an ext4 that commits by itself only every five minutes (`commit=300`) and does not guess what its
users forgot to sync (`noauto_da_alloc`). The cut copies the file behind the device after all writers were killed: what
lies in the page cache of the mounted file system is not in it. Mounting the copy replays ext4's own journal. What this
does not show is a device that loses writes which it has confirmed, or another file system's order of things.
"""

import os
import shutil
import subprocess
from pathlib import Path

from conftest import require

SIZE = 64 * 1024 * 1024
OPTIONS = "loop,data=ordered,commit=300,noauto_da_alloc"


class Disk:
    """`root` is where it is mounted."""

    def __init__(self, folder):
        require(os.geteuid() == 0 and shutil.which("mkfs.ext4"), "only root can mount a disk whose power can be cut")
        self.root = Path(folder) / "disk"
        self.root.mkdir()
        self._image = Path(folder) / "image.0"
        self._cuts = 0
        with self._image.open("wb") as image:
            image.truncate(SIZE)
        subprocess.run(
            ["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", self._image], check=True
        )
        mounted = self._mount()
        require(mounted.returncode == 0, f"this system mounts no loop device: {mounted.stderr}")

    def cut_power(self):
        """All that write to it must be dead by now. Afterwards it is mounted anew, in the same place."""
        self._cuts += 1
        earlier, self._image = self._image, self._image.with_suffix(f".{self._cuts}")
        subprocess.run(["cp", "--sparse=always", earlier, self._image], check=True)
        self.unmount()
        earlier.unlink()
        self._mount().check_returncode()

    def unmount(self):
        subprocess.run(["umount", self.root], check=True)

    def _mount(self):
        return subprocess.run(["mount", "-o", OPTIONS, self._image, self.root], capture_output=True, text=True)
