"""SweepService over a live channel, with programs that truly train."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from digits.v1 import model_pb2, sweep_pb2, training_pb2
from google.rpc import error_details_pb2

# Two trials of the cheapest kind, of which each starts a program that imports TensorFlow.
PATIENCE_S = 600.0
REQUEST = sweep_pb2.StartSweepRequest(
    recipe="classic-fast",
    options=training_pb2.TrainingOptions(epochs=2, seed=5),
    ranges=[sweep_pb2.SweepRange(option="learning_rate", values=["0.01", "0.00001"])],
    trials=2,
)


def wait_for(stubs: Any, sweep_id: str, condition: Callable[[sweep_pb2.Sweep], bool]) -> sweep_pb2.Sweep:
    """The sweep, as soon as it fulfils `condition`."""
    deadline = time.monotonic() + PATIENCE_S
    request = sweep_pb2.GetSweepRequest(sweep_id=sweep_id)
    while not condition(sweep := stubs.sweep.GetSweep(request, timeout=60).sweep):
        assert time.monotonic() < deadline, sweep
        time.sleep(0.05)
    return sweep


def has_ended(sweep: sweep_pb2.Sweep) -> bool:
    return sweep.state != sweep_pb2.SWEEP_STATE_RUNNING


@pytest.fixture(scope="module")
def swept(launch_server: Any, stubs_of: Any, wait_until_ready: Any) -> tuple[Any, Any, sweep_pb2.Sweep]:
    """A server that was killed in the middle of a sweep and started anew, its stubs, and the sweep's end."""
    server = launch_server(DIGITS_MNIST="")
    stubs = stubs_of(server)
    wait_until_ready(stubs)
    started = stubs.sweep.StartSweep(REQUEST, timeout=60).sweep
    wait_for(stubs, started.sweep_id, lambda sweep: sweep.trials[0].epochs > 0)
    server.kill()
    server.start()
    stubs = stubs_of(server)
    return server, stubs, wait_for(stubs, started.sweep_id, has_ended)


def test_a_sweep_goes_on_when_the_server_was_killed_and_the_better_trial_wins(swept: Any) -> None:
    _, stubs, sweep = swept
    assert sweep.state == sweep_pb2.SWEEP_STATE_SUCCEEDED
    best = sweep.trials[sweep.best_trial - 1]
    assert best.options.learning_rate == 0.01
    assert best.validation_accuracy > 0.8
    assert {trial.epochs for trial in sweep.trials} == {2}
    runs = stubs.training.ListTrainings(training_pb2.ListTrainingsRequest(), timeout=60).trainings
    assert {run.training_id: run.model_version for run in runs} == {
        trial.training_id: trial.model_version for trial in sweep.trials
    }
    # The one that was cut off went on by itself, once.
    assert sorted(run.resumes for run in runs) == [0, 1]


def test_all_of_a_sweep_is_told(swept: Any) -> None:
    _, stubs, sweep = swept
    assert sweep.recipe == "classic-fast"
    assert (sweep.options.epochs, sweep.options.seed, sweep.options.batch_size) == (2, 5, 250)
    assert list(sweep.ranges) == list(REQUEST.ranges)
    assert [trial.number for trial in sweep.trials] == [1, 2]
    assert (sweep.at_once, sweep.ends_early, sweep.deploy_when_done) == (1, True, False)
    assert sweep.create_time.ToDatetime() < sweep.end_time.ToDatetime()
    assert sweep.gate.serving_version == 1
    assert min(trial.duration_s for trial in sweep.trials) > 0
    listed = stubs.sweep.ListSweeps(sweep_pb2.ListSweepsRequest(), timeout=60)
    assert (list(listed.sweeps), listed.total_size) == ([sweep], 1)
    version = model_pb2.GetModelRequest(model_version=sweep.trials[sweep.best_trial - 1].model_version)
    assert stubs.model.GetModel(version, timeout=60).model.provenance.recipe == "classic-fast"


def test_a_sweep_that_has_ended_cannot_be_stopped(swept: Any, refused: Any) -> None:
    _, stubs, sweep = swept
    refusal = refused(stubs.sweep.StopSweep, sweep_pb2.StopSweepRequest(sweep_id=sweep.sweep_id))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "SWEEP_FINISHED")


def test_a_stopped_sweep_leaves_no_training_behind(swept: Any, refused: Any) -> None:
    _, stubs, _ = swept
    started = stubs.sweep.StartSweep(REQUEST, timeout=60).sweep
    second = refused(stubs.sweep.StartSweep, REQUEST)
    assert (second.code, second.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "SWEEP_RUNNING")
    assert second.detail(error_details_pb2.RetryInfo()).retry_delay.seconds > 0
    wait_for(stubs, started.sweep_id, lambda sweep: sweep.trials[0].state == sweep_pb2.TRIAL_STATE_RUNNING)
    stop = sweep_pb2.StopSweepRequest(sweep_id=started.sweep_id)
    stopped = stubs.sweep.StopSweep(stop, timeout=60).sweep
    assert stopped.state == sweep_pb2.SWEEP_STATE_STOPPED
    assert [trial.state for trial in stopped.trials] == [sweep_pb2.TRIAL_STATE_CANCELLED] * 2
    assert [bool(trial.training_id) for trial in stopped.trials] == [True, False]
    runs = stubs.training.ListTrainings(training_pb2.ListTrainingsRequest(), timeout=60).trainings
    assert {run.state for run in runs} <= {
        training_pb2.TRAINING_STATE_SUCCEEDED,
        training_pb2.TRAINING_STATE_CANCELLED,
    }


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"recipe": "alchemy"}, "recipe"),
        ({"recipe": "classic"}, "recipe"),
        ({"recipe": "teach"}, "recipe"),
        ({"trials": 101}, "trials"),
        ({"ranges": []}, "ranges"),
        ({"ranges": [sweep_pb2.SweepRange(option="learning_rate", min=0.1)]}, "ranges[0].max"),
        ({"ranges": [sweep_pb2.SweepRange(option="batch_size", min=4, max=8)]}, "ranges[0].min"),
        ({"ranges": [sweep_pb2.SweepRange(option="optimizer", values=["adam", "x"])]}, "ranges[0].values[1]"),
        ({"options": training_pb2.TrainingOptions(learning_rate=0.1)}, "options.learning_rate"),
        ({"request_id": "x" * 65}, "request_id"),
    ],
)
def test_what_is_wrong_with_a_sweep_is_told_by_its_field(
    stubs: Any, refused: Any, changes: dict[str, Any], field: str
) -> None:
    values = {name.name: value for name, value in REQUEST.ListFields()} | changes
    refusal = refused(stubs.sweep.StartSweep, sweep_pb2.StartSweepRequest(**values))
    assert (refusal.code, refusal.fields) == (grpc.StatusCode.INVALID_ARGUMENT, [field])
