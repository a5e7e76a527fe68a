"""Kill the server, its training child and a replica again and again, and lose nothing that was acknowledged.

Writers, each with a channel of its own, add, relabel, delete and import samples, deploy and delete
versions, start, stop and cancel runs; readers predict. In each round the server is killed with SIGKILL at a
random moment, half of the time within milliseconds of a change of a chosen kind, and before that, now and
then, a child or the replica; then it starts again, and everything is held against what was told. The seed
decides what is done and when: two runs with one seed differ only in what the threads' race decides.
"""

from __future__ import annotations

import random
import statistics
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from torture_kills_lab import Lab
from torture_parts import chosen_seed, say

KINDS = ("add", "relabel", "delete", "import", "deploy", "delete version", "start", "cancel", "stop")
# What a run leaves on the disk as it comes to its end.
MILESTONES = ("described", "placed", "succeeded")
ROUND_TIMEOUT_S = 60.0
FINISH_TIMEOUT_S = 240.0


@dataclass(frozen=True)
class Plan:
    """How much of everything."""

    rounds: int = 130
    """Kills of the server, each with a restart and a look at everything."""
    beside: int = 90
    """Kills of children and replicas, spread over the rounds."""
    finishes: int = 8
    """Pairs of rounds in which a run comes to its end, and the kill is for that moment: in the first of them
    it may be cut off, and in the second it goes on."""
    stops: int = 6
    """Orderly ends, which are no kills."""
    acknowledged: int = 10_500
    versions: int = 16
    more_versions_every: int = 12


QUICK = Plan(rounds=4, beside=3, finishes=0, stops=1, acknowledged=120, versions=5)


class Killer:
    """Goes through the rounds of a plan."""

    def __init__(self, lab: Lab, plan: Plan, seed: int) -> None:
        self._lab = lab
        self._plan = plan
        self._random = random.Random(f"killer {seed}")
        self.kills: Counter[str] = Counter()

    def run(self) -> None:
        """All of them."""
        plan = self._plan
        units = [["kill"]] * (plan.rounds - 2 * plan.finishes) + [["stop"]] * plan.stops
        units += [["finish", "finish"]] * plan.finishes
        self._random.shuffle(units)
        kinds = [kind for unit in units for kind in unit]
        beside = Counter(self._random.randrange(len(kinds)) for _ in range(plan.beside))
        for turn, kind in enumerate(kinds):
            goal = plan.acknowledged * (turn + self._random.random()) / len(kinds)
            self._round(kind, beside[turn], round(goal))
            if turn % plan.more_versions_every == plan.more_versions_every - 1:
                self._lab.put_versions(2)
            if self._random.random() < 0.1:
                self._lab.kill_starting(self._random.uniform(0.0, 1.5))
                self.kills["starting"] += 1
            self._lab.restart()
            if turn % 10 == 9:
                ledger = self._lab.ledger
                say(f"round {turn + 1} of {len(kinds)}: {ledger.total} acknowledged, {len(ledger.lost)} lost")
        self._lab.finish()

    def _round(self, kind: str, beside: int, goal: int) -> None:
        """Let everybody work, kill children and replicas meanwhile and at the end the server."""
        lab = self._lab
        lab.runs.finishes = kind == "finish"
        # While a run is to come to its end the others leave it some of the processor.
        with lab.at_work(pause_s=0.05 if kind == "finish" else 0.0):
            for _ in range(beside):
                self._kill_beside()
            # At least some in each round, so that no kill comes before anything was written.
            lab.ledger.wait_for_total(max(goal, lab.ledger.total + 3), ROUND_TIMEOUT_S)
            if kind == "finish":
                self._await_milestone(self._random.choice(MILESTONES))
            elif self._random.random() < 0.5:
                lab.ledger.wait_for_sending(self._random.choice(KINDS), 2.0)
                time.sleep(self._random.uniform(0.0, 0.03))
            if kind == "stop":
                if code := lab.server.stop():
                    lab.ledger.fault(f"an orderly end has exit code {code}")
            else:
                lab.kill_server()
                self.kills["server"] += 1

    def _kill_beside(self) -> None:
        """Kill a child, or the replica when there is none."""
        lab = self._lab
        is_child = self._random.random() < 0.5 and lab.kill_child(10.0, self._random.uniform(0.0, 0.4))
        if not is_child:
            lab.kill_replica()
        self.kills["child" if is_child else "replica"] += 1

    def _await_milestone(self, milestone: str) -> None:
        """Wait until a run has come so far, and up to a second more."""
        lab = self._lab
        before = set(lab.models.glob("[0-9]*"))
        finished = lab.ledger.acknowledged["finish"]

        def has_come() -> bool:
            if milestone == "described":
                return any((lab.models / ".staging").glob("*/version.json"))
            if milestone == "placed":
                return bool(set(lab.models.glob("[0-9]*")) - before)
            return lab.ledger.acknowledged["finish"] > finished

        deadline = time.monotonic() + FINISH_TIMEOUT_S
        while not has_come() and lab.ledger.acknowledged["finish"] == finished:
            if time.monotonic() > deadline:
                return
            time.sleep(0.005)
        self.kills["finishing"] += 1
        time.sleep(self._random.choice((0.03, 0.3, 1.0)) * self._random.random())


def run(folder: Path, is_quick: bool) -> dict[str, float]:
    """The figures; what was found is printed."""
    seed = chosen_seed()
    plan = QUICK if is_quick else Plan()
    lab = Lab(folder, seed)
    killer = Killer(lab, plan, seed)
    try:
        lab.open(plan.versions)
        killer.run()
    finally:
        lab.close()
    ledger = lab.ledger
    say(f"{len(ledger.lost)} lost", ledger.lost)
    say(f"{len(ledger.faults)} other faults", ledger.faults)
    say(", ".join(f"{count} {kind}" for kind, count in sorted(ledger.acknowledged.items())))
    return {
        "kills": killer.kills["server"] + killer.kills["child"] + killer.kills["replica"],
        "kills_server": killer.kills["server"],
        "kills_child": killer.kills["child"],
        "kills_replica": killer.kills["replica"],
        "kills_starting": killer.kills["starting"],
        "kills_finishing": killer.kills["finishing"],
        "kills_predictions": ledger.predictions,
        "kills_finished_runs": ledger.acknowledged["finish"],
        "kills_faults": len(ledger.faults),
        "kills_restart_s": statistics.median(lab.restarts_s),
        "acknowledged": ledger.total,
        "lost": len(ledger.lost),
        "half_versions": ledger.half_versions,
    }
