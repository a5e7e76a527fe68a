"""Send a server everything that it must refuse, over the wire, and see that it is none the worse for it.

Requests of every method of every service are made up from their descriptors, or are good ones that were
changed: values that nobody sends, bytes that do not parse, images and archives that unfold, calls that end
too early or never, and connections that speak something else. In between a digit is read rightly all the
time. What is found is told with the bytes that it takes to see it again, in the part's folder where they are
many; the same TORTURE_SEED sends the same requests.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torture_bad_http as http
from torture_bad_catalogue import Scene
from torture_bad_scene import Watch, forgotten, furnish, peak_mb
from torture_bad_senders import Share, Tally, send_noise, send_share
from torture_parts import TortureServer, Usage, chosen_seed, say, wait_until

TOKENS = "predict 0123456789abcdef\ntrain fedcba9876543210\n"
STRANGER = (("authorization", "Bearer nobody-knows-this-one"),)
PREDICTS = (("authorization", "Bearer 0123456789abcdef"),)
TRAINS = (("authorization", "Bearer fedcba9876543210"),)


@dataclass(frozen=True)
class Plan:
    """How much of everything."""

    programs: int = 2
    calls: int = 44_000
    noise: int = 2400
    """Connections; half as many more go to the metrics."""
    guarded: int = 3000
    replica: int = 2000
    is_quick: bool = False
    first: float = 0.2
    """Of all of it, before the memory is looked at for the first time."""


QUICK = Plan(programs=1, calls=400, noise=40, guarded=60, replica=40, is_quick=True, first=0.5)


class Findings:
    """What was found, counted by what it means."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.crashes = 0
        self.internal_errors = 0
        self.others = 0

    def take(self, tally: Tally) -> None:
        """What senders have found."""
        self.tally.add(replace(tally, findings=[]))
        self.internal_errors += tally.bugs
        self.others += max(len(tally.findings) - tally.bugs, 0)
        say(f"{tally.sent} sent, {len(tally.findings)} findings", tally.findings)

    def of_server(self, server: TortureServer, name: str) -> None:
        """What its log tells, and its end."""
        faults = server.faults()
        self.internal_errors += len(faults)
        say(f"{name}: {len(faults)} faults in its log", [fault[:2000] for fault in faults[:20]])
        if not server.is_running:
            self.crashes += 1
            say(f"{name}: it crashed")
        elif code := server.stop(120.0):
            self.crashes += 1
            say(f"{name}: it ended with {code}")

    def of_watch(self, watch: Watch) -> None:
        """What was not answered in between."""
        self.others += len(watch.findings)
        say(f"asked {watch.asked} times in between", watch.findings[:20])


def run(folder: Path, is_quick: bool) -> dict[str, float]:
    """The figures; what was found is printed."""
    seed = chosen_seed()
    plan = QUICK if is_quick else Plan()
    findings = Findings()
    server = TortureServer(folder / "open", DIGITS_MNIST="", DIGITS_METRICS_PORT="0")
    with ProcessPoolExecutor(plan.programs + 1, multiprocessing.get_context("spawn")) as pool:
        try:
            scene = furnish(server)
            assert not (unknown := forgotten(server)), f"no requests for {unknown}"
            before, after, threads = _torture(server, scene, plan, seed, pool, findings)
            peak = peak_mb(server.pid)
            _replica(folder, server, scene, plan, seed, pool, findings)
            findings.of_server(server, "the server")
        finally:
            server.close()
        _guarded(folder, scene, plan, seed, pool, findings)
    say(", ".join(f"{count} {how}" for how, count in findings.tally.ended.most_common(40)))
    growth = 100 * (after.rss_mb / before.rss_mb - 1)
    say(f"memory {before.rss_mb:.0f} MB, then {after.rss_mb:.0f} MB; {peak:.0f} MB at most")
    return {
        "bad_inputs": findings.tally.sent,
        "crashes": findings.crashes,
        "internal_errors": findings.internal_errors,
        "bad_input_faults": findings.others,
        "bad_input_rss_growth_pct": growth,
        "bad_input_rss_peak_mb": peak,
        "bad_input_more_threads": after.threads - before.threads,
        "bad_input_more_handles": after.handles - before.handles,
        "bad_input_http_threads": threads,
    }


