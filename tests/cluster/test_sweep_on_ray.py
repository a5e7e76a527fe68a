"""Sweeps by Ray Tune: several trials at once, ended early by ASHA, stopped and taken up as on one machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
from scripted_training import Script
from softmax_regression import complete_version, fit
from sweep_lab import SweepLab

from server.cluster.tuning import RayTuner
from server.datasets import Data, DataPreparation
from server.sweeps import Sweep, SweepState, TrialState

RATES = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4)
AT_ONCE = 2


@pytest.fixture(scope="module", autouse=True)
def ray_here() -> Iterator[None]:
    """A Ray of one node, with this process as the owner of the data."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("RAY_USAGE_STATS_ENABLED", "0")
        # Not the cluster of the other tests, which `ray.init` would find by itself.
        ray.init("local", num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="warning")
        yield
        ray.shutdown()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataPreparation]:
    """The built-in digits, ready."""
    with DataPreparation(tmp_path_factory.mktemp("digits")) as data:
        data.wait(60)
        yield data


@pytest.fixture
def lab(tmp_path: Path, data: DataPreparation) -> Iterator[SweepLab]:
    """An empty data directory, whose trainings go by a script and whose sweeps go by Tune."""
    digits = Data.open(data.root)
    model = fit(digits, steps=3)
    script = Script(
        lambda spec: complete_version(spec.staging, model, digits, training_id=spec.training_id) and None
    )
    (tmp_path / "shipped").mkdir()
    shipped = complete_version(tmp_path / "shipped", model, digits, training_id="")
    lab = SweepLab(tmp_path, data, shipped, script, at_once=AT_ONCE, tuner=RayTuner())
    yield lab
    script.last_epoch.set()
    lab.close()


def states(sweep: Sweep) -> list[TrialState]:
    return [trial.state for trial in sweep.trials]


def test_as_many_trials_train_at_once_as_there_are_places_and_those_that_fall_behind_are_ended(
    lab: SweepLab,
) -> None:
    # Nobody is let to the last epoch before Tune has compared all that it will.
    lab.script.last_epoch.clear()
    started = lab.start(*RATES, epochs=2)
    lab.wait_until(
        started.sweep_id,
        lambda sweep: (
            states(sweep).count(TrialState.RUNNING) == AT_ONCE
            and sum(trial.epochs for trial in sweep.trials) >= AT_ONCE
        ),
    )
    lab.script.last_epoch.set()
    sweep = lab.wait_for_end(started.sweep_id)
    assert sweep.state is SweepState.SUCCEEDED
    assert lab.script.most_at_once == AT_ONCE
    assert set(states(sweep)) <= {TrialState.SUCCEEDED, TrialState.FELL_BEHIND}
    assert sweep.best_trial is not None


def test_a_stopped_sweep_ends_at_once_and_leaves_nothing_of_tune(lab: SweepLab) -> None:
    lab.script.last_epoch.clear()
    started = lab.start(*RATES)
    lab.wait_until(started.sweep_id, lambda sweep: TrialState.RUNNING in states(sweep))
    sweep = lab.sweeps.stop(started.sweep_id)
    assert sweep.state is SweepState.STOPPED
    assert set(states(sweep)) <= {TrialState.CANCELLED, TrialState.FELL_BEHIND}
    assert lab.script.training == 0


def test_after_a_restart_the_trials_go_on(lab: SweepLab) -> None:
    lab.script.last_epoch.clear()
    started = lab.start(0.9, 0.8, 0.7, ends_early=False)
    lab.wait_until(started.sweep_id, lambda sweep: states(sweep).count(TrialState.RUNNING) == AT_ONCE)
    lab.restart()
    lab.script.last_epoch.set()
    sweep = lab.wait_for_end(started.sweep_id)
    assert states(sweep) == [TrialState.SUCCEEDED] * 3
    assert lab.trainings.list(0, 10)[1] == 3
