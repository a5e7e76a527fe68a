"""What a training needs to go on after it was cut off."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from server import networks
from server.protocol import EpochMetrics
from server.recipes import RECIPES, Schedule
from server.trainer.checkpoint import FILE, Checkpoint, Checkpoints
from server.trainer.passes import make_optimizer

OPTIONS = RECIPES["cnn"].defaults
FINGERPRINT = {"recipe": "cnn", "options": OPTIONS.to_json(), "data": "0123"}
EPOCH = EpochMetrics(
    epoch=1, loss=0.3, accuracy=0.9, validation_loss=None, validation_accuracy=None, duration_s=1.5
)


class Training:
    """A network and its optimizer, with values that follow from the seed."""

    def __init__(self, seed: int) -> None:
        keras.utils.set_random_seed(seed)
        self.model = networks.build(OPTIONS)
        self.optimizer = make_optimizer(OPTIONS, Schedule.COSINE, steps=10)
        self.optimizer.build(self.model.trainable_variables)
        for variable in self.optimizer.variables:
            variable.assign(np.full(variable.shape, seed, variable.dtype))

    def state(self) -> list[bytes]:
        """Every value, to the bit."""
        return [
            np.asarray(variable).tobytes()
            for owner in (self.model, self.optimizer)
            for variable in owner.variables
        ]

    def save(self, folder: Path, fingerprint: Mapping[str, Any] = FINGERPRINT) -> Checkpoint:
        """Leave a checkpoint."""
        checkpoint = Checkpoint(history=(EPOCH,), best=1, best_weights=self.model.get_weights())
        Checkpoints(folder, fingerprint).save(self.model, self.optimizer, checkpoint)
        return checkpoint

    def restore(self, folder: Path, fingerprint: Mapping[str, Any] = FINGERPRINT) -> Checkpoint | None:
        """Take up the checkpoint that is there."""
        return Checkpoints(folder, fingerprint).restore(self.model, self.optimizer)


def test_another_process_gets_the_same_state_to_the_bit(tmp_path: Path) -> None:
    before, after = Training(1), Training(2)
    saved = before.save(tmp_path)
    assert after.state() != before.state()
    restored = after.restore(tmp_path)
    assert restored is not None
    assert after.state() == before.state()
    assert (restored.history, restored.best) == (saved.history, saved.best)
    for one, other in zip(restored.best_weights, saved.best_weights, strict=True):
        np.testing.assert_array_equal(one, other)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_without_a_checkpoint_nothing_is_restored(tmp_path: Path) -> None:
    training = Training(1)
    before = training.state()
    assert training.restore(tmp_path / "new") is None
    assert training.state() == before


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_checkpoint_that_was_cut_off_is_not_used(tmp_path: Path, share: float) -> None:
    Training(1).save(tmp_path)
    path = tmp_path / FILE
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    training = Training(2)
    before = training.state()
    assert training.restore(tmp_path) is None
    assert training.state() == before


def test_a_checkpoint_with_a_changed_byte_is_not_used(tmp_path: Path) -> None:
    Training(1).save(tmp_path)
    path = tmp_path / FILE
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    assert Training(2).restore(tmp_path) is None


@pytest.mark.parametrize("name", ["recipe", "options", "data"])
def test_a_checkpoint_of_another_training_is_not_used(tmp_path: Path, name: str) -> None:
    Training(1).save(tmp_path)
    assert Training(2).restore(tmp_path, {**FINGERPRINT, name: "another"}) is None


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(tmp_path: Path) -> None:
    first = Training(1)
    first.save(tmp_path)
    (tmp_path / "checkpoint.partial").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        Training(2).save(tmp_path)
    again = Training(3)
    assert again.restore(tmp_path) is not None
    assert again.state() == first.state()


def test_the_state_of_the_random_generators_is_part_of_it() -> None:
    model = Training(1).model
    extra = len(model.variables) - len(model.weights)
    assert extra == 1  # The generator of the dropout layer.
