"""Learning curves beside each other: their common scale."""

from __future__ import annotations

from datetime import UTC, datetime

from digits.client.choices import TrainingState
from digits.client.records import EpochMetrics, Training, TrainingOptions

from frontend import charts
from frontend.mistakes.curves import domain


def run(*losses: float) -> Training:
    """A run with these losses, one an epoch."""
    return Training(
        training_id="1",
        recipe="cnn",
        options=TrainingOptions(epochs=len(losses)),
        state=TrainingState.SUCCEEDED,
        queue_position=0,
        deploy_when_done=False,
        create_time=datetime.now(UTC),
        start_time=None,
        end_time=None,
        progress=None,
        history=tuple(
            EpochMetrics(epoch, loss, 0.9, loss * 2, 0.8, 1.0) for epoch, loss in enumerate(losses, 1)
        ),
        model_version=1,
        failure_reason="",
        data_source=None,
    )


def test_two_runs_share_a_scale_that_holds_every_point_of_both() -> None:
    low, high = domain([run(0.9, 0.2), run(0.5, 0.1)], charts.LOSS)

    assert 0 < low < 0.1
    assert 1.8 < high < 2.0


def test_a_run_of_one_value_has_a_scale_all_the_same() -> None:
    low, high = domain([run(0.5)], charts.ACCURACY)

    assert low < 0.8
    assert high > 0.9
