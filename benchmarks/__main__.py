"""`python -m benchmarks`: measure, print the table, write the JSON."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import burst, judging, latency, memory, peers, report, slow_flush, startup, throughput
from benchmarks.figures import Line
from benchmarks.house import BenchmarkError
from benchmarks.plan import FULL, NORMAL, QUICK, Scale

RESULTS = Path(__file__).parent / "results"

BENCHES: dict[str, Callable[[Path, Scale], Iterator[Line]]] = {
    bench.NAME: bench.run for bench in (throughput, latency, memory, startup, judging, slow_flush, burst, peers)
}


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if everything that was asked for could be measured, 1 if not. How quick it was changes nothing."""
    options = _options(arguments)
    scale_name, scale = _scale(options)
    started = datetime.now(UTC)
    lines: list[Line] = []
    failures: dict[str, str] = {}
    work = Path(options.dir) / f".work-{started:%H%M%S}"
    try:
        for name in options.only or BENCHES:
            print(f"measuring {name} …", file=sys.stderr)
            failures |= _measure(name, work, scale, lines)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    content = report.document(lines, scale=scale_name, started=started, failures=failures)
    path = report.write(RESULTS, content, started)
    if options.json:
        json.dump(content, sys.stdout, indent=2, ensure_ascii=False)
        print()
    else:
        report.show(lines, failures)
    print(f"written to {path}", file=sys.stderr)
    return int(bool(failures))


def _measure(name: str, work: Path, scale: Scale, lines: list[Line]) -> dict[str, str]:
    """Add the lines of one benchmark. One that can't be measured must not cost the figures of the others."""
    try:
        lines.extend(BENCHES[name](work / name, scale))
    except (BenchmarkError, AssertionError, subprocess.SubprocessError, OSError) as error:
        return {name: f"{type(error).__name__}: {error}"}
    return {}


def _scale(options: argparse.Namespace) -> tuple[str, Scale]:
    if options.quick:
        return "quick", QUICK
    return ("full", FULL) if options.full else ("normal", NORMAL)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=list(BENCHES), help="only this benchmark; may be repeated")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="small counts, to see that everything works")
    size.add_argument("--full", action="store_true", help="with a burst of 50,000 files")
    parser.add_argument("--json", action="store_true", help="print the JSON instead of the table")
    parser.add_argument(
        "--dir", default=str(RESULTS), metavar="DIR", help="where the homes lie; the disk under it is what is measured"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
