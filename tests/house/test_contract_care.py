"""The contract keeps its promises: what is described is what there is, and no release's client is broken."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RELEASED = ROOT / "proto" / "released.binpb"


def breaking(contract: Path) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name("buf"), "breaking", contract, "--against", RELEASED]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture
def contract(tmp_path: Path) -> Path:
    """A copy of the contract, to be changed."""
    return Path(shutil.copytree(ROOT / "proto", tmp_path / "proto"))


def test_the_reference_is_that_of_the_proto_files(tmp_path: Path) -> None:
    command = [sys.executable, "scripts/document_contract.py", "--out", tmp_path / "reference.md"]
    subprocess.run(command, cwd=ROOT, check=True)
    made, committed = (tmp_path / "reference.md").read_text(), (ROOT / "docs" / "reference.md").read_text()
    assert made == committed, "run `make docs`"


def test_the_contract_breaks_no_client_of_the_last_release() -> None:
    checked = breaking(ROOT / "proto")
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("  int32 digit = 1;\n  // Probability of `digit`", "  // Probability of `digit`", '"digit"'),
        ("float confidence = 2;", "double confidence = 2;", "confidence"),
        ("rpc ReadNumber(ReadNumberRequest)", "rpc ReadDigits(ReadNumberRequest)", "ReadNumber"),
    ],
    ids=["a field that is gone", "a field of another type", "a method of another name"],
)
def test_a_change_that_would_break_one_is_refused(contract: Path, old: str, new: str, told: str) -> None:
    source = contract / "digits" / "v1" / "prediction.proto"
    text = source.read_text()
    assert old in text
    source.write_text(text.replace(old, new, 1))
    checked = breaking(contract)
    assert checked.returncode == 100
    assert told in checked.stdout


def test_every_reason_of_the_past_is_still_told() -> None:
    # A reason is part of the contract as a field is, and no tool knows of it.
    released = {
        *("INVALID_IMAGE", "BLANK_IMAGE", "INVALID_OPTION", "INVALID_PAGE_TOKEN", "INVALID_ARGUMENT"),
        *("MODEL_NOT_FOUND", "TRAINING_NOT_FOUND", "EVALUATION_NOT_FOUND"),
        *("NOTHING_DEPLOYED", "DATASET_UNAVAILABLE", "TRAINED_ON_DATASET", "TRAINING_FINISHED"),
        *("TRAINING_WAITING", "MODEL_CORRUPT", "READ_ONLY", "TRAINING_QUEUE_FULL", "OVERLOADED"),
        *("DATA_PREPARING", "SHUTTING_DOWN", "DEADLINE_EXCEEDED", "INTERNAL"),
    }
    text = (ROOT / "docs" / "errors.md").read_text()
    assert {reason for reason in released if f"| `{reason}` |" not in text} == set()
