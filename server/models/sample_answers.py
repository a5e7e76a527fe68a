"""What a version's cross-validation has read in the samples that the version was trained on."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from server.calibration import CLASSES
from server.errors import ModelCorrupt

SAMPLES = "samples.npz"
"""In a version's folder, beside the model; only where it was trained on samples."""


@dataclass(frozen=True, eq=False)
class SampleAnswers:
    """The samples that a version was trained on, and an answer to each by a model that had not seen it."""

    sample_ids: tuple[str, ...]
    probabilities: npt.NDArray[np.float32]
    """(N, 10) float32, in the order of the ids."""


NONE = SampleAnswers((), np.empty((0, CLASSES), np.float32))


def write_sample_answers(staging: Path, answers: SampleAnswers) -> None:
    """Put the answers into a version's folder. Raises ValueError when they do not belong together."""
    if answers.probabilities.shape != (len(answers.sample_ids), CLASSES):
        raise ValueError(
            f"expected ({len(answers.sample_ids)}, 10) probabilities, one row for each sample, "
            f"got {answers.probabilities.shape}"
        )
    np.savez_compressed(
        staging / SAMPLES,
        sample_ids=np.array(answers.sample_ids, dtype=np.str_),
        probabilities=answers.probabilities.astype(np.float32),
    )


def read_sample_answers(folder: Path) -> SampleAnswers:
    """The answers in a version's folder; none where it was trained on no samples. Raises ModelCorrupt."""
    try:
        with np.load(folder / SAMPLES, allow_pickle=False) as arrays:
            sample_ids = tuple(str(one) for one in arrays["sample_ids"])
            probabilities = np.asarray(arrays["probabilities"], np.float32)
    except FileNotFoundError:
        return NONE
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ModelCorrupt(f"{folder.name}/{SAMPLES} cannot be read: {error}") from error
    if probabilities.shape != (len(sample_ids), CLASSES):
        raise ModelCorrupt(
            f"{folder.name}/{SAMPLES}: expected an answer for each of {len(sample_ids)} samples, "
            f"got {probabilities.shape}"
        )
    return SampleAnswers(sample_ids, probabilities)
