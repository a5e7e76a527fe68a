"""The client of the serving benchmark, a program of its own: sends calls, and prints what became of them.

    python tests/benchmarks/serving_load.py ADDRESS KIND --image raw --seconds 2 --in-flight 32

KIND is `closed` (every sender waits for its answer and sends the next) or `open` (calls come at --rate,
answered or not). Whoever is refused with RetryInfo sends nothing until then. What it prints is JSON.

It shares two cores with the server that it measures, so it must need little of them: see lean_channel.py.
"""

from __future__ import annotations

import argparse
import heapq
import json
import random
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import cv2
import grpc
import numpy as np
from digits.v1 import prediction_pb2 as pb
from google.rpc import error_details_pb2
from lean_channel import Call, Ended, LeanChannel

PREDICT = "/digits.v1.PredictionService/Predict"
BATCH_PREDICT = "/digits.v1.PredictionService/BatchPredict"
BATCH = 1024
WALL_DELAY_S = 0.5
OK, CANCELLED, EXHAUSTED = (
    code.value[0]
    for code in (grpc.StatusCode.OK, grpc.StatusCode.CANCELLED, grpc.StatusCode.RESOURCE_EXHAUSTED)
)
RETRY_INFO = b"type.googleapis.com/google.rpc.RetryInfo"
SENT_TOGETHER = 16
HEALTH_EVERY_S = 0.1
HEALTH_PATIENCE_S = 20.0


