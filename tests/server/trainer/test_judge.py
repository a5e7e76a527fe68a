"""Training the judge of numbers' stretches, in small."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from server.datasets import Data
from server.numbers.hands import mnist_writer
from server.numbers.judge import CLASSES, NEITHER, Judge
from server.trainer import judge


def test_a_judge_learns_from_written_numbers_and_answers_on_the_server(
    builtin_data: Data, tmp_path: Path
) -> None:
    writer = mnist_writer(builtin_data.split(use_all=False).train)
    seen = judge.collect((writer,), 60, np.random.default_rng(1))
    assert set(seen.labels.tolist()) == set(range(CLASSES))
    keras.utils.set_random_seed(1)
    model = judge.train(seen, epochs=3)
    judge.export(model, tmp_path / "judge.onnx", seen.windows[:20])
    answers = Judge(tmp_path / "judge.onnx").probabilities(seen.windows)
    chance = (seen.labels == NEITHER).mean()
    assert (answers.argmax(axis=1) == seen.labels).mean() > chance + 0.1


def test_without_the_data_it_says_which_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.delenv("DIGITS_PEN_STROKES", raising=False)
    monkeypatch.delenv("DIGITS_MNIST", raising=False)
    assert judge.main(["--out", str(tmp_path / "judge.onnx")]) == 2
    assert "DIGITS_PEN_STROKES" in capsys.readouterr().err