def _torture(
    server: TortureServer, scene: Scene, plan: Plan, seed: int, pool: ProcessPoolExecutor, findings: Findings
) -> tuple[Usage, Usage, int]:
    """What it holds after the first part of everything and after the rest; threads for silent scrapers."""
    metrics = _metrics_port(server)
    with Watch(server, scene.png) as watch:
        for part, share in enumerate((plan.first, 1 - plan.first)):
            works: list[Callable[[], Future[Tally]]] = []
            for program in range(plan.programs):
                count = round(plan.calls * share / plan.programs)
                number = seed * 100 + part * 10 + program
                own = Share(server.address, scene, number, count, server.log.parent / "findings")
                own.sweeps = part == 0 and program == 0
                own.has_large = not plan.is_quick
                works.append(lambda own=own: pool.submit(send_share, own))
            noise = round(plan.noise * share)
            works.append(
                lambda part=part, noise=noise: pool.submit(
                    send_noise, server.port, metrics, seed * 100 + part, noise, part == 0
                )
            )
            for tally in [future.result() for future in [work() for work in works]]:
                findings.take(tally)
            settled = _settled(server, plan.is_quick)
            if part == 0:
                before = settled
        threads = _silent_scrapers(server, metrics, plan, findings)
    after = _settled(server, plan.is_quick)
    findings.of_watch(watch)
    return before, after, threads


def _replica(
    folder: Path,
    owner: TortureServer,
    scene: Scene,
    plan: Plan,
    seed: int,
    pool: ProcessPoolExecutor,
    findings: Findings,
) -> None:
    replica = TortureServer(folder / "replica", "--read-only", data=owner.data)
    try:
        replica.start()
        with Watch(replica, scene.png, is_replica=True) as watch:
            share = Share(replica.address, scene, seed * 100 + 50, plan.replica, folder / "findings")
            share.is_replica = True
            findings.take(pool.submit(send_share, share).result())
        findings.of_watch(watch)
        findings.of_server(replica, "the replica")
    finally:
        replica.close()


def _guarded(
    folder: Path, scene: Scene, plan: Plan, seed: int, pool: ProcessPoolExecutor, findings: Findings
) -> None:
    tokens = folder / "tokens"
    tokens.write_text(TOKENS)
    tokens.chmod(0o600)
    server = TortureServer(folder / "guarded", DIGITS_MNIST="", DIGITS_TOKENS_FILE=str(tokens))
    try:
        server.start()
        share = Share(server.address, scene, seed * 100 + 60, plan.guarded // 2, folder / "findings")
        strangers = replace(share, metadata=((), STRANGER, ((("authorization", "")),)), may_call=False)
        known = replace(share, seed=share.seed + 1, metadata=(PREDICTS, TRAINS))
        for one in (strangers, known):
            findings.take(pool.submit(send_share, one).result())
        findings.of_server(server, "the guarded server")
    finally:
        server.close()


def _silent_scrapers(server: TortureServer, port: int, plan: Plan, findings: Findings) -> int:
    """By how many threads the server has more while many hold a connection to its metrics open."""
    before = server.usage().threads
    held = http.hold_open(port, 1.0 if plan.is_quick else 12.0)
    try:
        more = server.usage().threads - before
        try:
            http.scrape(port)
        except (OSError, AssertionError) as error:
            findings.others += 1
            say("the metrics are not told while others are silent", [repr(error)])
    finally:
        for one in held:
            one.close()
    if more > http.MORE_THREADS:
        findings.others += 1
        say(f"{len(held)} silent scrapers are {more} threads")
    return more


def _settled(server: TortureServer, is_quick: bool) -> Usage:
    """What it holds once nothing is under way any more."""
    wait_until(lambda: not server.children(), "no program of the server's is left", 600.0)
    usages: list[Usage] = [server.usage()]
    deadline = time.monotonic() + (0.5 if is_quick else 10.0)
    while time.monotonic() < deadline:
        usages.append(server.usage())
        time.sleep(0.5)
    return Usage(*(min(values) for values in zip(*map(_fields, usages), strict=True)))


def _fields(usage: Usage) -> tuple[float, int, int]:
    return usage.rss_mb, usage.threads, usage.handles


def _metrics_port(server: TortureServer) -> int:
    serving: Any = [event for event in server.events() if event.get("event") == "serving"][-1]
    return int(serving["metrics_port"])