class Outcome:
    """What became of the calls."""

    def __init__(self) -> None:
        self.latencies: list[float] = []
        self.refused = 0
        self.failed: dict[int, int] = {}
        self.health: list[float] = []

    def receive(self, ended: Ended, latency_s: float) -> float:
        """Note how a call ended; returns the seconds that its sender is to wait."""
        if ended.code == OK:
            self.latencies.append(latency_s)
            return 0.0
        if ended.code == EXHAUSTED:
            self.refused += 1
            return _retry_delay_s(ended)
        if ended.code == CANCELLED:
            # gRPC's own wall, behind admission: it cannot say when to return.
            self.refused += 1
            return WALL_DELAY_S
        self.failed[ended.code] = self.failed.get(ended.code, 0) + 1
        return 0.0

    def told(self, seconds: float) -> dict[str, Any]:
        """For the benchmark."""
        ordered = sorted(self.latencies) or [0.0]
        return {
            "rps": len(self.latencies) / seconds,
            "answered": len(self.latencies),
            "p50_ms": ordered[len(ordered) // 2] * 1e3,
            "p99_ms": ordered[int(len(ordered) * 0.99)] * 1e3,
            "latencies_ms": [round(latency * 1e3, 3) for latency in self.latencies],
            "refused": self.refused,
            "failed": self.failed,
            "health_max_ms": max(self.health, default=0.0) * 1e3,
        }


class Load:
    """Calls of one method until `seconds` are over."""

    def __init__(self, channel: LeanChannel, call: Call, seconds: float) -> None:
        self._channel = channel
        self._call = call
        self.outcome = Outcome()
        self._started = time.perf_counter()
        self._stop = self._started + seconds
        # (moment, sender), of calls that are sent later.
        self._due: list[tuple[float, int]] = []

    def closed(self, senders: int) -> None:
        """Every sender waits for its answer before it sends again."""

        def receive(sender: int, sent: float, ended: Ended) -> None:
            now = time.perf_counter()
            heapq.heappush(self._due, (now + self.outcome.receive(ended, now - sent), sender))

        def send(moment: float, sender: int) -> None:
            self._channel.send(self._call, partial(receive, sender, time.perf_counter()))

        self._due = [(self._started, sender) for sender in range(senders)]
        self._run(send)

    def open(self, senders: int, rate: float) -> None:
        """Calls come at `rate` a second, shared by `senders`, whether earlier ones are answered or not.

        A latency counts from the moment at which the call was due, so that a late client hides nothing.
        """
        generator = random.Random(1)
        not_before = [0.0] * senders

        def pause_s() -> float:
            # Every sender at its own times, at random as independent people are.
            return generator.expovariate(rate / senders)

        def receive(moment: float, sender: int, ended: Ended) -> None:
            now = time.perf_counter()
            if wait_s := self.outcome.receive(ended, now - moment):
                not_before[sender] = now + wait_s

        def send(moment: float, sender: int) -> None:
            heapq.heappush(self._due, (moment + pause_s(), sender))
            if moment >= not_before[sender]:
                self._channel.send(self._call, partial(receive, moment, sender))

        self._due = [(self._started + pause_s(), sender) for sender in range(senders)]
        heapq.heapify(self._due)
        self._run(send)

    def _run(self, send: Callable[[float, int], None]) -> None:
        while (now := time.perf_counter()) < self._stop:
            sent = 0
            # Not all that is due at once: what comes in meanwhile is as late.
            while self._due and self._due[0][0] <= now and sent < SENT_TOGETHER:
                send(*heapq.heappop(self._due))
                sent += 1
            next_moment = min(self._stop, self._due[0][0]) if self._due else self._stop
            self._channel.receive(next_moment - now)
        while self._channel.under_way:
            self._channel.receive(1.0)


def watch_health(address: str, outcome: Outcome, is_over: threading.Event) -> None:
    """Ask for the server's health ten times a second."""
    with grpc.insecure_channel(address) as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        while not is_over.wait(HEALTH_EVERY_S):
            asked = time.perf_counter()
            try:
                check(b"", timeout=HEALTH_PATIENCE_S)
            except grpc.RpcError:
                continue  # The empty servicer has no health.
            outcome.health.append(time.perf_counter() - asked)


def _retry_delay_s(ended: Ended) -> float:
    """What RetryInfo says, which stands among the headers as protobuf has it."""
    start = ended.headers.index(RETRY_INFO) + len(RETRY_INFO)
    assert ended.headers[start] == 0x12  # The field `value` of Any, after its type.
    size = ended.headers[start + 1]
    retry = error_details_pb2.RetryInfo.FromString(ended.headers[start + 2 : start + 2 + size])
    delay: float = retry.retry_delay.ToTimedelta().total_seconds()
    return delay


def request_of(image: str) -> tuple[str, bytes]:
    """The method and the message: a 3, raw in 28x28, drawn in 280x280, or 1,024 raw ones."""
    canvas = np.full((280, 280), 255, np.uint8)
    cv2.putText(canvas, "3", (70, 220), cv2.FONT_HERSHEY_SIMPLEX, 7, 0, 18, cv2.LINE_AA)
    if image == "png":
        encoded = cv2.imencode(".png", cv2.cvtColor(canvas, cv2.COLOR_GRAY2BGR))[1].tobytes()
        return PREDICT, pb.PredictRequest(image=pb.Image(encoded=encoded)).SerializeToString()
    pixels = 255 - cv2.resize(canvas, (28, 28), interpolation=cv2.INTER_AREA)
    raw = pb.Image(pixels=pixels.tobytes())
    if image == "batch":
        return BATCH_PREDICT, pb.BatchPredictRequest(images=[raw] * BATCH).SerializeToString()
    return PREDICT, pb.PredictRequest(image=raw).SerializeToString()


def warm_up(channel: LeanChannel, call: Call) -> None:
    """Until what was before is over: three answers one after the other."""
    codes: list[int] = []
    for _ in range(50):
        channel.send(call, lambda ended: codes.append(ended.code))
        while channel.under_way:
            channel.receive(1.0)
        if codes[-3:] == [OK] * 3:
            return
        time.sleep(0.0 if codes[-1] == OK else WALL_DELAY_S)
    raise SystemExit(f"no three answers in a row: {codes}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("address")
    parser.add_argument("kind", choices=("closed", "open"))
    parser.add_argument("--image", choices=("raw", "png", "batch"), default="raw")
    parser.add_argument("--in-flight", type=int, default=1)
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--application", default="", help="metadata of that name, for whoever serves several")
    chosen = parser.parse_args()
    method, request = request_of(chosen.image)
    channel = LeanChannel(chosen.address)
    call = channel.call(method, request, {"application": chosen.application} if chosen.application else {})
    warm_up(channel, call)
    load = Load(channel, call, chosen.seconds)
    is_over = threading.Event()
    health = threading.Thread(target=watch_health, args=(chosen.address, load.outcome, is_over))
    health.start()
    if chosen.kind == "closed":
        load.closed(chosen.in_flight)
    else:
        load.open(chosen.in_flight, chosen.rate)
    is_over.set()
    health.join()
    channel.close()
    json.dump(load.outcome.told(chosen.seconds), sys.stdout)


if __name__ == "__main__":
    main()
