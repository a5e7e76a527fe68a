"""A training that learns from pen strokes too: what it chooses by, and what its version tells of them."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from server.datasets import Data
from server.datasets.pen_strokes import WRITERS, WriterGroup
from server.errors import DatasetUnavailable
from server.inference import Engine
from server.models import ARTIFACT
from server.models.version import read_version
from server.preprocessing import normalise
from server.protocol import TrainingSpec
from server.recipes import resolve
from server.strokes import draw_centred
from server.trainer import run
from server.trainer.pen_data import PenData
from server.trainer.reporter import Reporter

ONE = [[[0.05, 0.0], [0.0, 1.0]]]
SEVEN = [[[0.0, 0.0], [0.6, 0.0], [0.2, 1.0]]]


def write_strokes(path: Path, writers: tuple[int, ...]) -> Path:
    """A 1 and a 7 of each writer."""
    with gzip.open(path, "wt") as file:
        for writer in writers:
            for label, strokes in ((1, ONE), (7, SEVEN)):
                line = {"label": label, "strokes": strokes, "writer": f"train:{writer}"}
                file.write(json.dumps(line) + "\n")
    return path


@pytest.fixture
def strokes(tmp_path: Path) -> Path:
    """The pen strokes of all 30 writers."""
    return write_strokes(tmp_path / "strokes.jsonl.gz", tuple(range(1, 31)))


def test_it_chooses_by_drawings_of_the_validation_writers_centred_and_anywhere(strokes: Path) -> None:
    data = PenData.read(strokes)
    drawn = data.to_choose_by()
    assert drawn.labels.tolist() == [1, 7] * 4 + [1, 7] * 4
    for digit, image in zip(data.validation, drawn.images[:8], strict=True):
        assert np.array_equal(image, normalise(draw_centred(digit)))
    assert np.array_equal(drawn.images, PenData.read(strokes).to_choose_by().images)


def test_strokes_that_nobody_could_be_judged_by_are_refused(tmp_path: Path) -> None:
    path = write_strokes(tmp_path / "train.jsonl.gz", WRITERS[WriterGroup.TRAIN])
    with pytest.raises(DatasetUnavailable, match="got 40, 0 and 0"):
        PenData.read(path)


def test_a_version_tells_whose_strokes_it_learnt_from_and_how_it_reads_those_of_others(
    strokes: Path, builtin_root: Path, builtin_data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # TensorFlow takes the number of its threads once in a process, which other tests share.
    monkeypatch.setattr(run, "use_cores", lambda asked: 1)
    staging = tmp_path / "version"
    staging.mkdir()
    spec = TrainingSpec(
        training_id="",
        recipe="cnn-best",
        options=resolve("cnn-best", {"epochs": 1}),
        datasets=builtin_root,
        staging=staging,
    )
    with Reporter(lambda event, values: None, epochs=1) as reporter:
        run.train(spec, reporter, command="python -m …", pen_strokes=strokes)
    version = read_version(staging, version=0)
    record = version.pen_strokes
    assert "UCI, CC BY 4.0" in record["source"]
    assert record["sha256"] == hashlib.sha256(strokes.read_bytes()).hexdigest()
    for group, writers in WRITERS.items():
        assert record[group]["writers"] == list(writers)
        assert record[group]["digits"] == 2 * len(writers)
    # What is told was measured on what serves.
    engine = Engine(staging / ARTIFACT)
    images = np.stack([normalise(draw_centred(digit)) for digit in PenData.read(strokes).test])
    right = engine.probabilities(images).argmax(axis=1) == [1, 7] * 6
    assert record["test"]["centred"]["accuracy"] == pytest.approx(right.mean())
    assert record["test"]["centred"]["drawings"] == 12
    assert record["test"]["anywhere"]["accuracy_low"] < record["test"]["anywhere"]["accuracy_high"]
    # Of MNIST's digits it tells as every version does.
    validation = builtin_data.split(use_all=False).validation
    assert validation is not None
    assert version.validation_images == len(validation)
    read = engine.probabilities(validation.images).argmax(axis=1) == validation.labels
    assert version.validation_accuracy == pytest.approx(read.mean())
    assert "40 digits in pen strokes" in version.description
