"""Measure serving: the shipped server beside one that does nothing, on this machine; `make bench-serving`.

    python tests/benchmarks/serving.py [--quick]

The server is the shipped command with its default settings and logging; the client is a program of its own
(see serving_load.py), on the same cores. What is set against something else is measured beside it, in rounds
that alternate, and the medians count. The results go into build/bench.json, beside those of other benchmarks.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import results as found
import serving_parts as parts

from server.inference import Engine
from server.models import ARTIFACT

RESULTS = parts.ROOT / "build" / "bench.json"
SATURATING = 32
# Under twice the load: independent programs, each of which stays away for as long as it is told.
PROGRAMS = 64
BATCH = 1024
STEADY_RATE = 100.0
SWAPS = 200
PREDICTIONS = 100_000

# name -> (how it should compare, the target); a name without one is told only.
TARGETS: dict[str, tuple[str, float]] = {
    "predict_ratio": (">=", 0.80),
    "batch_ratio": (">=", 0.85),
    "training_p99_ratio": ("<=", 3.0),
    "swap_p99_ratio": ("<=", 3.0),
    "keras_speedup": (">=", 40.0),
    "cold_start_s": ("<=", 1.0),
    "serving_rss_mb": ("<=", 200.0),
    "rss_growth_pct": ("<=", 5.0),
    "overload_goodput_ratio": (">=", 0.8),
    "overload_p99_ms": ("<=", 100.0),
    "explain_p50_ms": ("<=", 300.0),
}


class Bench:
    """Every measurement, in full or quickly: then only to see that all of it works."""

    def __init__(self, folder: Path, is_quick: bool) -> None:
        self._folder = folder
        self._is_quick = is_quick
        self._rounds = 1 if is_quick else 5

    def measure(self) -> dict[str, float]:
        """All the names of the table."""
        figures: dict[str, float] = {}
        _say("cold starts")
        figures["cold_start_s"] = statistics.median(self._cold_start_s(turn) for turn in range(self._rounds))
        server = parts.RealServer(parts.two_versions(self._folder / "data"))
        try:
            # What is warm by then is there for good; what comes on top of it is growth.
            for image in ("raw", "png", "batch"):
                parts.load(server.address, "closed", image=image, in_flight=2, seconds=self._s(2))
            parts.load(server.address, "closed", in_flight=SATURATING, seconds=self._s(2))
            self._swap(server, 4)
            figures["serving_rss_mb"] = server.rss_mb()
            figures |= self._throughput(server)
            figures |= self._steady(server)
            figures["rss_growth_pct"] = self._growth_pct(server, figures["serving_rss_mb"])
            figures |= self._overload(server)
            _say("explanations")
            figures["explain_p50_ms"] = server.explain_p50_ms(10 if self._is_quick else 200)
        finally:
            server.close()
        return figures

    def _cold_start_s(self, turn: int) -> float:
        """From the start of the process to SERVING, in an empty data folder."""
        server = parts.RealServer(self._folder / f"cold-{turn}")
        server.close()
        return server.start_s

    def _throughput(self, server: parts.RealServer) -> dict[str, float]:
        """Everything of which one request after the other tells, alternating."""
        engine = Engine(parts.SHIPPED / ARTIFACT)
        null, script = parts.NullServer(), parts.KerasScript()
        many, one = {"in_flight": SATURATING, "seconds": self._s(2)}, {"seconds": self._s(1)}
        # Two at a time: one is computed while the other travels.
        batches = {"image": "batch", "in_flight": 2, "seconds": self._s(2)}
        takes: dict[str, Callable[[], float]] = {
            "null_rps": lambda: parts.load(null.address, "closed", **many)["rps"],
            "predict_rps": lambda: parts.load(server.address, "closed", **many)["rps"],
            "engine_ms": lambda: parts.engine_s(engine, 1, self._s(0.5)) * 1e3,
            "predict_png_rps": lambda: parts.load(server.address, "closed", image="png", **many)["rps"],
            "null_p50_ms": lambda: parts.load(null.address, "closed", **one)["p50_ms"],
            "predict_p50_ms": lambda: parts.load(server.address, "closed", **one)["p50_ms"],
            "keras_predict_p50_ms": lambda: script.p50_ms(3 if self._is_quick else 10),
            "predict_png_p50_ms": lambda: parts.load(server.address, "closed", image="png", **one)["p50_ms"],
            "engine_batch_images_per_s": lambda: BATCH / parts.engine_s(engine, BATCH, self._s(0.5)),
            "batch_images_per_s": lambda: parts.load(server.address, "closed", **batches)["rps"] * BATCH,
        }
        taken: dict[str, list[float]] = {name: [] for name in takes}
        try:
            for turn in range(self._rounds):
                _say(f"throughput, round {turn + 1} of {self._rounds}")
                for name, take in takes.items():
                    taken[name].append(take())
        finally:
            null.close()
            script.close()
        medians = {name: statistics.median(values) for name, values in taken.items()}
        engine_rate = 1e3 / medians["engine_ms"]
        return {
            **medians,
            "engine_images_per_s": engine_rate,
            "predict_ratio": medians["predict_rps"] * (1 / medians["null_rps"] + 1 / engine_rate),
            "batch_ratio": medians["batch_images_per_s"] / medians["engine_batch_images_per_s"],
            "keras_speedup": medians["keras_predict_p50_ms"] / medians["predict_p50_ms"],
        }

    def _overload(self, server: parts.RealServer) -> dict[str, float]:
        """Twice the load that can be sustained, come what may, and ten times the saturating concurrency."""
        ratios, p99s, health = [], [], []
        for turn in range(self._rounds):
            _say(f"overload, round {turn + 1} of {self._rounds}")
            peak = parts.load(server.address, "closed", in_flight=SATURATING, seconds=self._s(2))["rps"]
            load = {"seconds": self._s(4)}
            floods = (
                parts.load(server.address, "open", in_flight=PROGRAMS, rate=2 * peak, **load),
                parts.load(server.address, "closed", in_flight=10 * SATURATING, **load),
            )
            ratios.append(min(flood["rps"] for flood in floods) / peak)
            p99s.append(max(flood["p99_ms"] for flood in floods))
            health.append(max(flood["health_max_ms"] for flood in floods))
        return {
            "overload_goodput_ratio": statistics.median(ratios),
            "overload_p99_ms": statistics.median(p99s),
            "overload_health_max_ms": statistics.median(health),
        }

    def _steady(self, server: parts.RealServer) -> dict[str, float]:
        """A hundred requests a second: in peace, while a *cnn* trains, while versions are swapped."""
        peace: list[float] = []
        training: list[float] = []
        swapping: list[float] = []
        rounds, steady = 1 if self._is_quick else 2, {"rate": STEADY_RATE, "in_flight": 16}
        for turn in range(rounds):
            _say(f"steady load, round {turn + 1} of {rounds}")
            peace += parts.load(server.address, "open", seconds=self._s(8), **steady)["latencies_ms"]
            run = server.start_training()
            training += parts.load(server.address, "open", seconds=self._s(10), **steady)["latencies_ms"]
            server.cancel_training(run)
            swapping += self._while_swapping(server, SWAPS // rounds, steady)
            peace += parts.load(server.address, "open", seconds=self._s(8), **steady)["latencies_ms"]
        idle_p99_ms = _p99(peace)
        return {
            "idle_p99_ms": idle_p99_ms,
            "training_p99_ms": _p99(training),
            "training_p99_ratio": _p99(training) / idle_p99_ms,
            "swap_p99_ms": _p99(swapping),
            "swap_p99_ratio": _p99(swapping) / idle_p99_ms,
        }

    def _while_swapping(self, server: parts.RealServer, swaps: int, steady: dict[str, Any]) -> list[float]:
        """The latencies while versions are deployed, spread over the time of the load."""
        seconds = self._s(12)
        load = parts.start_load(server.address, "open", seconds=seconds, **steady)
        time.sleep(0.5)
        self._swap(server, 8 if self._is_quick else swaps, pause_s=0.5 * seconds / swaps)
        told, _ = load.communicate(timeout=parts.PATIENCE_S)
        outcome = parts.read(told)
        return list(outcome["latencies_ms"])

    def _swap(self, server: parts.RealServer, times: int, pause_s: float = 0.0) -> None:
        for number in range(times):
            server.deploy(2 - number % 2)
            time.sleep(pause_s)

    def _growth_pct(self, server: parts.RealServer, before_mb: float) -> float:
        """After all of the above, and as many predictions as are missing."""
        _say("memory")
        left = 1000 if self._is_quick else PREDICTIONS
        while left > 0:
            left -= parts.load(server.address, "closed", in_flight=SATURATING, seconds=self._s(10))[
                "answered"
            ]
        return (server.rss_mb() / before_mb - 1) * 100

    def _s(self, seconds: float) -> float:
        return seconds / 8 if self._is_quick else seconds


def _p99(latencies_ms: list[float]) -> float:
    return sorted(latencies_ms)[int(len(latencies_ms) * 0.99)]


def _say(what: str) -> None:
    print(f"… {what}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure serving beside a server that does nothing.")
    parser.add_argument("--quick", action="store_true", help="seconds of each: only to see that it works")
    chosen = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        measured = Bench(Path(name), chosen.quick).measure()
    if not chosen.quick:
        found.save(measured, RESULTS)
    print(found.table(measured, TARGETS, is_judged=not chosen.quick))
    print(f"{time.perf_counter() - started:.0f} s" + (", quick: nothing is saved" if chosen.quick else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
