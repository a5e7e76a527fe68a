"""A server to measure, as its clients meet it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import grpc
from digits.v1 import (
    dataset_pb2,
    evaluation_pb2,
    evaluation_pb2_grpc,
    model_pb2_grpc,
    prediction_pb2_grpc,
    sample_pb2_grpc,
    training_pb2_grpc,
)

ROOT = Path(__file__).resolve().parents[2]
DATA_TIMEOUT_S = 120.0


class Server:
    """A `python -m server` on a free port of the loopback, with a data directory of its own."""

    def __init__(self, folder: Path) -> None:
        self._log = (folder / "server.log").open("w+")
        environment = os.environ | {"DIGITS_DATA": str(folder / "data"), "DIGITS_PORT": "0"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "server"], cwd=ROOT, env=environment, stderr=self._log
        )
        self.channel = grpc.insecure_channel(f"127.0.0.1:{self._port()}")
        self.prediction = prediction_pb2_grpc.PredictionServiceStub(self.channel)
        self.training = training_pb2_grpc.TrainingServiceStub(self.channel)
        self.evaluation = evaluation_pb2_grpc.EvaluationServiceStub(self.channel)
        self.sample = sample_pb2_grpc.SampleServiceStub(self.channel)
        self.model = model_pb2_grpc.ModelServiceStub(self.channel)

    def _port(self) -> int:
        deadline = time.monotonic() + DATA_TIMEOUT_S
        while time.monotonic() < deadline and self._process.poll() is None:
            self._log.seek(0)
            for line in self._log:
                if line.startswith("{") and '"serving"' in line:
                    return int(json.loads(line)["port"])
            time.sleep(0.1)
        self._log.seek(0)
        raise SystemExit(f"the server does not serve:\n{self._log.read()}")

    def has_mnist(self) -> bool:
        """Whether all of MNIST is there, once the digits are prepared."""
        deadline = time.monotonic() + DATA_TIMEOUT_S
        while time.monotonic() < deadline:
            reply = self.evaluation.ListDatasets(
                evaluation_pb2.ListDatasetsRequest(), timeout=10, wait_for_ready=True
            )
            if reply.HasField("data_source"):
                return bool(reply.data_source.kind != dataset_pb2.DATA_SOURCE_KIND_BUILTIN)
            time.sleep(0.1)
        raise SystemExit("the digits are not prepared after two minutes")

    def close(self) -> None:
        """End it and its child."""
        self.channel.close()
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(30)
        self._log.close()
