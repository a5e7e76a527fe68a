"""Try to break it: kill it, fill its disk, send it nonsense, wear it out, cut its wires; `make torture`.

    python tests/torture/torture.py [--quick] [PART ...]

Each part runs in an empty folder of its own, on the disk of this tree, with real processes and sockets. A
part prints what it finds with enough to repeat it, and goes on; one that fails does not hide those after it.
The figures go into build/torture.json, where each part replaces its own. The exit code is 1 when a part
failed or missed a target (with --quick only those that count faults): its folder stays, in build/torture/.
TORTURE_SEED repeats what a part has chosen by chance.
"""

from __future__ import annotations

import argparse
import importlib
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

# By name: there is no `__init__.py` under tests/.
sys.path += [str(Path(__file__).resolve().parents[1] / name) for name in ("benchmarks", "live")]
from results import Targets, save, table

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "build" / "torture.json"
FOLDERS = ROOT / "build" / "torture"

# part -> name -> (how it should compare, the target). What else a part tells is told only.
PARTS: dict[str, Targets] = {
    "kills": {
        "kills": (">=", 200),
        "acknowledged": (">=", 10_000),
        "lost": ("<=", 0),
        "half_versions": ("<=", 0),
        "kills_faults": ("<=", 0),
    },
    "disk": {
        "disk_faults": (">=", 1),
        "disk_lost": ("<=", 0),
    },
    "bad_input": {
        "bad_inputs": (">=", 50_000),
        "crashes": ("<=", 0),
        "internal_errors": ("<=", 0),
    },
    "soak": {
        "soak_requests": (">=", 1),
        "soak_errors": ("<=", 0),
        "soak_rss_growth_pct": ("<=", 5),
    },
    "network": {
        "network_faults": (">=", 1),
        "network_errors": ("<=", 0),
        "browser_sessions": (">=", 20),
    },
    "security": {
        "security_checks": (">=", 1),
        "security_failures": ("<=", 0),
    },
}


def run(part: str, is_quick: bool) -> dict[str, float] | None:
    """The figures of one part; None when it failed, which has been told."""
    FOLDERS.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{part}-", dir=FOLDERS))
    try:
        figures: dict[str, float] = importlib.import_module(f"torture_{part}").run(folder, is_quick)
    except Exception:
        traceback.print_exc()
        print(f"what it left is in {folder}", flush=True)
        return None
    if missed(part, figures, is_quick):
        print(f"what it left is in {folder}", flush=True)
    else:
        shutil.rmtree(folder)
    return figures


def missed(part: str, figures: dict[str, float], is_quick: bool) -> list[str]:
    """The targets that the figures of a part miss. Tried quickly, only those that tell of a fault count."""
    names = []
    for name, (sign, target) in PARTS[part].items():
        value = figures.get(name)
        if is_quick and (sign, target) != ("<=", 0):
            continue
        if value is None or not (value >= target if sign == ">=" else value <= target):
            names.append(name)
    return names


def main() -> int:
    parser = argparse.ArgumentParser(description="Try to break the server and the page, and tell what broke.")
    parser.add_argument("--quick", action="store_true", help="a little of each: only to see that it works")
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all when none is given"
    )
    chosen = parser.parse_args()
    if unknown := [part for part in chosen.parts if part not in PARTS]:
        parser.error(f"expected parts from {', '.join(PARTS)}; got {', '.join(unknown)}")
    everything: dict[str, float | None] = {}
    is_broken = False
    started = time.perf_counter()
    for part in chosen.parts or PARTS:
        print(f"── {part}", flush=True)
        figures = run(part, chosen.quick)
        is_broken |= figures is None or bool(missed(part, figures, chosen.quick))
        # An old figure must not pass for one of this run.
        everything |= dict.fromkeys(PARTS[part]) if figures is None else figures
        if not chosen.quick:
            save(figures or {}, RESULTS, unmeasured=PARTS[part])
    targets = {name: target for part in PARTS.values() for name, target in part.items()}
    print("\n" + table(everything, targets, is_judged=not chosen.quick))
    print(f"{time.perf_counter() - started:.0f} s" + (", quick: nothing is saved" if chosen.quick else ""))
    return int(is_broken)


if __name__ == "__main__":
    sys.exit(main())
