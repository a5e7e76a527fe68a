"""Run the checks of `make test`, all or those named, and print how long each took.

    python scripts/check.py [NAME ...]

A failing check does not hide the ones after it. The exit code is 1 when any failed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent

TRAINING = ("tests/server/training", "tests/server/trainer")
CHECKS: dict[str, list[str]] = {
    "ruff": ["ruff", "check", "."],
    "format": ["ruff", "format", "--check", "."],
    "mypy": ["mypy", "server", "frontend", "proto/digits", "scripts", "examples"],
    "imports": ["lint-imports", "--no-logo"],
    "buf": ["buf", "lint", "proto"],
    "breaking": ["buf", "breaking", "proto", "--against", "proto/released.binpb"],
    "tests": [
        "pytest",
        "tests",
        *(f"--ignore={path}" for path in (*TRAINING, "tests/browser")),
        "--durations=5",
    ],
    "training": ["pytest", *TRAINING, "--durations=5"],
    "browser": ["pytest", "tests/browser", "--durations=5"],
}


LONG = ("tests", "browser", "training")
# Tests wait for other processes half of their time: two checks at once use two cores well.
AT_ONCE = 2


class Result(NamedTuple):
    """How a check went."""

    is_passed: bool
    duration_s: float


def run(name: str, is_alone: bool = False) -> Result:
    """Run one check. Its output appears at once when it is alone, else whole, at its end."""
    program, *arguments = CHECKS[name]
    title = f"\n── {name}: {' '.join(CHECKS[name])}"
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
    return Result(result.returncode == 0, time.monotonic() - started)


def main() -> int:
    names = sys.argv[1:] or list(CHECKS)
    if unknown := [name for name in names if name not in CHECKS]:
        print(f"expected checks from {', '.join(CHECKS)}; got {', '.join(unknown)}", file=sys.stderr)
        return 2
    started = time.monotonic()
    # The longest first, so that none is left over at the end.
    in_order = sorted(names, key=lambda name: (name not in LONG, name != "tests"))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        runs = {name: pool.submit(run, name, len(names) == 1) for name in in_order}
    print()
    results = {name: runs[name].result() for name in names}
    for name, (is_passed, duration_s) in results.items():
        print(f"{name:<10}{'passed' if is_passed else 'FAILED':<8}{duration_s:7.1f} s")
    print(f"{'all':<18}{time.monotonic() - started:7.1f} s")
    return 0 if all(result.is_passed for result in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
