"""Clients that vanish with everything open: what they held on the server is let go."""

from __future__ import annotations

import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import grpc
from digits.client import Client
from digits.client.records import TrainingOptions
from digits.v1 import (
    model_pb2,
    model_pb2_grpc,
    prediction_pb2,
    prediction_pb2_grpc,
    sample_pb2,
    sample_pb2_grpc,
    training_pb2,
    training_pb2_grpc,
)
from torture_network_calls import Scene, Tally
from torture_parts import ROOT, TortureServer, Usage, say, wait_until

from server.rpc.sample import MAX_IMPORTS

sys.path.insert(0, str(ROOT / "tests" / "live"))
from live_proxy import SILENT, Proxy

PATIENT_S = 60.0
# What the server is allowed to hold more than before: its pools, and gRPC's, grow by a few as they like.
MORE_HANDLES, MORE_THREADS = 6, 8
# The server notices silence after 20 s; the rest is for a busy machine.
NOTICED_S = 90.0
LONG = TrainingOptions(epochs=200, batch_size=8)


class Vanished:
    """Clients that have a stream of every kind open, read slowly, wait for answers, and then are gone."""

    def __init__(self, server: TortureServer, scene: Scene, count: int) -> None:
        self._server = server
        self._scene = scene
        self._count = count
        # Streams that end in order, so that the pools of threads are as large as they become.
        with Proxy(server.port) as proxy, ExitStack() as open_ones:
            self._open_all(proxy, open_ones)
        wait_until(lambda: open_streams(server) == 0, "streams end with their clients")
        time.sleep(1.0)
        self._before = server.usage()

    def leave(self, how: Callable[[Proxy], None], tally: Tally) -> None:
        """Open everything, go, and see on the server that all of it is let go."""
        with Proxy(self._server.port) as proxy, ExitStack() as open_ones:
            self._open_all(proxy, open_ones)
            name = getattr(how, "__name__", "?")
            held, during = open_streams(self._server), self._server.usage()
            how(proxy)
            started = time.monotonic()
            tally.faults += self._count
            try:
                wait_until(self._is_freed, "what vanished clients held is freed", NOTICED_S)
            except AssertionError:
                tally.find(
                    f"{name}: {NOTICED_S:.0f} s after {self._count} clients vanished: "
                    f"{open_streams(self._server)} streams are open, {self._server.usage()}, "
                    f"before {self._before}"
                )
            else:
                took_s = time.monotonic() - started
                say(f"{name}: {held} streams and {during.handles} handles, freed after {took_s:.1f} s")
        self._answers(tally, name)

    def _is_freed(self) -> bool:
        now: Usage = self._server.usage()
        return (
            open_streams(self._server) == 0
            and now.handles <= self._before.handles + MORE_HANDLES
            and now.threads <= self._before.threads + MORE_THREADS
        )

    def _answers(self, tally: Tally, name: str) -> None:
        """No slot is taken by a client that is gone: thirty-two calls at once are all let in."""
        with self._server.channel() as channel:
            predict = prediction_pb2_grpc.PredictionServiceStub(channel).Predict
            request = prediction_pb2.PredictRequest(image=_image(self._scene))
            calls = [predict.future(request, timeout=PATIENT_S) for _ in range(32)]
            refused = [call.code().name for call in calls if call.exception() is not None]
        if refused:
            tally.find(f"{name}: of 32 calls after it, refused were {refused}")

    def _open_all(self, proxy: Proxy, open_ones: ExitStack) -> None:
        run = _waiting_run(self._server, open_ones)
        for number in range(self._count):
            channel = open_ones.enter_context(grpc.insecure_channel(proxy.address))
            for call in self._calls(channel, run, number):
                open_ones.callback(call.cancel)
        expected = 2 * self._count + min(self._count, MAX_IMPORTS)
        wait_until(lambda: open_streams(self._server) >= expected, f"{expected} streams are open")

    def _calls(self, channel: grpc.Channel, run: str, number: int) -> list[Any]:
        """What one client has under way; the first two or three stay open on the server while it lives."""
        predicting = prediction_pb2_grpc.PredictionServiceStub(channel)
        samples = sample_pb2_grpc.SampleServiceStub(channel)
        watched = training_pb2_grpc.TrainingServiceStub(channel).WatchTraining(
            training_pb2.WatchTrainingRequest(training_id=run)
        )
        next(watched)
        hesitant = predicting.StreamPredict(self._hesitant(1))
        next(hesitant)
        calls = [watched, hesitant]
        # More of them would be refused, and not be open.
        if number < MAX_IMPORTS:
            calls.append(samples.ImportSamples.future(self._half_an_archive()))
        # Answers that nobody reads, until there is no room for more.
        calls.append(predicting.StreamPredict(self._hesitant(5000)))
        calls.append(samples.ExportSamples(sample_pb2.ExportSamplesRequest()))
        form = model_pb2.EXPORT_FORMAT_KERAS
        calls.append(
            model_pb2_grpc.ModelServiceStub(channel).ExportModel(model_pb2.ExportModelRequest(format=form))
        )
        # Work that nobody waits for any more.
        images = [_image(self._scene)] * 1024
        bulk = prediction_pb2.BatchPredictRequest(images=images)
        explained = prediction_pb2.ExplainPredictionRequest(image=_image(self._scene))
        calls.append(predicting.BatchPredict.future(bulk) if number % 2 else None)
        calls.append(predicting.ExplainPrediction.future(explained))
        calls.append(samples.EvaluateSamples.future(sample_pb2.EvaluateSamplesRequest()))
        return [call for call in calls if call is not None]

    def _hesitant(self, count: int) -> Iterator[prediction_pb2.StreamPredictRequest]:
        for _ in range(count):
            yield prediction_pb2.StreamPredictRequest(image=_image(self._scene))
        threading.Event().wait(NOTICED_S * 3)

    def _half_an_archive(self) -> Iterator[sample_pb2.ImportSamplesRequest]:
        yield sample_pb2.ImportSamplesRequest(chunk=self._scene.archive[: len(self._scene.archive) // 2])
        threading.Event().wait(NOTICED_S * 3)


def reset(proxy: Proxy) -> None:
    """Gone with a reset, as a process that was killed."""
    proxy.reset_all()


def without_a_word(proxy: Proxy) -> None:
    """Gone as a machine whose cable was pulled."""
    proxy.change(SILENT)
    proxy.forget_all()


def open_streams(server: TortureServer) -> int:
    """Calls that handlers have taken up and that have not ended, as the server counts them."""
    event = server.event("serving")
    assert event is not None
    with urllib.request.urlopen(f"http://127.0.0.1:{event['metrics_port']}/metrics", timeout=30) as reply:
        lines = reply.read().decode().splitlines()

    def total(name: str) -> float:
        # Refused ones were never taken up.
        found = [line for line in lines if line.startswith(name) and 'grpc_type="unread"' not in line]
        return sum(float(line.rpartition(" ")[2]) for line in found)

    return int(total("grpc_server_started_total{") - total("grpc_server_handled_total{"))


def _waiting_run(server: TortureServer, open_ones: ExitStack) -> str:
    """A run that waits behind another: nothing is heard of it. Both are cancelled in the end."""
    with Client(server.address) as client:
        runs = [client.start_training("classic", LONG).training_id for _ in range(2)]

    def cancel() -> None:
        with Client(server.address) as client:
            for run in reversed(runs):
                client.cancel_training(run, timeout_s=PATIENT_S)

    open_ones.callback(cancel)
    return runs[1]


def _image(scene: Scene) -> prediction_pb2.Image:
    return prediction_pb2.Image(encoded=scene.png)
