"""Training over a live channel, with real child processes on real digits."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from digits.v1 import dataset_pb2, evaluation_pb2, gate_pb2, model_pb2
from digits.v1 import training_pb2 as pb

FINAL = {
    pb.TRAINING_STATE_SUCCEEDED,
    pb.TRAINING_STATE_FAILED,
    pb.TRAINING_STATE_CANCELLED,
}


@pytest.fixture(scope="module")
def server(launch_server: Any) -> Any:
    """A server of its own, because these tests deploy; on the built-in digits, because they are few."""
    return launch_server(DIGITS_MNIST="")


@pytest.fixture(scope="module")
def stubs(server: Any, stubs_of: Any) -> Any:
    """Its services, its digits prepared."""
    connected = stubs_of(server)
    deadline = time.monotonic() + 60
    while not connected.training.ListRecipes(pb.ListRecipesRequest(), timeout=60).HasField("data_source"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return connected


def _start(stubs: Any, deploy: bool = False, request_id: str = "", **options: Any) -> pb.Training:
    request = pb.StartTrainingRequest(
        recipe="classic",
        options=pb.TrainingOptions(**options),
        deploy_when_done=deploy,
        request_id=request_id,
    )
    return stubs.training.StartTraining(request, timeout=60).training


def _long(stubs: Any, **choices: Any) -> pb.Training:
    """A run that goes on until somebody ends it."""
    return _start(stubs, epochs=200, batch_size=8, **choices)


def _watch(stubs: Any, training_id: str) -> Iterator[pb.Training]:
    request = pb.WatchTrainingRequest(training_id=training_id)
    for reply in stubs.training.WatchTraining(request, timeout=600):
        yield reply.training


def _until_training(stubs: Any, training_id: str) -> pb.Training:
    for training in _watch(stubs, training_id):
        if training.progress.phase == pb.TRAINING_PHASE_TRAINING and training.progress.batch > 0:
            return training
    raise AssertionError("the run ended before it trained")


def _get(stubs: Any, training_id: str) -> pb.Training:
    return stubs.training.GetTraining(pb.GetTrainingRequest(training_id=training_id), timeout=60).training


def _children(pid: int) -> list[int]:
    listed = subprocess.run(["pgrep", "-P", str(pid), "-f", "server.trainer"], capture_output=True, text=True)
    return [int(line) for line in listed.stdout.split()]


@pytest.fixture(scope="module")
def trained(stubs: Any) -> tuple[list[pb.Training], pb.Training]:
    """A short run that should deploy its version, watched to its end: every state seen, and the last."""
    started = _start(stubs, deploy=True, epochs=2, seed=3)
    seen = list(_watch(stubs, started.training_id))
    return seen, seen[-1]


def test_the_recipes_tell_defaults_ranges_and_data(stubs: Any) -> None:
    reply = stubs.training.ListRecipes(pb.ListRecipesRequest(), timeout=60)
    recipes = {recipe.name: recipe for recipe in reply.recipes}
    classic = recipes["classic"]
    assert classic.uses_all_data
    assert classic.defaults.architecture == pb.ARCHITECTURE_MLP
    assert classic.defaults.optimizer == pb.OPTIMIZER_ADAM
    assert (classic.defaults.epochs, classic.defaults.batch_size) == (10, 32)
    assert recipes["cnn"].defaults.architecture == pb.ARCHITECTURE_CNN
    assert not recipes["cnn"].uses_all_data
    ranges = {limits.option: (limits.min, limits.max) for limits in reply.option_ranges}
    assert set(ranges) == {"learning_rate", "epochs", "batch_size", "seed"}
    assert reply.data_source.kind == dataset_pb2.DATA_SOURCE_KIND_BUILTIN
    assert reply.data_progress == ""


def test_a_watched_run_goes_from_its_start_to_a_version(
    stubs: Any, trained: tuple[list[pb.Training], pb.Training]
) -> None:
    seen, last = trained
    assert last.state == pb.TRAINING_STATE_SUCCEEDED, last.failure_reason
    assert [epoch.epoch for epoch in last.history] == [1, 2]
    assert last.history[1].loss < last.history[0].loss
    assert last.options.epochs == 2
    assert last.options.batch_size == 32
    assert last.data_source.kind == dataset_pb2.DATA_SOURCE_KIND_BUILTIN
    elapsed = [training.progress.elapsed_s for training in seen]
    assert elapsed == sorted(elapsed)


def test_a_version_that_nothing_can_judge_stays_a_candidate_and_says_why(
    stubs: Any, trained: tuple[list[pb.Training], pb.Training]
) -> None:
    seen, last = trained
    assert last.deploy_when_done
    assert not any(training.HasField("gate") for training in seen[:-1])
    assert (last.gate.passed, last.gate.serving_version) == (False, 1)
    assert "The recipe classic trains on every digit there is" in last.gate.reasons[0]
    assert [(each.data, each.images) for each in last.gate.comparisons] == [
        (gate_pb2.GATE_DATA_VALIDATION, 0)
    ]
    request = model_pb2.GetModelRequest(model_version=last.model_version)
    candidate = stubs.model.GetModel(request, timeout=60).model
    assert not candidate.is_deployed
    assert candidate.gate == last.gate
    assert stubs.model.GetModel(model_pb2.GetModelRequest(), timeout=60).model.model_version == 1


def test_a_run_tells_what_it_ran_on(trained: tuple[list[pb.Training], pb.Training]) -> None:
    _, last = trained
    assert last.device
    assert {"python", "tensorflow", "keras", "numpy"} <= set(last.libraries)
    assert len(last.data_source.sha256) == 64
    assert (last.resumes, last.stopped_early) == (0, False)


def test_a_run_that_has_ended_cannot_be_stopped(stubs: Any, refused: Any, trained: Any) -> None:
    ended = pb.StopTrainingRequest(training_id=trained[1].training_id)
    refusal = refused(stubs.training.StopTraining, ended)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "TRAINING_FINISHED")


def test_the_new_version_carries_where_it_came_from_and_how_it_does(
    stubs: Any, trained: tuple[list[pb.Training], pb.Training]
) -> None:
    _, last = trained
    request = model_pb2.GetModelRequest(model_version=last.model_version)
    model = stubs.model.GetModel(request, timeout=60).model
    assert model.provenance.training_id == last.training_id
    assert model.provenance.recipe == "classic"
    assert model.provenance.options == last.options
    assert set(model.provenance.training_partitions) == {"builtin_train", "builtin_validation"}
    assert model.provenance.training_images == 4000
    assert model.parameters == 784 * 512 + 512 + 512 * 10 + 10
    assert {"tensorflow", "keras"} <= set(model.provenance.libraries)
    assert model.evaluation.dataset == dataset_pb2.DATASET_BUILTIN_TEST
    assert model.evaluation.images == 1000
    assert model.evaluation.accuracy > 0.85


def test_a_version_is_never_measured_on_what_it_was_trained_on(
    stubs: Any, refused: Any, trained: tuple[list[pb.Training], pb.Training]
) -> None:
    _, last = trained
    request = evaluation_pb2.EvaluateRequest(
        model_version=last.model_version, dataset=dataset_pb2.DATASET_BUILTIN_DIGITS
    )
    refusal = refused(stubs.evaluation.Evaluate, request)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "TRAINED_ON_DATASET")


def test_a_data_set_that_is_not_here_is_refused(stubs: Any, refused: Any) -> None:
    request = evaluation_pb2.EvaluateRequest(model_version=1, dataset=dataset_pb2.DATASET_MNIST_TEST)
    refusal = refused(stubs.evaluation.Evaluate, request)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "DATASET_UNAVAILABLE")


def test_the_same_request_id_gives_the_same_run(stubs: Any) -> None:
    first = _long(stubs, request_id="once")
    again = _long(stubs, request_id="once")
    assert again.training_id == first.training_id
    stubs.training.CancelTraining(pb.CancelTrainingRequest(training_id=first.training_id), timeout=60)


def test_cancelling_ends_a_run_at_once_and_leaves_no_version(server: Any, stubs: Any, refused: Any) -> None:
    before = stubs.model.ListModels(model_pb2.ListModelsRequest(), timeout=60).total_size
    run = _long(stubs)
    _until_training(stubs, run.training_id)
    request = pb.CancelTrainingRequest(training_id=run.training_id)
    asked = time.monotonic()
    cancelled = stubs.training.CancelTraining(request, timeout=60).training
    # Two seconds are promised; this much is for a machine that is busy with other things.
    assert time.monotonic() - asked < 20.0
    assert cancelled.state == pb.TRAINING_STATE_CANCELLED
    assert _children(server.pid) == []
    assert stubs.model.ListModels(model_pb2.ListModelsRequest(), timeout=60).total_size == before
    assert refused(stubs.training.CancelTraining, request).reason == "TRAINING_FINISHED"


def test_a_second_run_waits_and_can_be_cancelled_but_not_stopped_while_it_does(
    stubs: Any, refused: Any
) -> None:
    first, second = _long(stubs), _long(stubs)
    next(run for run in _watch(stubs, first.training_id) if run.state == pb.TRAINING_STATE_RUNNING)
    waiting = _get(stubs, second.training_id)
    assert (waiting.state, waiting.queue_position) == (pb.TRAINING_STATE_QUEUED, 1)
    stop = pb.StopTrainingRequest(training_id=second.training_id)
    refusal = refused(stubs.training.StopTraining, stop)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "TRAINING_WAITING")
    assert "CancelTraining" in refusal.message
    request = pb.CancelTrainingRequest(training_id=second.training_id)
    assert stubs.training.CancelTraining(request, timeout=60).training.state == pb.TRAINING_STATE_CANCELLED
    assert _get(stubs, first.training_id).state in (pb.TRAINING_STATE_QUEUED, pb.TRAINING_STATE_RUNNING)
    stubs.training.CancelTraining(pb.CancelTrainingRequest(training_id=first.training_id), timeout=60)


def test_a_run_whose_child_is_killed_goes_on_and_can_be_stopped(server: Any, stubs: Any) -> None:
    run = _long(stubs)
    _until_training(stubs, run.training_id)
    (child,) = _children(server.pid)
    os.kill(child, signal.SIGKILL)
    resumed = next(each for each in _watch(stubs, run.training_id) if each.resumes)
    assert (resumed.resumes, resumed.state) == (1, pb.TRAINING_STATE_RUNNING)
    assert stubs.model.GetModel(model_pb2.GetModelRequest(), timeout=60).model.is_deployed

    request = pb.StopTrainingRequest(training_id=run.training_id)
    assert stubs.training.StopTraining(request, timeout=60).training.stopped_early
    last = list(_watch(stubs, run.training_id))[-1]
    assert last.state == pb.TRAINING_STATE_SUCCEEDED, last.failure_reason
    assert last.model_version
    assert 1 <= len(last.history) < last.options.epochs


BAD_RUNS: dict[str, tuple[pb.StartTrainingRequest, str]] = {
    "no recipe": (pb.StartTrainingRequest(), "recipe"),
    "an unknown recipe": (pb.StartTrainingRequest(recipe="magic"), "recipe"),
    "no epochs": (
        pb.StartTrainingRequest(recipe="classic", options=pb.TrainingOptions(epochs=0)),
        "options.epochs",
    ),
    "a learning rate that is no number": (
        pb.StartTrainingRequest(recipe="cnn", options=pb.TrainingOptions(learning_rate=float("nan"))),
        "options.learning_rate",
    ),
    "a negative seed": (
        pb.StartTrainingRequest(recipe="cnn", options=pb.TrainingOptions(seed=-1)),
        "options.seed",
    ),
    "a batch that is too large": (
        pb.StartTrainingRequest(recipe="cnn", options=pb.TrainingOptions(batch_size=10**6)),
        "options.batch_size",
    ),
    "an unknown optimizer": (
        pb.StartTrainingRequest(recipe="cnn", options=pb.TrainingOptions(optimizer=12)),  # type: ignore[arg-type]
        "options.optimizer",
    ),
    "a request id that is too long": (
        pb.StartTrainingRequest(recipe="cnn", request_id="x" * 65),
        "request_id",
    ),
}


@pytest.mark.parametrize(("request_", "field"), BAD_RUNS.values(), ids=BAD_RUNS.keys())
def test_a_bad_choice_is_refused_before_anything_starts(
    stubs: Any, refused: Any, request_: pb.StartTrainingRequest, field: str
) -> None:
    before = stubs.training.ListTrainings(pb.ListTrainingsRequest(), timeout=60).total_size
    refusal = refused(stubs.training.StartTraining, request_)
    assert (refusal.code, refusal.fields) == (grpc.StatusCode.INVALID_ARGUMENT, [field])
    assert stubs.training.ListTrainings(pb.ListTrainingsRequest(), timeout=60).total_size == before


@pytest.mark.parametrize("method", ["GetTraining", "StopTraining", "CancelTraining"])
def test_an_unknown_run_is_not_found(stubs: Any, refused: Any, method: str) -> None:
    request = getattr(pb, f"{method}Request")(training_id="nothing")
    refusal = refused(getattr(stubs.training, method), request)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "TRAINING_NOT_FOUND")


def test_an_unknown_run_cannot_be_watched(stubs: Any) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        list(_watch(stubs, "nothing"))
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND


def test_runs_are_listed_newest_first_in_pages(stubs: Any, trained: Any) -> None:
    whole = stubs.training.ListTrainings(pb.ListTrainingsRequest(page_size=100), timeout=60).trainings
    created = [run.create_time.ToNanoseconds() for run in whole]
    assert created == sorted(created, reverse=True)
    first = stubs.training.ListTrainings(pb.ListTrainingsRequest(page_size=1), timeout=60)
    following = pb.ListTrainingsRequest(page_size=1, page_token=first.next_page_token)
    second = stubs.training.ListTrainings(following, timeout=60)
    assert [run.training_id for run in (*first.trainings, *second.trainings)] == [
        run.training_id for run in whole[:2]
    ]


def test_the_serving_process_holds_no_tensorflow(server: Any, trained: Any) -> None:
    maps = Path(f"/proc/{server.pid}/maps")
    if maps.exists():
        assert "tensorflow" not in maps.read_text()
    else:
        listed = subprocess.run(["lsof", "-p", str(server.pid)], capture_output=True, text=True, check=True)
        assert "tensorflow" not in listed.stdout
