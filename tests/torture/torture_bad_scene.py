"""A server with something of everything, and who looks after it while it is sent nonsense."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import grpc
import numpy as np
from digits.client import Client, ClientError
from digits.client.choices import Dataset
from digits.client.records import TrainingOptions
from torture_bad_catalogue import METHODS, Scene
from torture_parts import PATIENCE_S, ROOT, TortureServer, wait_until

VERSIONS = 4
# Samples that are kept: more would only make lists and exports slow.
KEPT_SAMPLES = 60
LOOK_EVERY_S = 0.5
ASK_EVERY_S = 0.2
ANSWER_S = 120.0
RUNNING = ("QUEUED", "RUNNING")


def seven() -> bytes:
    """A seven as the canvas gives it, 280×280."""
    sheet = np.full((280, 280, 3), 255, np.uint8)
    cv2.polylines(sheet, [np.array([(80, 70), (200, 70), (130, 220)])], False, (36, 29, 29), 16, cv2.LINE_AA)
    return cv2.imencode(".png", sheet)[1].tobytes()


def furnish(server: TortureServer) -> Scene:
    """Start it, with versions, samples, runs, evaluations and marks, and tell their names."""
    for number in range(1, VERSIONS + 1):
        shutil.copytree(ROOT / "server" / "shipped", server.data / "models" / f"{number:06d}")
    server.start()
    names: list[str] = []
    png = seven()
    with Client(server.address) as client:
        wait_until(lambda: not client.list_datasets().data_progress, "the digits are prepared")
        names += [client.add_sample(png, label).sample.sample_id for label in range(10)]
        names.append(client.evaluate(Dataset.BUILTIN_TEST, 1).evaluation_id)
        for _ in range(3):
            run = client.start_training("classic", TrainingOptions(epochs=200, batch_size=8))
            names.append(client.cancel_training(run.training_id).training_id)
        names += [
            client.list_test_digits(Dataset.BUILTIN_TEST, page_size=1).next_page_token,
            client.list_samples(page_size=1).next_page_token,
            client.list_models(page_size=1).next_page_token,
            client.list_trainings(page_size=1).next_page_token,
        ]
    return Scene(tuple(names), png)


def described(server: TortureServer) -> set[str]:
    """The services that the server says it has, by reflection."""
    from grpc_reflection.v1alpha import reflection_pb2

    asked = reflection_pb2.ServerReflectionRequest(list_services="").SerializeToString()
    path = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
    with server.channel() as channel:
        (reply,) = channel.stream_stream(path)(iter([asked]), timeout=PATIENCE_S)
    found = reflection_pb2.ServerReflectionResponse.FromString(reply).list_services_response.service
    return {one.name for one in found}


def forgotten(server: TortureServer) -> set[str]:
    """The services of which no method is called."""
    return described(server) - {path.partition("/")[0] for path in METHODS}


class Watch:
    """Asks, all the time, for what must be answered, and undoes what would be in the way.

    with Watch(server, png) as watch: …
    """

    def __init__(self, server: TortureServer, png: bytes, is_replica: bool = False) -> None:
        self.asked = 0
        self.findings: list[str] = []
        self._server = server
        self._png = png
        self._is_over = threading.Event()
        works = [self._ask] if is_replica else [self._ask, self._tidy]
        self._threads = [threading.Thread(target=work, daemon=True) for work in works]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        """A seven is read as a seven, by the version that was there first, whatever else is going on."""
        with Client(self._server.address) as client:
            while not self._is_over.wait(ASK_EVERY_S):
                self.asked += 1
                started = time.monotonic()
                try:
                    # The client comes again when it is told to; overload is no fault.
                    digit = client.predict(self._png, model_version=1, timeout_s=ANSWER_S).prediction.digit
                except ClientError as error:
                    self.findings.append(
                        f"Predict in between, after {time.monotonic() - started:.0f} s: {error!r}"
                    )
                else:
                    if digit != 7:
                        self.findings.append(f"Predict in between reads a seven as {digit}")

    def _tidy(self) -> None:
        """No training goes on, something is deployed, and not too many samples are kept."""
        with Client(self._server.address) as client:
            while not self._is_over.wait(LOOK_EVERY_S):
                try:
                    tidy(client)
                except ClientError as error:
                    # Somebody else deletes and cancels at random, too.
                    if error.code in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN):
                        self.findings.append(f"while it was tidied up: {error!r}")


def tidy(client: Client) -> None:
    """Cancel what trains, deploy the first version when none is, and delete samples that are too many."""
    for run in client.list_trainings().trainings:
        if run.state.name in RUNNING:
            client.cancel_training(run.training_id)
    if not any(model.is_deployed for model in client.list_models().models):
        client.deploy_model(1)
    page = client.list_samples(page_size=1000)
    for sample in page.samples[KEPT_SAMPLES:]:
        client.delete_sample(sample.sample_id)


def peak_mb(pid: int) -> float:
    """The most memory that a process has had at once."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return float(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) / 1024
