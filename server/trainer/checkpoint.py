"""Where a training was at the end of its last epoch: enough to go on as if nothing had happened.

One file holds it all, the network, the optimizer's memory, the state of the random generators, the best
weights so far and the history, so that it is there whole or not at all. It is written beside and renamed.
The rename survives the death of any process; after a power cut the file may be damaged, which its checksums
show, and the training begins again.
"""

from __future__ import annotations

import contextlib
import json
import logging
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from server.protocol import CHECKPOINT, EpochMetrics

log = logging.getLogger(__name__)

FILE = CHECKPOINT
# What is being written. A run's folder belongs to one child at a time, so that one name is enough.
PARTIAL = "checkpoint.partial"
FORMAT = 1

Weights = Sequence[np.ndarray]


@dataclass(frozen=True)
class Checkpoint:
    """A training between two epochs."""

    history: tuple[EpochMetrics, ...]
    """Every finished epoch, in order."""
    best: int
    """The epoch, from 1, whose weights are the best so far."""
    best_weights: Weights


class Checkpoints:
    """The checkpoint of one run, in a folder of its own."""

    def __init__(self, folder: Path, fingerprint: Mapping[str, Any]) -> None:
        """`fingerprint` is plain values that tell one training from another, such as options and data.

        Raises OSError when the folder cannot be made.
        """
        self._folder = folder
        self._fingerprint = dict(fingerprint)
        folder.mkdir(parents=True, exist_ok=True)

    def save(self, model: keras.Model, optimizer: keras.optimizers.Optimizer, checkpoint: Checkpoint) -> None:
        """Replace the checkpoint by the present state. Raises OSError; the old one stays then."""
        state = {
            "format": FORMAT,
            "fingerprint": self._fingerprint,
            "history": [metrics.to_json() for metrics in checkpoint.history],
            "best": checkpoint.best,
        }
        arrays = {
            "state": np.frombuffer(json.dumps(state).encode(), np.uint8),
            **_named("model", _values(model)),
            **_named("optimizer", _values(optimizer)),
            **_named("best", checkpoint.best_weights),
        }
        partial = self._folder / PARTIAL
        try:
            with partial.open("wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]
            partial.replace(self._folder / FILE)
        except BaseException:
            with contextlib.suppress(OSError):
                partial.unlink()
            raise

    def restore(self, model: keras.Model, optimizer: keras.optimizers.Optimizer) -> Checkpoint | None:
        """Put `model` and the built `optimizer` into the saved state.

        None, and nothing is changed, where there is no checkpoint, it is damaged, or it is one of another
        training.
        """
        try:
            with np.load(self._folder / FILE, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            state = json.loads(arrays["state"].tobytes())
            if (state["format"], state["fingerprint"]) != (FORMAT, self._fingerprint):
                raise ValueError("it is of another training, or of other data")
            checkpoint = Checkpoint(
                history=tuple(EpochMetrics(**metrics) for metrics in state["history"]),
                best=state["best"],
                best_weights=_numbered(arrays, "best", model.get_weights()),
            )
            saved_model = _numbered(arrays, "model", _values(model))
            saved_optimizer = _numbered(arrays, "optimizer", _values(optimizer))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            log.warning("checkpoint not used", extra={"reason": str(error)})
            return None
        for owner, values in ((model, saved_model), (optimizer, saved_optimizer)):
            for variable, value in zip(owner.variables, values, strict=True):
                variable.assign(value)
        return checkpoint


def _values(owner: Any) -> list[np.ndarray]:
    # `variables`, not `weights`: the generators of the dropout layers are among them.
    return [np.asarray(variable) for variable in owner.variables]


def _named(kind: str, values: Weights) -> dict[str, np.ndarray]:
    return {f"{kind}_{number:03d}": value for number, value in enumerate(values)}


def _numbered(arrays: Mapping[str, np.ndarray], kind: str, like: Weights) -> list[np.ndarray]:
    """The saved values of a kind. Raises ValueError unless they are shaped as `like`."""
    found = [arrays[name] for name in sorted(arrays) if name.startswith(f"{kind}_")]
    if [(one.shape, one.dtype) for one in found] != [(one.shape, one.dtype) for one in like]:
        raise ValueError(f"the {kind}'s arrays do not fit: expected {len(like)}, got {len(found)}")
    return found
