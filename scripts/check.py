"""Run the checks of `make test`, all or those named, and print how long each took.

    python scripts/check.py [NAME ...]

A failing check does not hide the ones after it. The exit code is 1 when any failed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent

CHECKS: dict[str, list[str]] = {
    "ruff": ["ruff", "check", "."],
    "format": ["ruff", "format", "--check", "."],
    "mypy": ["mypy", "server", "frontend", "proto/digits", "scripts"],
    "imports": ["lint-imports", "--no-logo"],
    "buf": ["buf", "lint", "proto"],
    "tests": ["pytest", "tests", "--ignore=tests/browser", "--durations=5"],
    "browser": ["pytest", "tests/browser", "--durations=5"],
}


def run(name: str) -> tuple[bool, float]:
    """Run one check; whether it passed, and its seconds."""
    program, *arguments = CHECKS[name]
    print(f"\n── {name}: {' '.join(CHECKS[name])}", flush=True)
    started = time.monotonic()
    environment = os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    result = subprocess.run([str(BIN / program), *arguments], cwd=ROOT, env=environment)
    return result.returncode == 0, time.monotonic() - started


def main() -> int:
    names = sys.argv[1:] or list(CHECKS)
    if unknown := [name for name in names if name not in CHECKS]:
        print(f"expected checks from {', '.join(CHECKS)}; got {', '.join(unknown)}", file=sys.stderr)
        return 2
    results = {name: run(name) for name in names}
    print()
    for name, (is_passed, duration_s) in results.items():
        print(f"{name:<10}{'passed' if is_passed else 'FAILED':<8}{duration_s:7.1f} s")
    print(f"{'all':<18}{sum(duration_s for _, duration_s in results.values()):7.1f} s")
    return 0 if all(is_passed for is_passed, _ in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
