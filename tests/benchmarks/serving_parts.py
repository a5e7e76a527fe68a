"""The programs that the serving benchmark sets against each other, and what it asks them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import psutil
from digits.v1 import (
    dataset_pb2,
    evaluation_pb2,
    evaluation_pb2_grpc,
    model_pb2,
    model_pb2_grpc,
    prediction_pb2,
    prediction_pb2_grpc,
    training_pb2,
    training_pb2_grpc,
)
from grpc_health.v1 import health_pb2, health_pb2_grpc

from server.inference import Engine

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = Path(__file__).resolve().parent
SHIPPED = ROOT / "server" / "shipped"
PATIENCE_S = 120.0


class RealServer:
    """`python -m server` with default settings, on a free port, with a data folder of its own."""

    def __init__(self, data: Path) -> None:
        self._log = data.with_name(data.name + ".log").open("w+")
        # A free port and no download: everything else as it is shipped.
        environment = os.environ | {"DIGITS_DATA": str(data), "DIGITS_PORT": "0", "DIGITS_MNIST_URL": ""}
        started = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "server"], cwd=ROOT, env=environment, stderr=self._log
        )
        self.address = f"127.0.0.1:{self._port()}"
        self.channel = grpc.insecure_channel(self.address)
        check = health_pb2_grpc.HealthStub(self.channel).Check
        health = check(health_pb2.HealthCheckRequest(), timeout=PATIENCE_S, wait_for_ready=True)
        self.start_s = time.perf_counter() - started
        assert health.status == health_pb2.HealthCheckResponse.SERVING
        self._model = model_pb2_grpc.ModelServiceStub(self.channel)
        self._training = training_pb2_grpc.TrainingServiceStub(self.channel)

    def _port(self) -> int:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline and self._process.poll() is None:
            self._log.seek(0)
            for line in self._log:
                if line.startswith("{") and '"serving"' in line:
                    return int(json.loads(line)["port"])
            time.sleep(0.01)
        self._log.seek(0)
        raise SystemExit(f"the server does not serve:\n{self._log.read()}")

    def rss_mb(self) -> float:
        """What the process holds in memory, its children apart."""
        return float(psutil.Process(self._process.pid).memory_info().rss) / 2**20

    def deploy(self, version: int) -> None:
        """Let another version answer."""
        self._model.DeployModel(model_pb2.DeployModelRequest(model_version=version), timeout=PATIENCE_S)

    def start_training(self) -> str:
        """Start a *cnn* that lasts; returns once it learns."""
        deadline = time.monotonic() + PATIENCE_S
        recipes = training_pb2.ListRecipesRequest()
        while not self._training.ListRecipes(recipes, timeout=10).HasField("data_source"):
            assert time.monotonic() < deadline, "the digits are not prepared"
            time.sleep(0.1)
        options = training_pb2.TrainingOptions(epochs=200)
        request = training_pb2.StartTrainingRequest(recipe="cnn", options=options)
        run = str(self._training.StartTraining(request, timeout=30).training.training_id)
        watching = training_pb2.WatchTrainingRequest(training_id=run)
        for reply in self._training.WatchTraining(watching, timeout=PATIENCE_S):
            if reply.training.progress.phase == training_pb2.TRAINING_PHASE_TRAINING:
                return run
        raise SystemExit("the training ended before it learnt")

    def cancel_training(self, run: str) -> None:
        """End the run, and wait until it has ended."""
        self._training.CancelTraining(training_pb2.CancelTrainingRequest(training_id=run), timeout=30)
        watching = training_pb2.WatchTrainingRequest(training_id=run)
        for _ in self._training.WatchTraining(watching, timeout=PATIENCE_S):
            continue

    def explain_p50_ms(self, calls: int) -> float:
        """The median of explanations with five neighbours, of as many digits, one after the other."""
        builtin = dataset_pb2.DATASET_BUILTIN_DIGITS
        listed = evaluation_pb2.ListTestDigitsRequest(dataset=builtin, seed=1, page_size=calls)
        service = evaluation_pb2_grpc.EvaluationServiceStub(self.channel)
        digits = service.ListTestDigits(listed, timeout=PATIENCE_S).digits
        explain = prediction_pb2_grpc.PredictionServiceStub(self.channel).ExplainPrediction
        images = [prediction_pb2.Image(pixels=digit.pixels) for digit in digits]
        requests = [prediction_pb2.ExplainPredictionRequest(image=image) for image in images]
        deadline = time.monotonic() + PATIENCE_S
        while not (reply := explain(requests[0], timeout=PATIENCE_S)).neighbours:
            assert time.monotonic() < deadline, reply.neighbours_missing
            time.sleep(0.2)
        taken = []
        for request in requests:
            started = time.perf_counter()
            explain(request, timeout=PATIENCE_S)
            taken.append(time.perf_counter() - started)
        return statistics.median(taken) * 1e3

    def close(self) -> None:
        """End it in order."""
        self.channel.close()
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(30)
        self._log.close()


class NullServer:
    """The servicer that does nothing."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(BENCHMARKS / "null_server.py")],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.address = f"127.0.0.1:{int(self._process.stdout.readline())}"

    def close(self) -> None:
        """End it."""
        self._process.communicate(timeout=30)


class KerasScript:
    """`model.predict` of the shipped weights, in a process of its own."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(BENCHMARKS / "keras_predict.py"), str(SHIPPED / "model.keras")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def p50_ms(self, calls: int) -> float:
        """The median of so many calls."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{calls}\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def close(self) -> None:
        """End it."""
        self._process.communicate(timeout=30)


def load(address: str, kind: str, **choices: str | float) -> dict[str, Any]:
    """Run the client of `serving_load.py`; what it tells."""
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in choices.items()]
    command = [sys.executable, str(BENCHMARKS / "serving_load.py"), address, kind, *arguments]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if ended.returncode:
        raise SystemExit(f"the client failed:\n{ended.stderr[-2000:]}")
    return read(ended.stdout)


def read(told: str) -> dict[str, Any]:
    """What the client wrote. A call that failed, refusals apart, ends the benchmark."""
    outcome: dict[str, Any] = json.loads(told)
    if outcome["failed"]:
        raise SystemExit(f"calls failed: {outcome['failed']}")
    return outcome


def start_load(address: str, kind: str, **choices: str | float) -> subprocess.Popen[str]:
    """The same, but going on beside what is done meanwhile: `communicate()` gives what it tells."""
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in choices.items()]
    command = [sys.executable, str(BENCHMARKS / "serving_load.py"), address, kind, *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def engine_s(engine: Engine, batch: int, seconds: float) -> float:
    """The median seconds of a call with `batch` images, in this process, on one thread."""
    images = np.random.default_rng(1).integers(0, 256, (batch, 28, 28)).astype(np.uint8)
    engine.probabilities(images)
    taken = []
    stop = time.perf_counter() + seconds
    while not taken or time.perf_counter() < stop:
        started = time.perf_counter()
        engine.probabilities(images)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def two_versions(data: Path) -> Path:
    """A data folder with the shipped version twice, to swap between."""
    RealServer(data).close()
    shutil.copytree(data / "models" / "000001", data / "models" / "000002")
    return data
