"""What the checks tell of a failure at their end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
import check

SUITE = """import pytest


@pytest.fixture
def broken():
    raise RuntimeError("no server")


@pytest.mark.parametrize("number", [1, 2])
def test_numbers_are_small(number):
    limit = 2
    assert number < limit


def test_with_a_fixture(broken):
    pass
"""


@pytest.fixture
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the suites of this test leave their reports."""
    monkeypatch.setattr(check, "REPORTS", tmp_path)
    return tmp_path


def test_a_failed_test_is_told_by_its_name_its_statement_its_reason_and_its_place(reports: Path) -> None:
    (reports / "test_small.py").write_text(SUITE)
    command = [sys.executable, "-m", "pytest", "-q", "test_small.py", f"--junit-xml={check.report('tests')}"]
    subprocess.run(command, cwd=reports, capture_output=True)

    told = list(check.in_short("tests", check.Result(False, 1.0, "")))

    assert told == [
        "  test_small.py::test_numbers_are_small[2]",
        "    >       assert number < limit",
        "    E       assert 2 < 2",
        "    test_small.py:12: AssertionError",
        "  test_small.py::test_with_a_fixture",
        '    >       raise RuntimeError("no server")',
        "    E       RuntimeError: no server",
        "    test_small.py:6: RuntimeError",
    ]


def test_a_check_without_a_report_is_told_by_its_last_lines(reports: Path) -> None:
    said = "\n".join(f"line {number}" for number in range(100))

    for name in ("mypy", "tests"):
        told = list(check.in_short(name, check.Result(False, 1.0, said)))
        assert told[-1] == "    line 99"
        assert len(told) == check.MOST_LINES
