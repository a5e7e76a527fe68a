"""Measure training: the classic script and the recipes, in turn, on this machine; `make bench-training`.

    python tests/benchmarks/training.py [--quick]

The recipes train through a real server, as everybody's do: with checkpoints, TensorBoard's logs, progress
and validation, and with a client that watches. What is compared is the time of learning: of `model.fit` in
the script, and in a run from the end of its start to the end of its last epoch, compilation included on both
sides. The script runs once before and once after the recipes, and counts with the mean: a machine that gets
slower or faster does so for both. DIGITS_MNIST or a download gives MNIST; without it there is nothing to
compare, and it says so. The results go into build/bench.json, beside those of other benchmarks.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from digits.v1 import model_pb2, training_pb2
from live import ROOT, Server
from results import Targets, save, table

RESULTS = ROOT / "build" / "bench.json"
SEEDS = (1, 2, 3)
RUN_TIMEOUT_S = 900.0

TARGETS: Targets = {
    "classic_fast_accuracy": (">=", 0.98),
    "classic_speedup": (">=", 10.0),
    "cnn_accuracy": (">=", 0.994),
    "cnn_time_ratio": ("<=", 1.0),
    "train_first_step_s": ("<=", 8.0),
    "train_to_serving_s": ("<=", 2.0),
    "cnn_to_serving_s": ("<=", 8.0),
    "train_time_left_error": ("<=", 0.2),
}


@dataclass(frozen=True)
class Measured:
    """One run through the server, in seconds of its client."""

    first_step_s: float
    """From the call to the first progress with a batch."""
    learning_s: float
    """From the end of the start to the end of the last epoch."""
    to_serving_s: float
    """From the end of the last epoch until the new version answers."""
    accuracy: float
    """On MNIST's test set, of the artifact."""
    images_per_s: float
    """Median of what was told while it learnt."""
    time_left_error: float
    """How far the time left was off, as a share of it: median of what was told after the first epoch."""


def train(server: Server, recipe: str, options: training_pb2.TrainingOptions) -> Measured:
    """Train and deploy, watching. Raises SystemExit when the run fails."""
    request = training_pb2.StartTrainingRequest(recipe=recipe, options=options)
    asked = time.perf_counter()
    training_id = server.training.StartTraining(request, timeout=30).training.training_id
    moments: dict[str, float] = {}
    rates: list[float] = []
    left: list[tuple[float, float]] = []
    watching = training_pb2.WatchTrainingRequest(training_id=training_id)
    training = training_pb2.Training()
    for reply in server.training.WatchTraining(watching, timeout=RUN_TIMEOUT_S):
        now, training = time.perf_counter(), reply.training
        progress = training.progress
        if progress.phase == training_pb2.TRAINING_PHASE_TRAINING:
            moments.setdefault("learning", now)
            if progress.batch:
                moments.setdefault("first step", now)
                rates.append(progress.images_per_s)
            if training.history and progress.HasField("remaining_s"):
                left.append((now, progress.remaining_s))
        elif progress.phase == training_pb2.TRAINING_PHASE_EVALUATING:
            moments.setdefault("evaluating", now)
    if training.state != training_pb2.TRAINING_STATE_SUCCEEDED:
        raise SystemExit(f"{recipe} failed: {training.failure_reason}")
    # As a person would: by itself only a version that passes the gate is deployed, and most recipes read
    # worse than the shipped version does.
    deploy = model_pb2.DeployModelRequest(model_version=training.model_version)
    model = server.model.DeployModel(deploy, timeout=10).model
    serving = time.perf_counter()
    assert model.is_deployed
    return Measured(
        first_step_s=moments["first step"] - asked,
        learning_s=moments["evaluating"] - moments["learning"],
        to_serving_s=serving - moments["evaluating"],
        accuracy=model.evaluation.accuracy,
        images_per_s=statistics.median(rates),
        time_left_error=statistics.median(
            abs(told_s - (serving - then)) / (serving - then) for then, told_s in left or [(asked, 0.0)]
        ),
    )


def run_script(mnist: Path, epochs: int, seed: int) -> tuple[float, float]:
    """The seconds of the script's `model.fit`, and its accuracy."""
    script = Path(__file__).with_name("classic_script.py")
    command = [sys.executable, str(script), str(mnist), "--epochs", str(epochs), "--seed", str(seed)]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    if ended.returncode:
        raise SystemExit(f"the script failed:\n{ended.stderr[-2000:]}")
    result = json.loads(ended.stdout.splitlines()[-1])
    return float(result["fit_s"]), float(result["accuracy"])


def measure(server: Server, mnist: Path, quick: bool) -> dict[str, float]:
    """Everything, in alternation. Quick: an epoch of each, to see that it works; its figures mean nothing."""

    def options(seed: int) -> training_pb2.TrainingOptions:
        return training_pb2.TrainingOptions(seed=seed, epochs=1 if quick else None)

    epochs = 1 if quick else 10
    scripts, fast = [], []
    _say("classic script")
    scripts.append(run_script(mnist, epochs, SEEDS[0]))
    for seed in SEEDS[:1] if quick else SEEDS:
        _say(f"classic-fast, seed {seed}")
        fast.append(train(server, "classic-fast", options(seed)))
    _say("cnn")
    cnn = train(server, "cnn", options(SEEDS[0]))
    if not quick:
        _say("classic script again")
        scripts.append(run_script(mnist, epochs, SEEDS[1]))
    script_s = statistics.mean(seconds for seconds, _ in scripts)
    fast_s = statistics.mean(run.learning_s for run in fast)
    return {
        "classic_script_s": script_s,
        "classic_script_accuracy": statistics.mean(accuracy for _, accuracy in scripts),
        "classic_fast_s": fast_s,
        "classic_fast_accuracy": statistics.mean(run.accuracy for run in fast),
        "classic_speedup": script_s / fast_s,
        "cnn_s": cnn.learning_s,
        "cnn_accuracy": cnn.accuracy,
        "cnn_time_ratio": cnn.learning_s / script_s,
        "train_first_step_s": statistics.median(run.first_step_s for run in fast),
        "train_to_serving_s": statistics.median(run.to_serving_s for run in fast),
        "cnn_to_serving_s": cnn.to_serving_s,
        "train_time_left_error": cnn.time_left_error,
        "train_images_per_s": statistics.median(run.images_per_s for run in fast),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure training against the classic script.")
    parser.add_argument("--quick", action="store_true", help="one epoch of each: only to see that it works")
    chosen = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = Server(folder)
        try:
            if not server.has_mnist():
                print("MNIST is not here and cannot be downloaded: set DIGITS_MNIST to an mnist.npz")
                return 2
            results = measure(server, _mnist_file(folder), chosen.quick)
        finally:
            server.close()
    if not chosen.quick:
        save(results, RESULTS)
    print(table(results, TARGETS, is_judged=not chosen.quick))
    print(f"{time.perf_counter() - started:.0f} s" + (", quick: nothing is saved" if chosen.quick else ""))
    return 0


def _mnist_file(folder: Path) -> Path:
    """MNIST as one npz for the script, out of what the server has prepared."""
    from server.datasets import Data, Partition

    data = Data.open(folder / "data" / "datasets")
    split = data.split(use_all=True)
    test = data.partition(Partition.MNIST_TEST)
    path = folder / "mnist.npz"
    np.savez(
        path,
        x_train=split.train.images,
        y_train=split.train.labels,
        x_test=test.images,
        y_test=test.labels,
    )
    return path


def _say(what: str) -> None:
    print(f"… {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
