"""Run the checks of `make test`, all or those named, and print how long each took.

    python scripts/check.py [NAME ...]

A failing check does not hide the ones after it. What failed is told once more at the end, in short, for those
who see only the last lines. The exit code is 1 when any failed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
REPORTS = ROOT / "build" / "checks"

TRAINING = ("tests/server/training", "tests/server/trainer")
# What needs a Ray shares one.
CLUSTER = ("tests/cluster", "tests/contract")
APART = ("tests/server", "tests/browser", "tests/torture", *CLUSTER)
# The longest first, so that none is left over at the end.
SUITES: dict[str, tuple[str, ...]] = {
    "browser": ("tests/browser",),
    "cluster": CLUSTER,
    "training": TRAINING,
    "server": ("tests/server", *(f"--ignore={path}" for path in TRAINING)),
    "tests": ("tests", *(f"--ignore={path}" for path in APART)),
    "torture": ("tests/torture",),
}
CHECKS: dict[str, list[str]] = {
    "ruff": ["ruff", "check", "."],
    "format": ["ruff", "format", "--check", "."],
    "mypy": ["mypy", "server", "frontend", "proto/digits", "scripts", "examples"],
    "imports": ["lint-imports", "--no-logo"],
    "buf": ["buf", "lint", "proto"],
    "breaking": ["buf", "breaking", "proto", "--against", "proto/released.binpb"],
    "audit": ["python", "scripts/audit.py"],
} | {name: ["pytest", *paths, "--durations=5"] for name, paths in SUITES.items()}

# Tests wait for other processes half of their time: more checks at once than there are cores use them well.
AT_ONCE = 3
# Of what failed, the end tells so much once more: tests, lines of each, letters of each line.
MOST_TESTS, MOST_LINES, MOST_LETTERS = 12, 14, 200


class Result(NamedTuple):
    """How a check went, and what it said, where that was not shown at once."""

    is_passed: bool
    duration_s: float
    output: str


def run(name: str, is_alone: bool = False) -> Result:
    """Run one check. Its output appears at once when it is alone, else whole, at its end."""
    program, *arguments = CHECKS[name]
    title = f"\n── {name}: {' '.join(CHECKS[name])}"
    if name in SUITES:
        report(name).unlink(missing_ok=True)
        arguments.append(f"--junit-xml={report(name)}")
    print(title if is_alone else f"… {name}", flush=True)
    started = time.monotonic()
    environment = os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    result = subprocess.run(
        [str(BIN / program), *arguments],
        cwd=ROOT,
        env=environment,
        stdout=None if is_alone else subprocess.PIPE,
        stderr=None if is_alone else subprocess.STDOUT,
        text=True,
    )
    if not is_alone:
        print(f"{title}\n{result.stdout}", flush=True)
    return Result(result.returncode == 0, time.monotonic() - started, result.stdout or "")


def report(name: str) -> Path:
    """Where a suite leaves what became of each of its tests."""
    return REPORTS / f"{name}.xml"


def in_short(name: str, result: Result) -> Iterator[str]:
    """What failed in a check, in lines: of a test its name, where it failed and why."""
    tests = list(failed_tests(report(name))) if name in SUITES else []
    if not tests:
        yield from (f"    {line}" for line in result.output.strip().splitlines()[-MOST_LINES:])
    for test, trace in tests[:MOST_TESTS]:
        yield f"  {test}"
        # The statement that failed, what pytest says of it, and the place; the code around is above.
        told = [line for line in trace if line[:1] in (">", "E")] + trace[-1:]
        yield from (f"    {line}" for line in told[:MOST_LINES])
    if len(tests) > MOST_TESTS:
        yield f"  and {len(tests) - MOST_TESTS} more"


def failed_tests(path: Path) -> Iterator[tuple[str, list[str]]]:
    """The tests that failed, by name, each with the lines of its trace; none where pytest left no report."""
    if not path.exists():
        return
    for case in ElementTree.parse(path).iter("testcase"):
        for failure in [*case.iter("failure"), *case.iter("error")]:
            file = case.get("classname", "").replace(".", "/")
            yield f"{file}.py::{case.get('name')}", (failure.text or "").strip().splitlines()


def main() -> int:
    names = sys.argv[1:] or list(CHECKS)
    if unknown := [name for name in names if name not in CHECKS]:
        print(f"expected checks from {', '.join(CHECKS)}; got {', '.join(unknown)}", file=sys.stderr)
        return 2
    REPORTS.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    in_order = [name for name in SUITES if name in names] + [name for name in names if name not in SUITES]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        runs = {name: pool.submit(run, name, len(names) == 1) for name in in_order}
    results = {name: runs[name].result() for name in names}
    failed = {name: result for name, result in results.items() if not result.is_passed}
    for name, result in failed.items():
        print(f"\n── what failed in {name}")
        for line in in_short(name, result):
            print(line[:MOST_LETTERS])
    print()
    for name, result in results.items():
        print(f"{name:<10}{'passed' if result.is_passed else 'FAILED':<8}{result.duration_s:7.1f} s")
    print(f"{'all':<18}{time.monotonic() - started:7.1f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
