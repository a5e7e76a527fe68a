"""Measure serving on Ray: the services beside deployments that do nothing, on this machine; `make bench-ray`.

    python tests/benchmarks/on_ray.py [--quick]

All of them are served by the same Ray, through the same proxy and the same ingress; the client is a program
of its own (see serving_load.py), on the same cores. Rounds alternate, and the medians count. The results go
into build/bench.json, beside those of other benchmarks.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import grpc
import psutil
import results as found
import serving_parts as parts
from digits.v1 import prediction_pb2 as pb
from digits.v1 import prediction_pb2_grpc
from serving_load import request_of

RESULTS = parts.ROOT / "build" / "bench.json"
SATURATING = 32
REPLICAS, CALLERS = (1, 2, 4), 8
# Logical ones: what is measured is who gets a call, not how fast a processor is.
CPUS = 16
CALL_EVERY_S, CALL_TIMEOUT_S = 0.02, 20.0
RECOVERED_AFTER = 50
PATIENCE_S = 180.0
# As Ray names its processes.
PROXY, PREDICTOR = "ProxyActor", "ServeReplica:digits:Predictors"

TARGETS: dict[str, tuple[str, float]] = {
    "ray_ratio": (">=", 0.8),
    "ray_scale_2": (">=", 1.8),
    "ray_scale_4": (">=", 3.5),
    "ray_failover_s": ("<=", 10.0),
}


class Bench:
    """Every measurement, in full or quickly: then only to see that all of it works."""

    def __init__(self, folder: Path, is_quick: bool) -> None:
        self._folder = folder
        self._rounds = 1 if is_quick else 5
        self._seconds = 0.5 if is_quick else 3.0
        self._address = ""

    def measure(self) -> dict[str, float]:
        """All the names of the table."""
        _say("Ray and Ray Serve start")
        self._start()
        rates: dict[str, list[float]] = {}
        single: dict[str, list[float]] = {}
        taken: list[dict[str, float]] = []
        for turn in range(self._rounds):
            _say(f"throughput, round {turn + 1} of {self._rounds}")
            for name in ("nothing", "digits"):
                with _Processor() as processor:
                    load = self._load(name, SATURATING)
                rates.setdefault(name, []).append(load["rps"])
                if name == "digits":
                    taken.append(processor.ms_a_call(load["answered"]))
                single.setdefault(name, []).append(self._load(name, 1)["p50_ms"])
            for replicas in REPLICAS:
                # So many for each that none is idle for want of callers.
                name = f"waiting-{replicas}"
                rates.setdefault(name, []).append(self._load(name, CALLERS * replicas)["rps"])
        rate = {name: statistics.median(values) for name, values in rates.items()}
        _say("a predictor is killed")
        failovers = [self._failover_s() for _ in range(min(3, self._rounds))]
        return {
            "ray_null_rps": rate["nothing"],
            "ray_predict_rps": rate["digits"],
            "ray_null_p50_ms": statistics.median(single["nothing"]),
            "ray_predict_p50_ms": statistics.median(single["digits"]),
            "ray_ratio": rate["digits"] / rate["nothing"],
            # What docs/sizing.py reckons with.
            "ray_proxy_ms": statistics.median(one["proxy"] for one in taken),
            "ray_predictor_ms": statistics.median(one["predictor"] for one in taken),
            "ray_scale_1_rps": rate["waiting-1"],
            "ray_scale_2": rate["waiting-2"] / rate["waiting-1"],
            "ray_scale_4": rate["waiting-4"] / rate["waiting-1"],
            "ray_failover_s": statistics.median(failovers),
        }

    def _start(self) -> None:
        from server.cluster.connection import RAYS_OWN_SETTINGS

        # What Ray's processes are to find, which have their environment from this one.
        paths = [str(parts.ROOT), str(parts.ROOT / "proto"), str(parts.BENCHMARKS)]
        os.environ |= {"PYTHONPATH": os.pathsep.join(paths), **RAYS_OWN_SETTINGS}
        import ray
        from ray import serve

        logging.getLogger("ray").setLevel(logging.ERROR)
        from ray.serve.config import HTTPOptions, gRPCOptions
        from ray.serve.schema import LoggingConfig

        ray.init(
            "local", num_cpus=CPUS, include_dashboard=False, log_to_driver=False, logging_level="WARNING"
        )
        logging_config = LoggingConfig(log_level="WARNING", enable_access_log=False)
        port = _free_port()
        serve.start(
            http_options=HTTPOptions(host="127.0.0.1", port=_free_port()),
            grpc_options=gRPCOptions(port=port, grpc_servicer_functions=["on_ray_apps.add_services"]),
            logging_config=logging_config,
        )
        self._address = f"127.0.0.1:{port}"
        for name, application in self._applications().items():
            serve.run(application, name=name, route_prefix=None, logging_config=logging_config)

    def _applications(self) -> dict[str, Any]:
        import on_ray_apps as apps

        from server.cluster.deployments import build
        from server.cluster.settings import read_settings

        environment = {
            "DIGITS_DATA": str(self._folder / "data"),
            "DIGITS_MNIST_URL": "",
            "DIGITS_LOG_LEVEL": "warning",
            "DIGITS_RAY_REPLICAS": "1",
        }
        settings = read_settings(environment)
        return {
            "digits": build(environment, settings, grace_s=5.0),
            "nothing": apps.nothing(),
            **{f"waiting-{replicas}": apps.waiting(replicas) for replicas in REPLICAS},
        }

    def _load(self, application: str, in_flight: int) -> dict[str, Any]:
        choices = {"application": application, "in_flight": in_flight, "seconds": self._seconds}
        return parts.load(self._address, "closed", **choices)

    def _failover_s(self) -> float:
        """From `kill -9` of the one predictor until calls are answered again, each and all.

        Calls come at a fixed pace, and none is sent again.
        """
        killed, [predictor] = 0.0, _processes(PREDICTOR)
        ended: list[tuple[float, bool]] = []
        is_over = threading.Event()
        with grpc.insecure_channel(self._address) as channel:
            predict = prediction_pb2_grpc.PredictionServiceStub(channel).Predict
            request = pb.PredictRequest.FromString(request_of("raw")[1])

            def call() -> None:
                while not is_over.wait(CALL_EVERY_S):
                    try:
                        predict(request, timeout=CALL_TIMEOUT_S)
                        ended.append((time.perf_counter(), True))
                    except grpc.RpcError:
                        ended.append((time.perf_counter(), False))

            callers = [threading.Thread(target=call) for _ in range(4)]
            for caller in callers:
                caller.start()
            _wait_until(lambda: len(ended) >= RECOVERED_AFTER)
            killed = time.perf_counter()
            predictor.send_signal(signal.SIGKILL)
            # An answer that was on its way counts for nothing, nor does one among failures.
            _wait_until(lambda: _well_since(ended, killed) is not None)
            is_over.set()
            for caller in callers:
                caller.join()
        since = _well_since(ended, killed)
        assert since is not None
        return since - killed


def _well_since(ended: list[tuple[float, bool]], killed: float) -> float | None:
    """The first of many answers in a row after the last failure, or after the longest silence."""
    after = [(moment, is_well) for moment, is_well in list(ended) if moment > killed]
    failures = [moment for moment, is_well in after if not is_well]
    moments = [moment for moment, _ in after]
    gaps = [(later - earlier, later) for earlier, later in zip([killed, *moments], moments, strict=False)]
    if not gaps:
        return None
    start = max(max(failures, default=killed), max(gaps)[1])
    answers = [moment for moment, is_well in after if is_well and moment >= start]
    return answers[0] if len(answers) >= RECOVERED_AFTER else None


class _Processor:
    """The processor time that the proxy and the predictor take meanwhile."""

    def __enter__(self) -> _Processor:
        self._before = self._now()
        return self

    def __exit__(self, *_: object) -> None:
        self._after = self._now()

    def ms_a_call(self, calls: int) -> dict[str, float]:
        """For each of so many calls, by who took it."""
        return {name: (self._after[name] - before) * 1e3 / calls for name, before in self._before.items()}

    def _now(self) -> dict[str, float]:
        titles = {"proxy": PROXY, "predictor": PREDICTOR}
        return {name: sum(_taken_s(one) for one in _processes(title)) for name, title in titles.items()}


def _taken_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _processes(title: str) -> list[psutil.Process]:
    """What Ray has started here, by a part of its title."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            line = " ".join(process.cmdline())
        except psutil.Error:
            continue  # It has just ended.
        if title in line:
            found.append(process)
    return found


def _wait_until(is_so: Any) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, "this takes too long"
        time.sleep(0.05)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def _say(what: str) -> None:
    print(f"… {what}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure serving on Ray beside deployments that do nothing.")
    parser.add_argument("--quick", action="store_true", help="seconds of each: only to see that it works")
    chosen = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        try:
            measured = Bench(Path(name), chosen.quick).measure()
        finally:
            import ray
            from ray import serve

            serve.shutdown()
            ray.shutdown()
    if not chosen.quick:
        found.save(measured, RESULTS)
    print(found.table(measured, TARGETS, is_judged=not chosen.quick))
    print(f"{time.perf_counter() - started:.0f} s" + (", quick: nothing is saved" if chosen.quick else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
