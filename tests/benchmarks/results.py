"""What a benchmark found: a file of one flat object, and a table to read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

Targets = Mapping[str, tuple[str, float]]
"""name -> (how it should compare, the target); a name without one is told only."""


def save(results: Mapping[str, float], path: Path, unmeasured: Iterable[str] = ()) -> None:
    """Put the results into a file; names of other benchmarks stay as they are.

    `unmeasured` names go: an old figure must not pass for one of this run.
    """
    known = json.loads(path.read_text()) if path.exists() else {}
    kept = {name: value for name, value in known.items() if name not in set(unmeasured)}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**kept, **results}, indent=2, sort_keys=True) + "\n")


def table(
    results: Mapping[str, float | None],
    targets: Targets,
    is_judged: bool,
    notes: Mapping[str, str] | None = None,
) -> str:
    """The results as lines: name, value and, where they are judged, the target and whether it is met.

    A result of None was not measured; `notes` say why, and whatever else there is to say of a name.
    """
    lines = []
    for name, value in results.items():
        sign, target = targets.get(name, ("", 0.0))
        verdict = ""
        if sign and is_judged and value is not None:
            is_met = value >= target if sign == ">=" else value <= target
            verdict = f"{sign} {target:<8g}{'met' if is_met else 'MISSED'}"
        shown = "" if value is None else f"{value:,.0f}" if value >= 1000 else f"{value:.4f}"
        note = (notes or {}).get(name, "")
        lines.append(f"{name:<32}{shown:>14}  {verdict:<18}{note}".rstrip())
    return "\n".join(lines)
