"""The trials of a sweep as a plot and as a table."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from digits.client.choices import (
    Activation,
    Architecture,
    Augmentation,
    Optimizer,
    SweepState,
    TrialState,
)
from digits.client.records import Sweep, SweepRange, TrainingOptions, Trial

from frontend.sweeps import plot, table

OPTIONS = TrainingOptions(
    Architecture.MLP, Activation.RELU, Optimizer.ADAM, 0.001, 3, 125, Augmentation.NONE, 1
)


def trial(
    number: int, state: TrialState, accuracy: float | None, rate: float, kind: Optimizer, **more: Any
) -> Trial:
    """A trial with a learning rate and an optimizer of its own."""
    known = {"training_id": f"run{number}", "epochs": 3, "model_version": 0, "failure_reason": ""}
    return Trial(
        number=number,
        state=state,
        options=replace(OPTIONS, learning_rate=rate, optimizer=kind),
        validation_accuracy=accuracy,
        duration_s=1.0,
        **{**known, **more},
    )


TRIALS = (
    trial(1, TrialState.SUCCEEDED, 0.95, 0.0001, Optimizer.SGD, model_version=2),
    trial(2, TrialState.FELL_BEHIND, 0.2, 0.01, Optimizer.SGD, epochs=1),
    trial(3, TrialState.SUCCEEDED, 0.99, 0.001, Optimizer.ADAM, model_version=3),
    trial(4, TrialState.RUNNING, 0.97, 0.002, Optimizer.ADAM, epochs=1),
    trial(5, TrialState.WAITING, None, 0.003, Optimizer.ADAM, epochs=0, training_id=""),
    trial(6, TrialState.FAILED, None, 0.003, Optimizer.ADAM, epochs=0, failure_reason="It burnt."),
)
SWEEP = Sweep(
    sweep_id="s",
    recipe="classic-fast",
    options=OPTIONS,
    ranges=(
        SweepRange("optimizer", values=("adam", "sgd")),
        SweepRange("learning_rate", min=0.0001, max=0.01, logarithmic=True),
    ),
    state=SweepState.RUNNING,
    trials=TRIALS,
    best_trial=3,
    ends_early=True,
    deploy_when_done=False,
    create_time=datetime(2026, 3, 1, tzinfo=UTC),
    end_time=None,
    failure_reason="",
    gate=None,
    at_once=1,
)


def places(axis: str) -> dict[int, float]:
    """Where each trial's line crosses an axis."""
    return {row["trial"]: row["place"] for row in plot.line_rows(SWEEP) if row["axis"] == axis}


def test_a_line_crosses_an_axis_for_each_option_and_that_of_accuracies() -> None:
    lines = [(row["trial"], row["step"], row["axis"]) for row in plot.line_rows(SWEEP)]

    axes = ["Learning rate", "Optimizer", plot.ACCURACY]
    assert lines == [(number, *each) for number in (1, 2, 3, 4) for each in enumerate(axes)]
    domain = plot.spec(axes[:2])["encoding"]["x"]["scale"]["domain"]
    assert domain == axes


def test_rates_stand_by_their_logarithm_and_choices_beside_one_another() -> None:
    assert places("Learning rate") == pytest.approx({1: 0.0, 2: 1.0, 3: 0.5, 4: 0.6505}, abs=1e-4)
    assert places("Optimizer") == {1: 0.75, 2: 0.75, 3: 0.25, 4: 0.25}


def test_accuracies_near_the_top_stand_apart_beside_a_bad_one() -> None:
    found = places(plot.ACCURACY)

    assert found[2] < found[1] < found[4] < found[3]
    assert found[3] - found[1] > 0.25
    assert all(0 <= place <= 1 for place in found.values())


def test_a_perfect_accuracy_and_equal_ones_have_a_place() -> None:
    perfect = replace(SWEEP, trials=(replace(TRIALS[2], validation_accuracy=1.0),))

    assert all(0 <= row["place"] <= 1 for row in plot.line_rows(perfect))


def test_the_winner_is_drawn_as_one_and_those_that_ended_pale() -> None:
    tones = {row["trial"]: row["tone"] for row in plot.line_rows(SWEEP)}

    assert tones == {1: plot.DONE, 2: plot.ENDED, 3: plot.BEST, 4: plot.RUNNING}


def test_the_axes_tell_their_ends_and_before_the_first_figure_no_accuracies() -> None:
    def told(sweep: Sweep) -> dict[str, list[str]]:
        labels: dict[str, list[str]] = {}
        for row in plot.tick_rows(sweep):
            labels.setdefault(row["axis"], []).append(row["label"])
        return labels

    labels = told(SWEEP)
    assert labels["Learning rate"] == ["0.0001", "0.001", "0.01"]
    assert labels["Optimizer"] == ["Adam", "SGD"]
    assert labels[plot.ACCURACY][0] == "99 %"
    assert len(labels[plot.ACCURACY]) <= 8
    assert plot.ACCURACY not in told(replace(SWEEP, trials=TRIALS[4:], best_trial=0))


def test_the_plot_stays_the_same_chart_while_a_sweep_goes_on() -> None:
    assert plot.spec(["Learning rate"]) == plot.spec(["Learning rate"])
    assert "data" not in plot.spec(["Learning rate"])


def test_the_plot_is_told_in_words_too() -> None:
    assert plot.alt(SWEEP) == (
        "The options of 4 trials against their validation accuracy. "
        "Best: trial 3, learning rate 0.001, optimizer Adam, 99.00 %."
    )


def test_while_it_goes_on_the_trials_keep_their_order() -> None:
    shown = table.rows(SWEEP)

    assert [row.number for row in shown] == [1, 2, 3, 4, 5, 6]
    assert [row.state for row in shown] == [
        "done",
        "fell behind",
        "best so far",
        "training, epoch 2 of 3",
        "waiting",
        "failed",
    ]
    assert [row.tone for row in shown] == ["", "ended", "best", "active", "ended", "wrong"]
    assert (shown[2].options, shown[2].accuracy, shown[2].version) == (("0.001", "Adam"), "99.00 %", 3)
    assert (shown[4].accuracy, shown[4].epochs, shown[4].version) == ("–", "–", 0)
    assert shown[5].why == "It burnt."


def test_once_it_has_ended_the_best_come_first_and_what_did_not_finish_last() -> None:
    done = replace(SWEEP, state=SweepState.SUCCEEDED, trials=TRIALS[:3])

    assert [(row.number, row.state) for row in table.rows(done)] == [
        (3, "best"),
        (1, "done"),
        (2, "fell behind"),
    ]
