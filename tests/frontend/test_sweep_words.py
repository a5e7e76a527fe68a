"""How a sweep is put into words, and how long it may take."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from digits.client.choices import (
    Activation,
    Architecture,
    Augmentation,
    Optimizer,
    SweepState,
    TrainingState,
    TrialState,
)
from digits.client.records import (
    EpochMetrics,
    OptionRange,
    Recipe,
    Sweep,
    SweepRange,
    Training,
    TrainingOptions,
    Trial,
)

from frontend.sweeps import words
from frontend.sweeps.estimate import sweep_s
from frontend.sweeps.ranges import rate_steps, usual_rates

NOW = datetime(2026, 3, 1, tzinfo=UTC)
OPTIONS = TrainingOptions(
    Architecture.MLP, Activation.RELU, Optimizer.ADAM, 0.00321, 3, 125, Augmentation.NONE, 1
)
RATES = SweepRange("learning_rate", min=0.0005, max=0.02, logarithmic=True)
SIZES = SweepRange("batch_size", values=("64", "125"))
OPTIMIZERS = SweepRange("optimizer", values=("adam", "sgd"))


def trial(number: int, state: TrialState, accuracy: float | None, epochs: int = 3, **fields: Any) -> Trial:
    """A trial of three epochs."""
    known = {"training_id": f"run{number}", "model_version": 0, "failure_reason": "", "duration_s": 30.0}
    return Trial(
        number=number,
        state=state,
        options=OPTIONS,
        epochs=epochs,
        validation_accuracy=accuracy,
        **{**known, **fields},
    )


def sweep(*trials: Trial, state: SweepState = SweepState.RUNNING, best: int = 0) -> Sweep:
    """A sweep of learning rates, batch sizes and optimizers."""
    return Sweep(
        sweep_id="s",
        recipe="classic-fast",
        options=OPTIONS,
        ranges=(OPTIMIZERS, RATES, SIZES),
        state=state,
        trials=trials,
        best_trial=best,
        ends_early=True,
        deploy_when_done=False,
        create_time=NOW,
        end_time=None,
        failure_reason="",
        gate=None,
        at_once=1,
    )


GOOD = trial(1, TrialState.SUCCEEDED, 0.988)
NEAR = trial(2, TrialState.SUCCEEDED, 0.986)
FAR = trial(3, TrialState.SUCCEEDED, 0.9)
BEHIND = trial(4, TrialState.FELL_BEHIND, 0.985, epochs=1)


@pytest.mark.parametrize(
    ("tried", "said"),
    [
        (RATES, "learning rates from 0.0005 to 0.02"),
        (SIZES, "batches of 64 or 125"),
        (SweepRange("batch_size", min=32, max=1024), "batches from 32 to 1,024"),
        (SweepRange("optimizer", values=("adam", "sgd", "adagrad")), "Adam, SGD or AdaGrad"),
        (SweepRange("augmentation", values=("none", "standard")), "augmentation none or standard"),
        (SweepRange("activation", values=("relu", "one-of-tomorrow")), "relu or one-of-tomorrow"),
    ],
)
def test_a_range_is_said_as_people_say_it(tried: SweepRange, said: str) -> None:
    assert words.range_words(tried) == said


def test_ranges_come_in_the_order_of_the_form() -> None:
    said = words.ranges_words((OPTIMIZERS, SIZES, RATES))

    assert said == "learning rates from 0.0005 to 0.02, batches of 64 or 125, and Adam or SGD"
    assert words.ranges_words((SIZES,)) == "batches of 64 or 125"


def test_the_plan_says_what_a_click_will_do_and_about_how_long_it_takes() -> None:
    told: dict[str, Any] = {"trials": 10, "epochs": 3}
    said = words.plan("Classic, fast", (SIZES,), **told, ends_early=True, deploys=True, seconds=754.0)

    assert said == (
        "Trains Classic, fast 10 times for 3 epochs, with batches of 64 or 125, and ends those early that "
        "fall behind; the best one answers everybody if it passes the gate. "
        "It may take about 13 min, or less."
    )
    bare = words.plan("Classic, fast", (SIZES,), **told, ends_early=False, deploys=False, seconds=None)
    assert bare.endswith("with batches of 64 or 125. How long that takes is told after the first epoch.")


@pytest.mark.parametrize(("seconds", "told"), [(1, 10), (83, 80), (754, 780), (9000, 9000), (8500, 8400)])
def test_a_guessed_time_has_no_more_figures_than_are_known(seconds: float, told: float) -> None:
    assert words.rounded(seconds) == told


def test_how_far_a_sweep_is() -> None:
    waiting = trial(3, TrialState.WAITING, None, epochs=0)
    running = trial(2, TrialState.RUNNING, 0.9, epochs=1)
    now = sweep(GOOD, running, waiting)

    assert words.where(now) == "1 of 3 trials done, trial 2 trains: epoch 2 of 3"
    assert words.share_done(now) == pytest.approx((1 + 1 / 3) / 3)
    beside = sweep(GOOD, running, replace(running, number=3))
    assert words.where(beside) == "1 of 3 trials done, trials 2 and 3 train"
    assert words.where(sweep(GOOD, waiting)) == "1 of 2 trials done, the next one is about to start"


def test_in_the_last_epoch_no_further_one_is_promised() -> None:
    assert words.epoch(trial(1, TrialState.RUNNING, 0.9, epochs=3)) == "epoch 3 of 3"


def test_the_best_trial_is_told_with_its_interval() -> None:
    done = sweep(FAR, replace(GOOD, number=2), state=SweepState.SUCCEEDED, best=2)

    assert words.best(done, 500) == (
        "Trial 2 is the best: learning rate 0.00321, batch size 125, optimizer Adam. "
        "It reads 98.80 % of 500 validation digits right, 95\xa0% interval 97.41–99.45\xa0%."
    )
    assert words.best(done, 0).endswith("It reads 98.80 % of validation digits right.")
    assert words.best(replace(done, state=SweepState.RUNNING), 0).startswith("Trial 2 is the best so far:")
    assert words.best(sweep(BEHIND), 500) == ""


def test_trials_that_so_few_digits_cannot_tell_apart_are_named() -> None:
    done = sweep(GOOD, NEAR, FAR, BEHIND, state=SweepState.SUCCEEDED, best=1)

    assert words.as_good(done, 500) == (
        "Trial 2 lies within that interval: 500 digits cannot tell which of them is better."
    )
    # With more digits the interval is narrower.
    assert words.as_good(done, 50_000) == ""
    both = sweep(GOOD, NEAR, replace(NEAR, number=3), state=SweepState.SUCCEEDED, best=1)
    assert words.as_good(both, 500).startswith("Trials 2 and 3 lie within")


def test_an_option_of_a_trial_is_told_without_more_figures_than_matter() -> None:
    assert words.chosen(GOOD, "learning_rate") == "0.00321"
    assert words.text("learning_rate", "1e-05") == "0.00001"
    assert words.text("learning_rate", "1.0") == "1"
    assert words.chosen(GOOD, "batch_size") == "125"
    assert words.chosen(GOOD, "architecture") == "MLP"
    assert words.chosen(GOOD, "of_tomorrow") == "–"


RECIPE = Recipe("classic-fast", "Classic, fast", "", OPTIONS, uses_all_data=False)


def run(recipe: str, epoch_s: float, around_s: float, options: TrainingOptions = OPTIONS) -> Training:
    """A run of two epochs that took so long, and so long around them."""
    return Training(
        training_id="r",
        recipe=recipe,
        options=options,
        state=TrainingState.SUCCEEDED,
        queue_position=0,
        deploy_when_done=False,
        create_time=NOW,
        start_time=NOW,
        end_time=NOW + timedelta(seconds=2 * epoch_s + around_s),
        progress=None,
        history=tuple(EpochMetrics(each, 0.1, 0.9, 0.1, 0.9, epoch_s) for each in (1, 2)),
        model_version=1,
        failure_reason="",
        data_source=None,
    )


def test_runs_of_the_recipe_tell_how_long_a_sweep_takes() -> None:
    runs = [run("classic-fast", 4, 10), run("classic", 100, 10)]

    assert sweep_s(runs, RECIPE, trials=10, epochs=3) == pytest.approx(10 * (10 + 3 * 4))
    assert sweep_s(runs, RECIPE, trials=10, epochs=3, at_once=4) == pytest.approx(55)


def test_without_one_those_of_the_same_network_do_and_without_any_nothing_is_told() -> None:
    cnn = replace(OPTIONS, architecture=Architecture.CNN)

    assert sweep_s([run("cnn", 9, 0, cnn)], RECIPE, trials=2, epochs=1) is None
    assert sweep_s([run("classic", 5, 0)], RECIPE, trials=2, epochs=1) == pytest.approx(10)
    failed = replace(run("classic-fast", 5, 0), state=TrainingState.FAILED)
    assert sweep_s([failed], RECIPE, trials=2, epochs=1) is None


def test_rates_are_offered_around_the_recipes_own() -> None:
    steps = rate_steps(OptionRange("learning_rate", 1e-5, 1.0))

    assert (steps[0], steps[1], steps[-1], len(steps)) == (1e-5, 2e-5, 1.0, 16)
    assert usual_rates(0.01, steps) == (0.002, 0.05)
    assert usual_rates(0.005, steps) == (0.001, 0.05)
    assert usual_rates(1.0, steps) == (0.2, 1.0)
