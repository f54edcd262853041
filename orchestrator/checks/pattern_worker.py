"""The child that matches one untrusted regular expression: standard library only, and no import of ours.

Run as a program: the pattern is its argument, the text its standard input in UTF-8, the answer its exit code.
It limits itself, so that it ends even if the daemon that started it is gone.
"""

import re
import resource
import sys

FOUND = 40
NOT_FOUND = 41
INVALID = 42

CPU_SECONDS = 5
MEMORY_BYTES = 1024 * 1024 * 1024


def main() -> int:
    limit(resource.RLIMIT_CPU, CPU_SECONDS)
    limit(resource.RLIMIT_AS, MEMORY_BYTES)
    text = sys.stdin.buffer.read().decode("utf-8", "surrogatepass")
    try:
        pattern = re.compile(sys.argv[1], re.MULTILINE)
    except (re.error, OverflowError, RecursionError) as error:
        sys.stdout.buffer.write(str(error).encode("utf-8", "replace"))
        return INVALID
    return FOUND if pattern.search(text) else NOT_FOUND


def limit(which: int, value: int) -> None:
    """Lower one limit. macOS refuses some of them; the deadline of the one who waits holds there as well."""
    try:
        resource.setrlimit(which, (value, value))
    except (ValueError, OSError) as error:
        sys.stderr.write(f"limit {which} not set: {error}\n")


if __name__ == "__main__":
    sys.exit(main())
