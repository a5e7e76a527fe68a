"""Training the scanner of lines, in small."""

from __future__ import annotations

import re
from pathlib import Path

import keras
import numpy as np
import pytest

from server.datasets import Data
from server.numbers.ctc import BLANK
from server.numbers.hands import mnist_writer
from server.numbers.scanner import SIDE, STRIDE, Scanner
from server.trainer import scanner


def test_a_scanner_learns_from_written_numbers_and_answers_on_the_server(
    builtin_data: Data, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    generator = np.random.default_rng(1)
    writer = mnist_writer(builtin_data.split(use_all=False).train)
    lines = scanner.collect((writer,), 130, generator)
    assert all(seen.shape[0] == SIDE and seen.shape[1] % STRIDE == 0 for seen in lines.strips)
    keras.utils.set_random_seed(1)

    network, _ = scanner.train([lines] * 3, 6, generator)

    losses = [float(loss) for loss in re.findall(r"loss ([\d.]+)", capsys.readouterr().out)]
    assert losses[2] < losses[0] / 2
    # Refuses by itself what does not answer as the network does.
    scanner.export(network, tmp_path / "scanner.onnx", lines.strips[0])
    (scan,) = Scanner(tmp_path / "scanner.onnx").scan(lines.strips[1][None])
    assert scan.shape == (lines.strips[1].shape[1] // STRIDE, BLANK + 1)
    np.testing.assert_allclose(np.exp(scan).sum(axis=1), 1, atol=1e-4)


def test_each_epoch_has_lines_of_its_own_and_a_seed_makes_the_same_ones(builtin_data: Data) -> None:
    writers = (mnist_writer(builtin_data.split(use_all=False).train),)
    first, second = scanner.epochs_of(writers, 8, 2, seed=3)
    again, _ = scanner.epochs_of(writers, 8, 2, seed=3)
    assert len(first.texts) == len(second.texts) == 8
    assert first.texts != second.texts
    assert first.texts == again.texts
    assert all(np.array_equal(one, other) for one, other in zip(first.strips, again.strips, strict=True))


def test_without_the_data_it_says_which_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.delenv("DIGITS_PEN_STROKES", raising=False)
    monkeypatch.delenv("DIGITS_MNIST", raising=False)
    assert scanner.main(["--out", str(tmp_path / "scanner.onnx")]) == 2
    assert "DIGITS_PEN_STROKES" in capsys.readouterr().err
