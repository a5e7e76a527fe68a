"""Several runs' curves in one picture."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from digits.client.choices import Activation, Architecture, Augmentation, Optimizer, TrainingState
from digits.client.records import EpochMetrics, Training, TrainingOptions

from frontend import charts
from frontend.training import words
from frontend.training.compare import label, overlay_rows, overlay_spec

OPTIONS = TrainingOptions(
    architecture=Architecture.MLP,
    activation=Activation.RELU,
    optimizer=Optimizer.ADAM,
    learning_rate=0.001,
    epochs=2,
    batch_size=32,
    augmentation=Augmentation.NONE,
    seed=1,
)
VALIDATED = Training(
    training_id="a1b2c3d4",
    recipe="cnn",
    options=OPTIONS,
    state=TrainingState.SUCCEEDED,
    queue_position=0,
    deploy_when_done=False,
    create_time=datetime(2026, 1, 2, tzinfo=UTC),
    start_time=None,
    end_time=None,
    progress=None,
    history=(EpochMetrics(1, 0.5, 0.8, 0.4, 0.9, 3.0), EpochMetrics(2, 0.3, 0.9, 0.2, 0.95, 3.0)),
    model_version=2,
    failure_reason="",
    data_source=None,
)
BARE = replace(
    VALIDATED, training_id="f00dcafe", recipe="classic", history=(EpochMetrics(1, 0.6, 0.7, None, None, 3.0),)
)


def test_every_run_keeps_its_own_points() -> None:
    rows = overlay_rows({"one": VALIDATED, "two": BARE}, charts.ACCURACY)
    points = list(zip(*rows.values(), strict=True))
    assert ("one", 1.0, 0.9, charts.VALIDATION) in points
    assert ("one", 2.0, 0.9, charts.TRAINING) in points
    assert [point for point in points if point[0] == "two"] == [("two", 1.0, 0.7, charts.TRAINING)]


def test_the_colours_follow_the_chosen_order() -> None:
    spec = overlay_spec(["one", "two"], charts.LOSS)
    assert spec["encoding"]["color"]["scale"]["domain"] == ["one", "two"]


def test_two_runs_of_the_same_options_have_different_names() -> None:
    twin = replace(VALIDATED, training_id="ffffffff")
    titles = {"cnn": "Convolutional network"}
    assert label(VALIDATED, titles) != label(twin, titles)
    assert label(VALIDATED, titles).startswith("Convolutional network · MLP · relu")


def test_what_happened_around_a_run_is_told_in_a_line() -> None:
    assert words.circumstances(VALIDATED) == ""
    eventful = replace(VALIDATED, device="CPU", resumes=1, stopped_early=True)
    assert words.circumstances(eventful) == "on CPU · cut off once, went on by itself · stopped early"
