"""TensorBoard's logs of a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2
from tensorboard.util.tensor_util import make_ndarray

from server.datasets import Data, Digits
from server.metrics import measure
from server.protocol import EpochMetrics, Phase, Progress
from server.recipes import RECIPES
from server.trainer.pictures import draw_confusion_matrix, draw_misclassified
from server.trainer.summaries import Summaries

METRICS = EpochMetrics(
    epoch=1, loss=0.3, accuracy=0.9, validation_loss=0.2, validation_accuracy=0.95, duration_s=1.0
)


@pytest.fixture(scope="module")
def digits(builtin_data: Data) -> Digits:
    return builtin_data.split(use_all=False).test[:100]


def answers(digits: Digits, wrong: int) -> np.ndarray:
    """Sure probabilities, (N, 10) float32, of which the first `wrong` are of the next digit."""
    chosen = digits.labels.astype(int)
    chosen[:wrong] = (chosen[:wrong] + 1) % 10
    return np.eye(10, dtype=np.float32)[chosen]


def write(folder: Path | None, digits: Digits) -> Summaries:
    """The logs of a short run."""
    options = RECIPES["classic-fast"].defaults
    summaries = Summaries(folder, "classic-fast", options, batches=20, learning_rate=lambda step: step / 1000)
    told = Progress(phase=Phase.TRAINING, epoch=1, epochs=2, batch=10, batches=20, loss=0.5, images_per_s=100)
    summaries.progress(told)
    summaries.epoch(METRICS, digits, answers(digits, wrong=3))
    summaries.result(measure(answers(digits, 2), digits.labels), digits, answers(digits, 2), 0.95)
    summaries.close()
    return summaries


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory, digits: Digits) -> EventAccumulator:
    folder = tmp_path_factory.mktemp("tensorboard")
    write(folder, digits)
    accumulator = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    accumulator.Reload()
    return accumulator


def value(log: EventAccumulator, tag: str) -> tuple[int, float]:
    """The step and the value of a curve's only point."""
    (event,) = log.Tensors(tag)
    return event.step, float(make_ndarray(event.tensor_proto))


def test_every_report_is_a_point_of_each_curve(log: EventAccumulator) -> None:
    assert value(log, "training/loss") == (10, pytest.approx(0.5))
    assert value(log, "training/learning_rate") == (10, pytest.approx(0.01))
    assert value(log, "training/images_per_s") == (10, pytest.approx(100))
    assert value(log, "training/accuracy")[0] == 10


def test_every_epoch_has_its_validation_and_its_pictures(log: EventAccumulator) -> None:
    assert value(log, "epoch/validation_accuracy") == (20, pytest.approx(0.95))
    assert value(log, "epoch/validation_loss") == (20, pytest.approx(0.2))
    for tag in ("validation/confusion_matrix", "validation/misclassified"):
        (event,) = log.Tensors(tag)
        width, height, png = make_ndarray(event.tensor_proto)[:3]
        assert int(width) > 100
        assert int(height) > 100
        assert png.startswith(b"\x89PNG")


def test_the_options_stand_beside_what_came_of_them(log: EventAccumulator) -> None:
    assert value(log, "final/test_accuracy") == (20, pytest.approx(0.98))
    assert value(log, "final/validation_accuracy") == (20, pytest.approx(0.95))
    # The HParams view reads exactly these two.
    experiment, started = (
        plugin_data_pb2.HParamsPluginData.FromString(log.SummaryMetadata(tag).plugin_data.content)
        for tag in ("_hparams_/experiment", "_hparams_/session_start_info")
    )
    columns = {info.name for info in experiment.experiment.hparam_infos}
    options = RECIPES["classic-fast"].defaults
    assert columns == {"recipe", *options.to_json()}
    assert started.session_start_info.hparams["recipe"].string_value == "classic-fast"
    assert started.session_start_info.hparams["batch_size"].number_value == options.batch_size


def test_without_a_folder_nothing_is_written(digits: Digits) -> None:
    write(None, digits)


def test_a_folder_that_cannot_be_written_costs_the_logs_and_nothing_else(
    tmp_path: Path, digits: Digits, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "in_the_way").write_text("no folder")
    write(tmp_path / "in_the_way" / "logs", digits)
    assert caplog.messages == ["no more logs for TensorBoard"]


def test_a_confusion_matrix_shows_mistakes_in_their_cells(digits: Digits) -> None:
    labels = digits.labels
    without, with_one = labels.copy(), labels.copy()
    with_one[0] = (labels[0] + 1) % 10
    right, wrong = draw_confusion_matrix(labels, without), draw_confusion_matrix(labels, with_one)
    changed = np.argwhere((right != wrong).any(axis=2))
    rows = {int((y - 40) // 40) for y, _ in changed}
    columns = {int((x - 40) // 40) for _, x in changed}
    assert rows == {int(labels[0])}
    assert columns == {int(labels[0]), int(with_one[0])}


def test_a_sheet_of_mistakes_is_blank_when_there_are_none(digits: Digits) -> None:
    assert (draw_misclassified(digits, answers(digits, wrong=0)) == 255).all()
    assert (draw_misclassified(digits, answers(digits, wrong=100)) < 255).any()
