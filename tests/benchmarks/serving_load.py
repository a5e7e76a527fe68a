"""The client of the serving benchmark, a program of its own: sends calls, and prints what became of them.

    python tests/benchmarks/serving_load.py ADDRESS KIND --image raw --seconds 2 --in-flight 32

KIND is `closed` (every sender waits for its answer and sends the next) or `open` (calls come at --rate,
answered or not). Whoever is refused with RetryInfo sends nothing until then. Messages stay bytes: what is
measured is the server, as far as a client in Python lets it. What it prints is JSON.
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
from typing import Any

import cv2
import grpc
import numpy as np
from digits.v1 import prediction_pb2 as pb
from google.rpc import error_details_pb2, status_pb2

PREDICT = "/digits.v1.PredictionService/Predict"
BATCH_PREDICT = "/digits.v1.PredictionService/BatchPredict"
BATCH = 1024
DEADLINE_S = 20.0
WALL_DELAY_S = 0.5


class Outcome:
    """What became of the calls. Safe to share between threads."""

    def __init__(self) -> None:
        self.latencies: list[float] = []
        self.refused = 0
        self.failed: dict[str, int] = {}
        self.health: list[float] = []

    def receive(self, call: Any, latency_s: float) -> float:
        """Note how a call ended; returns the seconds that its sender is to wait."""
        code = call.code()
        if code is grpc.StatusCode.OK:
            self.latencies.append(latency_s)
            return 0.0
        if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
            self.refused += 1
            return _retry_delay_s(call)
        if code is grpc.StatusCode.CANCELLED:
            # gRPC's own wall, behind admission: it cannot say when to return.
            self.refused += 1
            return WALL_DELAY_S
        self.failed[code.name] = self.failed.get(code.name, 0) + 1
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


def closed(channel: grpc.Channel, method: str, request: bytes, senders: int, seconds: float) -> Outcome:
    """Every sender waits for its answer before it sends again."""
    outcome, call = Outcome(), channel.unary_unary(method)
    stop = time.perf_counter() + seconds

    def send() -> None:
        while (sent := time.perf_counter()) < stop:
            try:
                _, answered = call.with_call(request, timeout=DEADLINE_S)
            except grpc.RpcError as error:
                answered = error
            wait_s = outcome.receive(answered, time.perf_counter() - sent)
            if wait_s:
                time.sleep(min(wait_s, max(0.0, stop - time.perf_counter())))

    _run(channel, outcome, [threading.Thread(target=send) for _ in range(senders)])
    return outcome


def open_loop(
    channel: grpc.Channel, method: str, request: bytes, senders: int, rate: float, seconds: float
) -> Outcome:
    """Calls come at `rate` a second, shared by `senders`, whether earlier ones are answered or not.

    A latency counts from the moment at which the call was due, so that a late client hides nothing.
    """
    outcome, call = Outcome(), channel.unary_unary(method)
    started = time.perf_counter() + 0.1
    generator = random.Random(1)
    # (moment, sender): every sender at its own times, at random as independent people are.
    due = [(started + generator.expovariate(rate / senders), sender) for sender in range(senders)]
    heapq.heapify(due)
    not_before = [0.0] * senders
    under_way = threading.Semaphore(0)
    sent = 0

    def send(moment: float, sender: int) -> None:
        def receive(answered: Any) -> None:
            now = time.perf_counter()
            if wait_s := outcome.receive(answered, now - moment):
                not_before[sender] = now + wait_s
            under_way.release()

        call.future(request, timeout=DEADLINE_S).add_done_callback(receive)

    def schedule() -> None:
        nonlocal sent
        while due[0][0] < started + seconds:
            moment, sender = heapq.heappop(due)
            heapq.heappush(due, (moment + generator.expovariate(rate / senders), sender))
            if (pause_s := moment - time.perf_counter()) > 0:
                time.sleep(pause_s)
            if moment >= not_before[sender]:
                send(moment, sender)
                sent += 1

    _run(channel, outcome, [threading.Thread(target=schedule)])
    for _ in range(sent):
        under_way.acquire()
    return outcome


def _run(channel: grpc.Channel, outcome: Outcome, threads: list[threading.Thread]) -> None:
    """Run the threads to their end, and ask for the server's health ten times a second meanwhile."""
    check = channel.unary_unary("/grpc.health.v1.Health/Check")
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        time.sleep(0.1)
        asked = time.perf_counter()
        try:
            check(b"", timeout=DEADLINE_S)
        except grpc.RpcError:
            continue  # The empty servicer has no health.
        outcome.health.append(time.perf_counter() - asked)
    for thread in threads:
        thread.join()


def _retry_delay_s(call: Any) -> float:
    metadata = dict(call.trailing_metadata())
    status = status_pb2.Status.FromString(metadata["grpc-status-details-bin"])
    retry = error_details_pb2.RetryInfo()
    return max(
        (retry.retry_delay.ToTimedelta().total_seconds() for one in status.details if one.Unpack(retry)),
        default=0.0,
    )


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


def warm_up(call: Callable[..., Any], request: bytes) -> None:
    """Connect, and wait until what was before is over."""
    for _ in range(3):
        try:
            call(request, timeout=DEADLINE_S, wait_for_ready=True)
        except grpc.RpcError:
            time.sleep(WALL_DELAY_S)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("address")
    parser.add_argument("kind", choices=("closed", "open"))
    parser.add_argument("--image", choices=("raw", "png", "batch"), default="raw")
    parser.add_argument("--in-flight", type=int, default=1)
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--seconds", type=float, default=2.0)
    chosen = parser.parse_args()
    method, request = request_of(chosen.image)
    limit = [(f"grpc.max_{way}_message_length", -1) for way in ("send", "receive")]
    with grpc.insecure_channel(chosen.address, options=limit) as channel:
        warm_up(channel.unary_unary(method), request)
        if chosen.kind == "closed":
            outcome = closed(channel, method, request, chosen.in_flight, chosen.seconds)
        else:
            outcome = open_loop(channel, method, request, chosen.in_flight, chosen.rate, chosen.seconds)
    json.dump(outcome.told(chosen.seconds), sys.stdout)


if __name__ == "__main__":
    main()
