"""Learning curves."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from digits.client.choices import TrainingPhase, TrainingState
from digits.client.records import EpochMetrics, Training, TrainingOptions, TrainingProgress

from frontend import charts

NOW = TrainingProgress(TrainingPhase.TRAINING, 2, 4, 30, 40, 0.3, 0.91, 0.4, 0.88, 12.0, 20.0, 5000.0)
RUN = Training(
    training_id="run",
    recipe="cnn",
    options=TrainingOptions(epochs=4),
    state=TrainingState.RUNNING,
    queue_position=0,
    deploy_when_done=False,
    create_time=datetime(2026, 1, 1, tzinfo=UTC),
    start_time=None,
    end_time=None,
    progress=NOW,
    history=(EpochMetrics(1, 0.5, 0.85, 0.4, 0.88, 6.0),),
    model_version=0,
    failure_reason="",
    data_source=None,
)


def test_each_finished_epoch_gives_a_point_for_training_and_one_for_validation() -> None:
    rows = charts.curve_rows(replace(RUN, progress=None), charts.LOSS)

    assert rows == [
        {"epoch": 1.0, "value": 0.5, "set": "training"},
        {"epoch": 1.0, "value": 0.4, "set": "validation"},
    ]


def test_the_epoch_under_way_grows_the_training_curve() -> None:
    assert charts.curve_rows(RUN, charts.ACCURACY)[-1] == {"epoch": 1.75, "value": 0.91, "set": "training"}


def test_a_run_that_ended_inside_an_epoch_shows_finished_epochs_only() -> None:
    cancelled = replace(RUN, state=TrainingState.CANCELLED)

    assert {row["epoch"] for row in charts.curve_rows(cancelled, charts.LOSS)} == {1.0}


def test_a_recipe_without_validation_has_one_curve() -> None:
    alone = replace(RUN, history=(EpochMetrics(1, 0.5, 0.85, None, None, 6.0),))

    assert {row["set"] for row in charts.curve_rows(alone, charts.LOSS)} == {"training"}


def test_a_chart_says_in_words_where_its_curves_are() -> None:
    rows = charts.curve_rows(RUN, charts.ACCURACY)

    assert charts.curve_alt(rows, charts.ACCURACY) == (
        "Accuracy: training 91.00% after 1.8 epochs, validation 88.00% after 1.0 epochs."
    )
    assert charts.curve_alt([], charts.LOSS) == "Loss (nats): nothing to show yet."
