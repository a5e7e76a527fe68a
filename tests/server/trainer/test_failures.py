"""A failed training tells what happened and what to do."""

from __future__ import annotations

import errno

import pytest

from server.errors import DatasetUnavailable
from server.failures import TrainingDiverged, explain


class ResourceExhaustedError(Exception):
    """TensorFlow's own is known by its name."""


def test_a_loss_that_is_no_number_asks_for_a_lower_learning_rate() -> None:
    assert "a learning rate lower than 0.5" in explain(TrainingDiverged(epoch=2, learning_rate=0.5))


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        # As h5py tells it.
        OSError("Can't synchronously write data (file write failed: errno = 28, No space left on device)"),
    ],
)
def test_a_full_disk_is_told_as_one(error: OSError) -> None:
    assert explain(error).startswith("the disk is full; free some space")


def test_a_full_disk_behind_another_error_is_still_a_full_disk() -> None:
    error = ValueError("could not save the archive")
    error.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert explain(error).startswith("the disk is full")


@pytest.mark.parametrize(
    "error", [MemoryError(), ResourceExhaustedError("OOM when allocating"), OSError(errno.ENOMEM, "fork")]
)
def test_memory_that_ran_out_asks_for_a_smaller_batch(error: Exception) -> None:
    assert "smaller batch size" in explain(error)


def test_a_refusal_of_the_domain_is_told_in_its_own_words() -> None:
    assert explain(DatasetUnavailable("no digits are prepared")) == "no digits are prepared"


def test_any_other_fault_is_named_on_one_line() -> None:
    told = explain(RuntimeError("shapes differ\nat graph node 17"))
    assert "RuntimeError: shapes differ" in told
    assert "\n" not in told
