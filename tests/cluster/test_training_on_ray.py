"""Training runs on a Ray cluster of two nodes, with real programs: as on one machine, whatever dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import keras
import numpy as np
import psutil
import pytest
import ray
from live_cluster import patiently
from ray.cluster_utils import Cluster
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
from training_lab import Lab, children, wait_for_children

from server.cluster.parcels import Parcel, Place
from server.cluster.training import RayChild, RayLaunch
from server.datasets import DataPreparation
from server.protocol import Phase, Progress, TrainingSpec
from server.training import Patience, TrainingRun, TrainingState

# Each node counts as two CPUs, and each run asks for two: as many cores as the runs of one machine use here.
CPUS = 2
STORE_BYTES = 100_000_000
OPTIONS = {"epochs": 3, "seed": 5}
LONG = {"epochs": 200}
PATIENCE_S = 120.0
# Two seconds are promised; this much is for a machine that is busy with other things. The runs take minutes.
CANCEL_WITHIN_S = 20.0

Got = TypeVar("Got")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A head and a second node, with this process as the owner of the runs."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("RAY_USAGE_STATS_ENABLED", "0")
        node = {"num_cpus": CPUS, "object_store_memory": STORE_BYTES}
        begun: list[Cluster] = []

        def begin() -> None:
            begun.append(Cluster())
            begun[0].add_node(**node, include_dashboard=False)
            begun[0].add_node(**node)

        patiently(begin, lambda: begun.pop().shutdown())
        (cluster,) = begun
        ray.init(address=cluster.address, log_to_driver=False, logging_level="warning")
        yield cluster
        ray.shutdown()
        cluster.shutdown()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataPreparation]:
    """The built-in digits, ready."""
    with DataPreparation(tmp_path_factory.mktemp("digits")) as data:
        data.wait(60)
        yield data


@pytest.fixture(scope="module")
def on_one_machine(
    tmp_path_factory: pytest.TempPathFactory, data: DataPreparation
) -> Iterator[tuple[Lab, TrainingRun]]:
    """The run that all others must not differ from, and its data directory."""
    lab = Lab(tmp_path_factory.mktemp("one"), data)
    ended = lab.wait_for_end(lab.trainings.start("cnn", OPTIONS).training_id)
    assert ended.state is TrainingState.SUCCEEDED, ended.failure_reason
    yield lab, ended
    lab.end()


@pytest.fixture
def lab(tmp_path: Path, data: DataPreparation, cluster: Cluster) -> Iterator[Lab]:
    """An empty data directory, whose runs train in the cluster."""
    launch = RayLaunch(CPUS)
    wait_for(lambda: launch.at_once() == len(cluster.list_all_nodes()))
    lab = Lab(tmp_path, data, launch, launch.at_once)
    yield lab
    lab.end()
    wait_for_children(0)


def test_two_train_at_once_and_their_results_are_those_of_one_machine(
    lab: Lab, on_one_machine: tuple[Lab, TrainingRun]
) -> None:
    told: set[float] = set()

    def note(training_id: str) -> None:
        progress = lab.trainings.get(training_id).progress
        if training_id == first.training_id and progress is not None:
            told.add(progress.elapsed_s)

    first = lab.trainings.start("cnn", OPTIONS)
    lab.trainings.subscribe(note)
    second = lab.trainings.start("classic-fast", {"epochs": 2})
    third = lab.trainings.start("cnn", LONG)
    wait_for(lambda: len(nodes_that_train()) == 2)
    assert lab.trainings.get(third.training_id).queue_position == 1
    assert lab.trainings.cancel(third.training_id).state is TrainingState.CANCELLED

    ended = lab.wait_for_end(first.training_id)
    other = lab.wait_for_end(second.training_id)
    assert_as_on_one_machine(lab, ended, on_one_machine)
    assert (ended.resumes, other.failure_reason) == (0, "")
    assert {ended.model_version, other.model_version} == {1, 2}
    # About twice a second; half of that is for a machine with other work.
    assert ended.progress is not None
    assert len(told) > ended.progress.elapsed_s

    # What is left is what a run leaves on one machine, in the same places.
    assert names(lab.folder / "models" / f"{ended.model_version:06d}") == names(
        on_one_machine[0].folder / "models" / "000001"
    )
    log = (lab.folder / "logs" / f"{first.training_id}.log").read_text()
    assert "training begins" in log
    assert "tf2onnx" in log
    (events,) = (lab.folder / "tensorboard" / first.training_id).iterdir()
    (as_written,) = (on_one_machine[0].folder / "tensorboard").glob("*/*")
    assert events.name.startswith("events.out.tfevents.")
    # Progress is told now and then; the pictures and the results are there, to the last byte.
    assert events.stat().st_size > 0.9 * as_written.stat().st_size
    assert not (lab.folder / "checkpoints" / first.training_id).exists()
    assert lab.staged == []


def test_a_run_goes_on_after_its_program_and_then_its_actor_was_killed(
    lab: Lab, on_one_machine: tuple[Lab, TrainingRun]
) -> None:
    run = lab.trainings.start("cnn", OPTIONS)
    lab.wait_for_epoch(run.training_id, 1)
    program().kill()
    lab.wait_until(run.training_id, lambda run: run.resumes == 1)
    lab.wait_for_epoch(run.training_id, 2)
    worker = program().parent()
    assert worker is not None
    worker.kill()
    ended = lab.wait_for_end(run.training_id)
    assert_as_on_one_machine(lab, ended, on_one_machine)
    assert ended.resumes == 2


def test_a_run_goes_on_at_another_node_after_its_own_is_gone(
    lab: Lab, cluster: Cluster, on_one_machine: tuple[Lab, TrainingRun]
) -> None:
    # The head is taken, so that the run is where no owner is.
    on_head = NodeAffinitySchedulingStrategy(cluster.head_node.node_id, soft=False)

    # In here, so that the worker need not import this file.
    @ray.remote(num_cpus=CPUS, scheduling_strategy=on_head)
    class Other:
        def is_there(self) -> bool:
            return True

    taken = Other.remote()
    assert ray.get(taken.is_there.remote(), timeout=PATIENCE_S)
    run = lab.trainings.start("cnn", OPTIONS)
    lab.wait_for_epoch(run.training_id, 1)
    (node,) = (node for node in cluster.list_all_nodes() if node is not cluster.head_node)
    cluster.remove_node(node, allow_graceful=False)

    left = lab.wait_until(run.training_id, lambda run: run.resumes == 1)
    assert left.state is TrainingState.RUNNING
    # It waits for a place, and goes on where it was.
    wait_for_children(0)
    wait_for(lambda: lab.trainings.at_once == 1)
    ray.kill(taken)
    ended = lab.wait_for_end(run.training_id)
    assert_as_on_one_machine(lab, ended, on_one_machine)
    assert ended.resumes == 1
    cluster.add_node(num_cpus=CPUS, object_store_memory=STORE_BYTES)


def test_the_runs_of_an_owner_that_dies_end_and_the_next_one_takes_them_up(
    lab: Lab, cluster: Cluster, on_one_machine: tuple[Lab, TrainingRun]
) -> None:
    program_of_owner = textwrap.dedent(
        """
        import sys, time
        from pathlib import Path
        import ray
        from server.cluster.training import RayLaunch
        from server.database import open_database
        from server.datasets import DataPreparation
        from server.models import ModelStore
        from server.training import Trainings

        folder, datasets, address, cpus = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
        ray.init(address=address, log_to_driver=False, logging_level="warning")
        data = DataPreparation(datasets)
        data.wait(60)
        database = open_database(f"sqlite:///{folder / 'digits.db'}")
        launch = RayLaunch(cpus)
        trainings = Trainings(
            database, ModelStore(folder / "models"), data, folder, lambda *_: None,
            launch=launch, at_once=launch.at_once,
        )
        print(trainings.start("cnn", {"epochs": 3, "seed": 5}).training_id, flush=True)
        time.sleep(600)
        """
    )
    lab.trainings.close()  # That owner has the data directory to itself.
    arguments = [lab.folder, lab.data.root, cluster.address, str(CPUS)]
    owner = subprocess.Popen(
        [sys.executable, "-c", program_of_owner, *arguments], stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    training_id = owner.stdout.readline().strip()
    wait_for((lab.folder / "checkpoints" / training_id / "checkpoint.npz").exists)
    owner.kill()
    owner.wait(60)
    owner.stdout.close()
    wait_for_children(0)

    lab.restart()
    ended = lab.wait_for_end(training_id)
    assert_as_on_one_machine(lab, ended, on_one_machine)
    assert ended.resumes == 1


def test_a_run_is_cancelled_at_once(lab: Lab) -> None:
    run = lab.trainings.start("cnn", LONG)
    lab.wait_for_epoch(run.training_id, 1)
    started = time.monotonic()
    assert lab.trainings.cancel(run.training_id).state is TrainingState.CANCELLED
    assert time.monotonic() - started < CANCEL_WITHIN_S
    wait_for_children(0)
    assert (lab.staged, lab.store.list()) == ([], ())
    assert not (lab.folder / "checkpoints" / run.training_id).exists()


def test_a_run_that_is_stopped_before_it_has_its_place_ends_after_its_first_epoch(lab: Lab) -> None:
    run = lab.trainings.start("classic-fast", LONG)
    lab.wait_until(run.training_id, lambda run: run.state is TrainingState.RUNNING)
    lab.trainings.stop(run.training_id)
    ended = lab.wait_for_end(run.training_id)
    assert ended.state is TrainingState.SUCCEEDED, ended.failure_reason
    assert (len(ended.history), ended.stopped_early) == (1, True)


def test_a_run_fails_with_the_reason_of_its_program(lab: Lab) -> None:
    run = lab.trainings.start("cnn", LONG)
    # A signal that nobody sends to end a program.
    program().send_signal(signal.SIGUSR1)
    ended = lab.wait_for_end(run.training_id)
    assert ended.state is TrainingState.FAILED
    assert ended.failure_reason.startswith("the training program ended by SIGUSR1")
    assert (ended.resumes, lab.staged) == (0, [])


@pytest.mark.parametrize("is_silent", [True, False])
def test_a_run_whose_node_falls_silent_goes_on_elsewhere_and_one_that_only_hangs_fails(
    tmp_path: Path, data: DataPreparation, cluster: Cluster, is_silent: bool
) -> None:
    # In here, so that the worker need not import this file.
    @ray.remote(num_cpus=0, max_concurrency=4)
    class Hanging:
        def __init__(self) -> None:
            import queue

            self._parcels: Any = queue.Queue()

        def begin(self, order: object) -> Place:
            progress = Progress(phase=Phase.TRAINING, epoch=1, epochs=1, batch=1, elapsed_s=1.0)
            self._parcels.put(Parcel(event={"event": "progress", **progress.to_json()}))
            return Place(ray.get_runtime_context().get_node_id(), str(os.getpid()))

        def pull(self) -> Parcel:
            parcel: Parcel = self._parcels.get()
            return parcel

        def stop(self) -> None:
            # As the program ends that is told to.
            self._parcels.put(Parcel(is_last=True, ending="told to end", was_cut_off=True))

    children: list[RayChild] = []

    def launch(spec: TrainingSpec, log_file: Path, scratch: Path) -> RayChild:
        children.append(RayChild(spec, log_file, lambda spec: None, Hanging.remote, lambda *_: None))
        return children[-1]

    lab = Lab(tmp_path, data, launch)
    lab.restart(Patience(training_s=1.0))
    run = lab.trainings.start("cnn", OPTIONS)
    lab.wait_until(run.training_id, lambda run: run.progress is not None and run.progress.batch == 1)
    if not is_silent:
        ended = lab.wait_for_end(run.training_id)
        assert (ended.state, ended.resumes) == (TrainingState.FAILED, 0)
        assert "made no progress for 1 s" in ended.failure_reason
    else:
        place = children[0]._found
        assert place is not None
        silent = psutil.Process(int(place.name))
        # Nothing is heard of it any more, and it says no word of farewell.
        silent.suspend()
        lab.wait_until(run.training_id, lambda run: run.resumes == 1)
        assert children[0].was_lost
        with suppress(psutil.NoSuchProcess):  # Ray may have come first.
            silent.kill()
    lab.end()


def assert_as_on_one_machine(lab: Lab, run: TrainingRun, other: tuple[Lab, TrainingRun]) -> None:
    """The run has reached the same as the other one, and its weights are the same to the bit."""
    assert run.state is TrainingState.SUCCEEDED, run.failure_reason
    assert without_durations(run) == without_durations(other[1])
    for one, expected in zip(weights(lab, run), weights(*other), strict=True):
        np.testing.assert_array_equal(one, expected)


def without_durations(run: TrainingRun) -> list[object]:
    return [replace(metrics, duration_s=0.0) for metrics in run.history]


def weights(lab: Lab, run: TrainingRun) -> list[Any]:
    path = lab.folder / "models" / f"{run.model_version:06d}" / "model.keras"
    return list(keras.saving.load_model(path).get_weights())


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def program() -> psutil.Process:
    """The one program that trains, as soon as there is one."""
    return wait_for_children(1)[0]


def nodes_that_train() -> set[int]:
    """The nodes with a program that trains, by the process ids of their raylets."""
    return {one.pid for child in children() for one in child.parents() if one.name() == "raylet"}


def wait_for(look: Callable[[], Got]) -> Got:
    """What `look` gives, once that is something."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)
    return found
