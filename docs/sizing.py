"""How many replicas and nodes a load needs, checked by a simulation of its queues: `python docs/sizing.py`.

Prints the tables of docs/sizing.md, which a test compares. Calls come at random (a Poisson process) to one of
several gates, Ray's proxies or none, and go on to one of several replicas, each of which answers one call
after the other. Nothing else is modelled: no network, no garbage collection, no noisy neighbour.
"""

from __future__ import annotations

import heapq
import math
import random
import sys
from dataclasses import dataclass

# The share of the time that anything is kept busy: the rest is for what comes together, and for a lost node.
BUSY = 0.6
CORES_A_NODE = 16
# What clouds take for general-purpose cores on demand, about; an assumption, in dollars.
DOLLARS_A_CORE_HOUR = 0.05
HOURS_A_MONTH = 730
# Enough calls for a 99th percentile that is the same with another seed within a tenth.
CALLS = 60_000
RATES = (1_000, 100_000, 1_000_000)


@dataclass(frozen=True)
class Way:
    """A way to serve, by what was measured of it."""

    name: str
    replica_ms: float
    """What a call takes of a replica, which answers one after the other and fills one core."""
    gate_ms: float = 0.0
    """What it takes of the proxy before it; 0: clients reach the replicas themselves."""


@dataclass(frozen=True)
class Plan:
    """What a load needs."""

    way: Way
    rate: float
    """Calls a second."""
    replicas: int
    gates: int

    @property
    def cores(self) -> int:
        """One for each."""
        return self.replicas + self.gates

    @property
    def nodes(self) -> int:
        """As many as hold the cores, and one more so that one may fail where there are several."""
        full = math.ceil(self.cores / CORES_A_NODE)
        return full if full == 1 else full + 1

    @property
    def dollars_a_month(self) -> float:
        """For all cores of the nodes; what fits on one takes its own cores alone."""
        cores = self.cores if self.nodes == 1 else self.nodes * CORES_A_NODE
        return cores * DOLLARS_A_CORE_HOUR * HOURS_A_MONTH


# Measured on two cores that the client used as well (docs/serving.md, docs/ray.md), rounded up.
REPLICAS = Way("replicas behind round_robin", replica_ms=0.25)
RAY = Way("Ray Serve", replica_ms=1.2, gate_ms=1.5)


def plan(way: Way, rate: float) -> Plan:
    """So many replicas and gates that each is busy for BUSY of the time at most."""
    return Plan(way, rate, _needed(rate, way.replica_ms), _needed(rate, way.gate_ms))


def simulate(chosen: Plan, calls: int = CALLS, seed: int = 1) -> tuple[float, float]:
    """The median and the 99th percentile, in ms, of what calls take."""
    taken = times(chosen, calls, seed)
    return taken[len(taken) // 2], taken[int(len(taken) * 0.99)]


def times(chosen: Plan, calls: int, seed: int = 1) -> list[float]:
    """What calls that come at random times take, in ms, in rising order."""
    generator = random.Random(seed)
    moments, moment = [], 0.0
    for _ in range(calls):
        moment += generator.expovariate(chosen.rate) * 1e3
        moments.append(moment)
    arrived = [(moment, moment) for moment in moments]
    if chosen.gates:
        # A client's connection ends at one gate, whatever waits there.
        arrived = _through(arrived, chosen.gates, chosen.way.gate_ms, generator, choices=1)
    # Of two replicas the one with the shorter queue, as Ray's router does; by turns without it.
    ended = _through(arrived, chosen.replicas, chosen.way.replica_ms, generator, 2 if chosen.gates else 0)
    return sorted(end - start for end, start in ended)


def _needed(rate: float, taken_ms: float) -> int:
    return math.ceil(rate * taken_ms / 1e3 / BUSY)


def _through(
    arrived: list[tuple[float, float]], servers: int, mean_ms: float, generator: random.Random, choices: int
) -> list[tuple[float, float]]:
    """Pass calls, as (moment, start), through so many queues; half of what a call takes is always the same.

    `choices`: of how many queues, taken at random, the shortest is chosen; 0: each in its turn.
    """
    free = [0.0] * servers
    ended: list[tuple[float, float]] = []
    for turn, (moment, start) in enumerate(arrived):
        if choices:
            chosen = min((generator.randrange(servers) for _ in range(choices)), key=free.__getitem__)
        else:
            chosen = turn % servers
        taken = mean_ms * (0.5 + 0.5 * generator.expovariate(1))
        free[chosen] = max(free[chosen], moment) + taken
        ended.append((free[chosen], start))
    heapq.heapify(ended)
    return [heapq.heappop(ended) for _ in range(len(ended))]


def tables() -> str:
    """What docs/sizing.md shows."""
    lines = [
        "| calls a second | way | replicas | proxies | nodes of 16 cores | dollars a month | p50 | p99 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for rate in RATES:
        for way in (REPLICAS, RAY):
            chosen = plan(way, rate)
            median, slowest = simulate(chosen)
            lines.append(
                f"| {rate:,} | {way.name} | {chosen.replicas:,} | {chosen.gates:,} | {chosen.nodes:,} "
                f"| {chosen.dollars_a_month:,.0f} | {median:.1f} ms | {slowest:.1f} ms |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(tables() + "\n")
