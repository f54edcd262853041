"""A disk of its own whose power can be cut: what was never synced is gone, as on a real one.

A loop device holds a file system that commits by itself only every five minutes (xfs: after half a minute) and does
not guess what its users forgot to sync. At the cut it goes down at once, with nothing more written, neither data nor
journal (btrfs can't; it has nothing to write by itself once its users are dead). Then a copy of what lies behind the
device is mounted, which replays the file system's own journal. A copy, because a sandbox somewhere may hold the old
mount. What this does not show is a device that loses writes which it has confirmed.
"""

import fcntl
import os
import shutil
import struct
import subprocess
from pathlib import Path

from conftest import require, until

SIZE = 320 * 1024 * 1024  # the least that xfs takes
GO_DOWN, NO_LOG_FLUSH = 0x8004587D, 2  # linux/fs.h has them for xfs, ext4 and f2fs alike
MAKE = {
    "ext4": ("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0"),
    "xfs": ("mkfs.xfs", "-q", "-f"),
    "btrfs": ("mkfs.btrfs", "-q", "-f"),
}
OPTIONS = {"ext4": "loop,data=ordered,commit=300,noauto_da_alloc", "xfs": "loop,nouuid", "btrfs": "loop,commit=300"}


class Disk:
    """`root` is where it is mounted."""

    def __init__(self, folder, kind="ext4"):
        program = MAKE[kind][0]
        require(os.geteuid() == 0, "only root can mount a disk whose power can be cut")
        require(shutil.which(program), f"{program} is not installed")
        self.root = Path(folder) / "disk"
        self.root.mkdir()
        self._kind = kind
        self._image = Path(folder) / "image"
        with self._image.open("wb") as image:
            image.truncate(SIZE)
        subprocess.run([*MAKE[kind], self._image], check=True, capture_output=True)
        mounted = self._mount()
        require(mounted.returncode == 0, f"this system mounts no loop device: {mounted.stderr}")

    def cut_power(self):
        """All that write to it must be dead by now. Afterwards it is mounted anew, in the same place."""
        if self._kind != "btrfs":
            root = os.open(self.root, os.O_RDONLY)
            fcntl.ioctl(root, GO_DOWN, struct.pack("I", NO_LOG_FLUSH))
            os.close(root)
        copy = self._image.with_suffix(".copy")
        subprocess.run(["cp", "--sparse=always", self._image, copy], check=True)
        self.unmount()
        copy.rename(self._image)
        self._mount().check_returncode()

    def unmount(self):
        """The last of those that were killed may still have a file open for a moment."""
        until(lambda: subprocess.run(["umount", self.root], capture_output=True).returncode == 0, "the disk to be free")

    def _mount(self):
        command = ["mount", "-o", OPTIONS[self._kind], self._image, self.root]
        return subprocess.run(command, capture_output=True, text=True)
