"""Every method of both clients over a bad network: back in time, rightly told, repeated if safe."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

import numpy as np
from digits.client import ClientError
from digits.client.choices import Dataset, ExportFormat
from digits.client.records import TrainingOptions
from torture_network_clients import Blocking, Method, Outcome, Promise, Waiting, everywhere
from torture_parts import ROOT, say

sys.path.insert(0, str(ROOT / "tests" / "live"))
from live_proxy import CLEAR, SILENT, Door, Proxy, Way, Weather

# From the end of a fault to the first right answer of the same client.
RECOVERY_S = 40.0
SHORT_S, LONG_S = 3.0, 60.0
BUILTIN = Dataset.BUILTIN_TEST


@dataclass(frozen=True)
class Scene:
    """What there is on the server to be asked for."""

    png: bytes
    pixels: np.ndarray
    """(28, 28) uint8, 0 = background: the same digit."""
    digit: int
    run: str
    """A run that has ended."""
    archive: bytes


def methods(scene: Scene) -> list[Method]:
    """A call of every method of a client."""
    png, pixels, run, once = scene.png, scene.pixels, scene.run, Promise.ONCE
    return [
        Method("predict", (png,)),
        Method("predict_pixels", (pixels,)),
        Method("predict_batch", ([png] * 8,)),
        Method("stream_predict", ([png] * 8,), once),
        Method("read_number", (png,)),
        Method("explain_prediction", (png,)),
        Method("explain_pixels", (pixels,)),
        Method("list_recipes"),
        Method("start_training", ("classic", TrainingOptions(epochs=-1))),
        Method("get_training", (run,)),
        Method("list_trainings"),
        Method("watch_training", (run,)),
        Method("stop_training", (run,)),
        Method("cancel_training", (run,), once),
        Method("list_datasets"),
        Method("evaluate", (BUILTIN, 99)),
        Method("get_evaluation", ("nobody",)),
        Method("list_test_digits", (BUILTIN,)),
        Method("list_misclassified"),
        Method("compare_models", (99,)),
        Method("list_likely_label_errors"),
        Method("mark_mislabelled", (BUILTIN, 10**6)),
        Method("list_models"),
        Method("get_model"),
        Method("deploy_model", (99,)),
        Method("list_deployments"),
        Method("delete_model", (99,), once),
        Method("export_model", (ExportFormat.ONNX,)),
        Method("add_sample", (b"no image", 7)),
        Method("add_sample_pixels", (np.zeros((28, 28), np.uint8), 7)),
        Method("list_samples"),
        Method("update_sample", ("nobody", 7)),
        Method("delete_sample", ("nobody",), once),
        Method("import_samples", (scene.archive,), once),
        Method("export_samples", (), once),
        Method("evaluate_samples"),
    ]


class Ending(Enum):
    """How calls are to end under a fault."""

    ANSWERED = auto()
    BROKEN = auto()  # Answered after all, by a repetition; what is sent once: unavailable.
    AWAY = auto()
    SLOW = auto()  # Unavailable, at the deadline.


@dataclass(frozen=True)
class Fault:
    """Something that happens to a network, and what is to come of it."""

    name: str
    ending: Ending
    weather: Weather
    """From before the calls until they have ended."""
    is_connected: bool = True
    """Whether the client has a connection when it begins."""
    strike: Callable[[Proxy], None] = lambda proxy: None
    """What happens once, besides."""
    strike_after_s: float = 0.0
    """How long after the calls have begun; 0: before."""
    is_forgotten: bool = False
    """Whether, at the end, the connections of the fault stay dead for ever."""


def faults(is_quick: bool) -> list[Fault]:
    """What is tried; `is_quick`: a connection that breaks, and one that falls silent."""
    slow_line = Weather(delay_s=0.3)
    broken = Ending.BROKEN
    chosen = [
        Fault("reset while under way", broken, slow_line, True, lambda proxy: proxy.reset_all(), 0.4),
        Fault("a black hole", Ending.SLOW, SILENT, is_forgotten=True),
    ]
    if is_quick:
        return chosen
    return [
        *chosen,
        Fault("delayed by 0.3 s to 0.8 s each way", Ending.ANSWERED, Weather(delay_s=0.3, jitter_s=0.5)),
        Fault("first heard of through a slow line", Ending.ANSWERED, Weather(delay_s=0.7), False),
        Fault("300 kB a second", Ending.ANSWERED, Weather(bytes_per_s=300_000)),
        *(
            Fault(f"cut {way.value} after {size} bytes", broken, CLEAR, True, cut(way, size))
            for way in Way
            for size in (1, 30, 300, 3000, 30_000)
        ),
        Fault("a black hole that lets go", Ending.SLOW, SILENT),
        Fault("no request arrives", Ending.SLOW, Weather(lost=frozenset({Way.TO_SERVER}))),
        Fault("no answer arrives", Ending.SLOW, Weather(lost=frozenset({Way.TO_CLIENT})), is_forgotten=True),
        Fault("reset as it connects", Ending.AWAY, Weather(door=Door.RESETS), is_connected=False),
        Fault("accepted, and nothing more", Ending.SLOW, Weather(door=Door.DEAF), is_connected=False),
        Fault("somebody else answers", Ending.AWAY, Weather(door=Door.BABBLES), is_connected=False),
    ]


def cut(way: Way, size: int) -> Callable[[Proxy], None]:
    """A reset in the middle of what is sent."""
    return lambda proxy: proxy.cut_next(way, size)


@dataclass
class Tally:
    """What the network part has found."""

    faults: int = 0
    hangs: int = 0
    findings: int = 0
    late_s: float = 0.0
    """How long after its deadline a call came back, at most."""

    def find(self, what: str) -> None:
        """Tell and count something that is not as it should be."""
        self.findings += 1
        say("FOUND", [what])


def try_all(port: int, scene: Scene, tally: Tally, is_quick: bool) -> None:
    """Every fault, every method, both clients."""
    called = methods(scene)
    for kind in (Blocking, Waiting):
        client = kind(f"127.0.0.1:{port}")
        usual = everywhere(client, called, LONG_S)
        client.close()
        for fault in faults(is_quick):
            try_one(port, kind, fault, called, usual, scene, tally)


def try_one(
    port: int,
    kind: type[Blocking] | type[Waiting],
    fault: Fault,
    called: Sequence[Method],
    usual: Mapping[str, Outcome],
    scene: Scene,
    tally: Tally,
) -> None:
    """One fault: while it lasts, and after it."""
    where = f"{kind.kind}, {fault.name}"
    timeout_s = LONG_S if fault.ending in (Ending.ANSWERED, Ending.BROKEN) else SHORT_S
    with Proxy(port) as proxy:
        client = kind(proxy.address)
        try:
            if fault.is_connected:
                client.predict(scene.png)
            proxy.change(fault.weather)
            if fault.strike_after_s:
                threading.Timer(fault.strike_after_s, fault.strike, (proxy,)).start()
            else:
                fault.strike(proxy)
            started = time.monotonic()
            outcomes = everywhere(client, called, timeout_s)
            took_s = time.monotonic() - started
            if not proxy.has_cut:
                tally.find(f"{where}: too little was sent for the cut to happen")
            for method in called:
                tally.faults += 1
                judge(where, method, outcomes[method.name], usual[method.name], fault, timeout_s, tally)
            if fault.is_forgotten:
                proxy.forget_all()
            proxy.change(CLEAR)
            healed_s = recovery_s(client, scene)
            if healed_s is None:
                tally.find(f"{where}: the same client does not work again within {RECOVERY_S:.0f} s")
            else:
                say(f"{where}: {len(called)} calls in {took_s:.1f} s, well again after {healed_s:.1f} s")
        finally:
            client.close()


def judge(
    where: str,
    method: Method,
    outcome: Outcome | None,
    usual: Outcome,
    fault: Fault,
    timeout_s: float,
    tally: Tally,
) -> None:
    """Count an outcome that is not as promised."""
    if outcome is None:
        tally.hangs += 1
        say("FOUND", [f"{where}: {method.name} hangs"])
        return
    tally.late_s = max(tally.late_s, outcome.took_s - timeout_s)
    away, late = "ServerUnavailable UNAVAILABLE", "ServerUnavailable DEADLINE_EXCEEDED"
    expected = {
        Ending.ANSWERED: {usual.told},
        Ending.BROKEN: {usual.told} | ({away} if method.promise is Promise.ONCE else set()),
        # Whoever tries until the deadline may meet it.
        Ending.AWAY: {away, late},
        Ending.SLOW: {late},
    }[fault.ending]
    if outcome.told not in expected:
        tally.find(
            f"{where}: {method.name} ended with {outcome.told!r} after {outcome.took_s:.1f} s, "
            f"expected {' or '.join(sorted(expected))}"
        )


def recovery_s(client: Blocking | Waiting, scene: Scene) -> float | None:
    """How long it takes until the same client gets a right answer; None: too long."""
    started = time.monotonic()
    while time.monotonic() - started < RECOVERY_S:
        try:
            if client.predict(scene.png) == scene.digit:
                return time.monotonic() - started
        except ClientError:
            time.sleep(0.1)
    return None
