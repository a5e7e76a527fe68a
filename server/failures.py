"""What to tell a person when a training fails: what happened, and what to do."""

from __future__ import annotations

import errno

from server.errors import DigitsError


class TrainingDiverged(Exception):
    """The loss is no number any more."""

    def __init__(self, epoch: int, learning_rate: float) -> None:
        super().__init__(
            f"the loss became infinite or not a number in epoch {epoch}: the steps are too large; "
            f"start again with a learning rate lower than {learning_rate:g}"
        )


def explain(error: BaseException) -> str:
    """One sentence on a failed training: the cause, and what to do about it."""
    if isinstance(error, TrainingDiverged):
        return str(error)
    if isinstance(error, DigitsError):
        return error.message
    if _is_disk_full(error):
        return "the disk is full; free some space in the data folder and start again"
    if _is_out_of_memory(error):
        return (
            "out of memory: start again with a smaller batch size, or when the machine has more memory free"
        )
    if isinstance(error, OSError):
        return f"a file could not be read or written ({error}); check the data folder and start again"
    what = f"{type(error).__name__}: {_first_line(error)}"
    return f"a fault in the training program ({what}); the run's log tells more"


def _is_disk_full(error: BaseException) -> bool:
    # HDF5 and protobuf wrap the system's error: the code is lost, its words are not.
    return any(
        (isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT))
        or "No space left on device" in str(cause)
        for cause in _causes(error)
    )


def _is_out_of_memory(error: BaseException) -> bool:
    # TensorFlow's ResourceExhaustedError is known by its name: this module must not import TensorFlow.
    return any(
        isinstance(cause, MemoryError)
        or type(cause).__name__ == "ResourceExhaustedError"
        or (isinstance(cause, OSError) and cause.errno == errno.ENOMEM)
        for cause in _causes(error)
    )


def _causes(error: BaseException) -> list[BaseException]:
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    return causes


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else "no message"
