"""Somebody who starts, stops and cancels training runs, and knows how each of them may have ended."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Mapping

from digits.client import Client, Refused
from digits.client.choices import TrainingState
from digits.client.records.training import Training, TrainingOptions
from torture_kills_facts import Ledger, RunFact

# The smallest there is: one hidden layer, three times over 4,000 digits in two steps each.
RECIPE = "classic"
EPOCHS = 3
BATCH_SIZE = 2048
# More than one, so that some wait; few, so that a start finds room.
MOST_AT_ONCE = 3
# What `server.training` allows a run: what is cut off more often has failed, and rightly so.
RESUMES = 2
PREPARED_TIMEOUT_S = 60.0


class RunWriter:
    """Changes runs of its own, one after the other."""

    def __init__(self, seed: int, ledger: Ledger) -> None:
        self.facts: dict[str, RunFact] = {}
        self.open: RunFact | None = None
        """The start whose answer did not come; without an id."""
        self.finishes = False
        """Whether to let one run come to its end, instead of starting and ending many."""
        self.spares = False
        """Whether to end none for a while."""
        self._ledger = ledger
        self._random = random.Random(f"runs {seed}")

    @property
    def live(self) -> list[RunFact]:
        """Those that are not known to have ended, oldest first."""
        return [fact for fact in self.facts.values() if not fact.ended_as]

    @property
    def succeeded(self) -> Mapping[str, int]:
        """The version of every run that was told to have one."""
        return {fact.training_id: fact.model_version for fact in self.facts.values() if fact.model_version}

    def step(self, client: Client) -> None:
        """One change, or one look. Raises ClientError."""
        live = self.live
        if self.finishes:
            # Whatever waits behind the first one would take it the processor.
            if len(live) > 1:
                self._cancel(client, live[-1])
            elif live:
                self._look(client, live[0])
                time.sleep(0.05)
            else:
                self._start(client)
            return
        ends = 0 if self.spares else 1
        match self._random.choices(["start", "cancel", "stop", "look"], [40, 35 * ends, 10 * ends, 15])[0]:
            case "start" if len(live) < MOST_AT_ONCE:
                self._start(client)
            case "cancel" if live:
                self._cancel(client, self._random.choice(live))
            case "stop" if live:
                self._stop(client, live[0])
            case "look" if live:
                self._look(client, self._random.choice(live))
            case _:
                time.sleep(0.02)

    def end(self, client: Client, fact: RunFact) -> None:
        """Cancel a run, and wait until it has ended. Raises ClientError."""
        self._cancel(client, fact)
        while not fact.ended_as:
            time.sleep(0.05)
            self._look(client, fact)

    def cut(self, training_id: str | None = None) -> None:
        """A child was killed; or, without an id, the server: whatever may have trained was cut off."""
        for fact in self.live:
            if training_id in (None, fact.training_id):
                fact.cuts += 1
        # The run that nobody has heard of yet may train already.
        if self.open is not None and training_id not in self.facts:
            self.open.cuts += 1

    def compare(self, client: Client) -> None:
        """Hold all runs against what was told, and settle what was open. Raises ClientError."""
        found = _all_trainings(client)
        for training_id, fact in self.facts.items():
            run = found.pop(training_id, None)
            if run is None:
                self._ledger.lose(f"the run {training_id} was told to be started and is not there")
            else:
                self._settle(fact, run)
        if self.open is not None:
            self._retry(client, self.open, found)
            self.open = None
        for training_id in found:
            self._ledger.lose(f"nobody has asked for the run {training_id}")

    def _retry(self, client: Client, fact: RunFact, found: dict[str, Training]) -> None:
        """Start the run again that was not answered: it is the one that is there, if any is."""
        there = next(iter(found), "")
        self._send(client, fact)
        if there and fact.training_id != there:
            self._ledger.lose(f"the run {there} was started again as {fact.training_id}")
        found.pop(there, None)

    def _start(self, client: Client) -> None:
        seed = self._random.randrange(2**31)
        self._send(client, RunFact("", uuid.uuid4().hex, RECIPE, seed, self._random.random() < 0.5))

    def _send(self, client: Client, fact: RunFact) -> None:
        self.open = fact
        options = TrainingOptions(epochs=EPOCHS, batch_size=BATCH_SIZE, seed=fact.seed)
        self._ledger.sending("start")
        deadline = time.monotonic() + PREPARED_TIMEOUT_S
        while True:
            try:
                run = client.start_training(
                    fact.recipe, options, deploy_when_done=fact.deploys, request_id=fact.request_id
                )
                break
            except Refused as refused:
                # A server that has just started looks for its digits first.
                if refused.reason != "DATA_PREPARING" or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        self.open = None
        fact.training_id = run.training_id
        if run.training_id in self.facts:
            self._ledger.lose(f"the run {run.training_id} was started by two requests")
        self.facts[run.training_id] = fact
        self._settle(fact, run)
        self._ledger.acknowledge("start")

    def _cancel(self, client: Client, fact: RunFact) -> None:
        fact.is_told_to_end = True
        self._ledger.sending("cancel")
        try:
            run = client.cancel_training(fact.training_id)
        except Refused as refused:
            if refused.reason != "TRAINING_FINISHED":
                raise
            self._look(client, fact)
            return
        self._settle(fact, run)
        if run.state is TrainingState.CANCELLED:
            self._ledger.acknowledge("cancel")

    def _stop(self, client: Client, fact: RunFact) -> None:
        self._ledger.sending("stop")
        try:
            client.stop_training(fact.training_id)
        except Refused as refused:
            if refused.reason not in ("TRAINING_FINISHED", "TRAINING_WAITING"):
                raise
            return
        fact.is_stopped = True
        self._ledger.acknowledge("stop")

    def _look(self, client: Client, fact: RunFact) -> None:
        self._settle(fact, client.get_training(fact.training_id))

    def _settle(self, fact: RunFact, run: Training) -> None:
        """Hold a run as it is told to be against what is known of it."""
        name = f"the run {fact.training_id}"
        if (run.recipe, run.options.seed, run.deploy_when_done) != (fact.recipe, fact.seed, fact.deploys):
            self._ledger.lose(f"{name} is another one than was asked for: {run}")
        if run.resumes > fact.cuts:
            self._ledger.lose(f"{name} was cut off {fact.cuts} times at most, and told {run.resumes}")
        ended_as = run.state.name if run.state.is_final else ""
        if fact.ended_as and (ended_as, run.model_version) != (fact.ended_as, fact.model_version):
            self._ledger.lose(f"{name} had ended as {fact.ended_as}, version {fact.model_version}; now {run}")
        if fact.ended_as or not ended_as:
            return
        fact.ended_as, fact.model_version = ended_as, run.model_version
        match run.state:
            case TrainingState.SUCCEEDED:
                self._ledger.acknowledge("finish")
                if fact.is_stopped and not run.stopped_early and len(run.history) < EPOCHS:
                    self._ledger.lose(f"{name} was told to end early, and forgot it")
            case TrainingState.CANCELLED if not fact.is_told_to_end:
                self._ledger.lose(f"{name} is cancelled, and nobody asked for it")
            case TrainingState.FAILED if fact.cuts <= RESUMES:
                self._ledger.lose(f"{name} failed after {fact.cuts} kills: {run.failure_reason}")


def _all_trainings(client: Client) -> dict[str, Training]:
    found: dict[str, Training] = {}
    token = ""
    while True:
        page = client.list_trainings(page_size=100, page_token=token)
        found |= {run.training_id: run for run in page.trainings}
        if not (token := page.next_page_token):
            return found
