"""Run as a program: prints `ready`, then the time of each rename into the folder that is its argument.

The least that any watcher can need: one blocking read in C's own words, no library, nothing decoded.
"""

import ctypes
import os
import sys
import time

IN_MOVED_TO = 0x80


def main(folder: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(os.O_CLOEXEC)
    if descriptor < 0 or libc.inotify_add_watch(descriptor, os.fsencode(folder), IN_MOVED_TO) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), folder)
    print("ready", flush=True)
    while os.read(descriptor, 4096):
        print(repr(time.time()), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
