"""Ask whether any locked package has a known vulnerability, and fail when one has.

    python scripts/audit.py [--require] [--url ADDRESS]

pip-audit asks the OSV database about every version in every lock file, whatever system or Python it is for;
nothing is resolved or installed. What was looked at and is not ours to mend stands in audit_ignored.toml,
with the reason and the day on which it is looked at again.

Without an answer nobody knows: one line says why, and the audit passes, since a build must not depend on
somebody's service. With --require, or DIGITS_REQUIRE_AUDIT=1, it fails: for a machine that has a way out.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("server", "frontend", "tests", "tests/open_inference")
IGNORED = Path(__file__).with_name("audit_ignored.toml")
PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)")
# For all answers together: there are some two hundred.
ALL_S = 600
SHOWN = 200


class NoAnswer(Exception):
    """The service did not answer, or not as it should. The message says how."""


@dataclass(frozen=True)
class Finding:
    """A known vulnerability of a locked package."""

    package: str
    version: str
    names: tuple[str, ...]
    """Its own id, and others that it is known by."""
    fixed_in: tuple[str, ...]
    words: str

    def __str__(self) -> str:
        fixed = f"fixed in {', '.join(self.fixed_in)}" if self.fixed_in else "not fixed yet"
        words = " ".join(self.words.split())[:SHOWN]
        return f"{self.package} {self.version}: {', '.join(self.names)}, {fixed}: {words}"


@dataclass(frozen=True)
class Ignored:
    """A finding that was looked at: why it does no harm here, and until when that holds."""

    id: str
    reason: str
    until: date


def locked(paths: Iterable[Path]) -> list[tuple[str, str]]:
    """Every package and version of the lock files, each once, whatever system it is for."""
    lines = [line for path in paths for line in path.read_text(encoding="utf-8").splitlines()]
    return sorted({(found[1].lower(), found[2]) for line in lines if (found := PINNED.match(line))})


def ignored(path: Path) -> tuple[Ignored, ...]:
    """The list of what was looked at. Raises ValueError for an entry without reason or day."""
    entries = tomllib.loads(path.read_text(encoding="utf-8")).get("ignored", [])
    for entry in entries:
        if set(entry) != {"id", "reason", "until"} or type(entry["until"]) is not date or not entry["reason"]:
            raise ValueError(f"{path.name}: expected id, reason and until (a day) in each entry, got {entry}")
    return tuple(Ignored(**entry) for entry in entries)


def ask(packages: Sequence[tuple[str, str]], url: str | None, timeout_s: int) -> list[Finding]:
    """What is known of these packages; each answer may take `timeout_s`. Raises NoAnswer."""
    findings = []
    for lot in _lots(packages):
        with tempfile.TemporaryDirectory() as folder:
            requirements = Path(folder) / "requirements.txt"
            requirements.write_text("".join(f"{name}=={version}\n" for name, version in lot))
            told = _run(requirements, url, timeout_s)
        for dependency in told["dependencies"]:
            if reason := dependency.get("skip_reason"):
                raise NoAnswer(f"{dependency['name']} was left out: {reason}")
            findings += [_finding(dependency, one) for one in dependency["vulns"]]
    return findings


def _lots(packages: Sequence[tuple[str, str]]) -> Iterable[list[tuple[str, str]]]:
    """Lists without two versions of one package: pip-audit takes that for a mistake."""
    rest = list(packages)
    while rest:
        lot = dict(reversed(rest))
        yield sorted(lot.items())
        rest = [each for each in rest if lot[each[0]] != each[1]]


def _run(requirements: Path, url: str | None, timeout_s: int) -> dict[str, Any]:
    """What pip-audit says of a file, as it says it in JSON. Raises NoAnswer."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(requirements), "--no-deps"]
    command += ["--disable-pip", "--vulnerability-service=osv", *([f"--osv-url={url}"] if url else [])]
    command += ["--format=json", "--progress-spinner=off", f"--timeout={timeout_s}"]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=ALL_S)
    except subprocess.TimeoutExpired:
        raise NoAnswer(f"no answer within {ALL_S} s") from None
    try:
        told: dict[str, Any] = json.loads(ended.stdout)
    except ValueError:
        lines = ended.stderr.strip().splitlines() or ["it said nothing"]
        raise NoAnswer(lines[-1][:SHOWN]) from None
    return told


def _finding(dependency: dict[str, Any], known: dict[str, Any]) -> Finding:
    return Finding(
        package=dependency["name"],
        version=dependency["version"],
        names=(known["id"], *known["aliases"]),
        fixed_in=tuple(known["fix_versions"]),
        words=known.get("description") or "no description",
    )


def judge(findings: Iterable[Finding], known: Sequence[Ignored], today: date) -> tuple[list[str], list[str]]:
    """The lines that fail the audit, and those that only tell of what is ignored, and until when."""
    bad, told = [], []
    for finding in findings:
        entry = next((one for one in known if one.id in finding.names), None)
        if entry is None:
            bad.append(str(finding))
        elif entry.until < today:
            bad.append(f"{finding} (ignored until {entry.until}: look at it again)")
        else:
            told.append(f"ignored until {entry.until}: {finding.package} {entry.id}: {entry.reason}")
    return bad, told


def main() -> int:
    parser = argparse.ArgumentParser(description="Ask for known vulnerabilities of the locked packages.")
    parser.add_argument("--require", action="store_true", help="fail when nobody answers")
    parser.add_argument("--url", help="of the OSV service, where it is not the public one")
    parser.add_argument("--timeout", type=int, default=15, metavar="SECONDS", help="for each answer")
    parser.add_argument("--ignored", type=Path, default=IGNORED, help="the list of what was looked at")
    parser.add_argument("locks", nargs="*", type=Path, help="lock files; all of the project's without any")
    chosen = parser.parse_args()
    is_required = chosen.require or os.environ.get("DIGITS_REQUIRE_AUDIT") == "1"
    try:
        known = ignored(chosen.ignored)
    except (OSError, ValueError) as error:
        print(f"audit: {error}", file=sys.stderr)
        return 2
    locks = chosen.locks or [ROOT / folder / "requirements.lock" for folder in LOCKS]
    packages = locked(locks)
    if find_spec("pip_audit") is None:
        print("audit: pip-audit is not installed; `make audit` does that", file=sys.stderr)
        return 2
    try:
        findings = ask(packages, chosen.url, chosen.timeout)
    except NoAnswer as error:
        print(f"audit: not done, since nobody answered: {error}", file=sys.stderr)
        return int(is_required)
    bad, told = judge(findings, known, datetime.now(UTC).date())
    for line in (*told, *bad):
        print(f"audit: {line}")
    print(f"audit: {len(packages)} packages of {len(locks)} lock files, {len(bad)} known vulnerabilities")
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
