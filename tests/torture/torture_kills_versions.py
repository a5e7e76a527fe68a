"""Somebody who deploys and deletes versions, and knows which are there, which answers, and what."""

from __future__ import annotations

import random
import threading
import uuid
from collections.abc import Collection, Iterator, Mapping
from itertools import takewhile
from pathlib import Path

import numpy as np
import numpy.typing as npt
from digits.client import Client, Refused
from digits.client.choices import DeploymentAction
from digits.client.records.model import Deployment
from torture_kills_facts import DeployFact, Image, Ledger, Presence, VersionFact

from server.errors import ModelCorrupt
from server.inference import Engine
from server.models import ARTIFACT
from server.models.files import sha256_of
from server.models.version import DESCRIPTION, read_version, verify_file

# Batches of other sizes come to answers that differ in the last digits.
TOLERANCE = 1e-4
FEWEST_VERSIONS = 4
# What the ids of runs begin with that never were: their versions were there from the start.
SEED = "seed-"
ANSWERING = (DeploymentAction.DEPLOYED, DeploymentAction.ROLLED_BACK)
# What a run says of its own deployment, and the first start of its.
OWN_CAUSES = ("its training asked for it, and it passed the gate", "first start")


class Answers:
    """What each version has to answer to the same few images. May be used from any thread."""

    def __init__(self, models: Path, images: Image) -> None:
        self.images = images
        """(N, 28, 28) uint8"""
        self._models = models
        self._known: dict[int, npt.NDArray[np.float32]] = {}
        self._lock = threading.Lock()

    def of(self, version: int) -> npt.NDArray[np.float32] | None:
        """(N, 10) float32; None for a version that was deleted before anybody had looked."""
        with self._lock:
            if version not in self._known:
                path = self._models / f"{version:06d}" / ARTIFACT
                if not path.exists():
                    return None
                self._known[version] = Engine(path).probabilities(self.images)
            return self._known[version]


class Reader:
    """Asks what is in images, again and again, and compares each answer with the version's own."""

    def __init__(self, name: str, seed: int, ledger: Ledger, answers: Answers) -> None:
        self._name = name
        self._ledger = ledger
        self._answers = answers
        self._random = random.Random(f"{name} {seed}")

    def step(self, client: Client) -> None:
        """One prediction by the deployed version. Raises ClientError."""
        self.read(client, self._random.randrange(len(self._answers.images)))

    def read_all(self, client: Client) -> int:
        """All images, and the version that read the last. Raises ClientError."""
        return [self.read(client, index) for index in range(len(self._answers.images))][-1]

    def read(self, client: Client, index: int) -> int:
        """One of the images; gives the version that has answered. Raises ClientError."""
        answer = client.predict_pixels(self._answers.images[index])
        expected = self._answers.of(answer.model_version)
        got = np.array(answer.prediction.probabilities, np.float32)
        if expected is not None and np.abs(got - expected[index]).max() > TOLERANCE:
            self._ledger.lose(f"{self._name}: version {answer.model_version} answers otherwise than before")
        self._ledger.predicted()
        return answer.model_version


class VersionWriter:
    """Deploys and deletes versions, one after the other. Nobody else does, save runs by themselves."""

    def __init__(self, seed: int, ledger: Ledger, models: Path) -> None:
        self.facts: dict[int, VersionFact] = {}
        self.deployed: list[DeployFact] = []
        """Those that were acknowledged, in order."""
        self.open: DeployFact | None = None
        """The one whose answer did not come."""
        self._ledger = ledger
        self._models = models
        self._random = random.Random(f"versions {seed}")
        self._history: list[Deployment] = []

    def step(self, client: Client) -> None:
        """One change, or one that is repeated. Raises ClientError."""
        here = self._here()
        deployed = self.deployed[-1].version if self.deployed else 1
        match self._random.choices(["deploy", "repeat", "delete"], [70, 12, 18])[0]:
            case "delete" if len(here) > FEWEST_VERSIONS:
                deletable = [one for one in here if one not in (1, deployed) and self.facts[one].is_settled]
                self._delete(client, self._random.choice(deletable))
            case "repeat" if self.deployed:
                self._repeat(client, self._random.choice(self.deployed[-20:]))
            case _:
                request_id = uuid.uuid4().hex
                self._deploy(client, DeployFact(request_id, self._random.choice(here), f"kills {request_id}"))

    def retry(self, client: Client) -> None:
        """Send the deployment again that was not answered. After `compare`. Raises ClientError."""
        if self.open is not None and self.facts[self.open.version].presence is Presence.HERE:
            self._deploy(client, self.open)
        self.open = None

    def learn(self, known_runs: Mapping[str, int], live_runs: Collection[str]) -> None:
        """Hold the folders against what was told, and settle what was open.

        `known_runs`: the version of every run that was told to have succeeded; `live_runs`: those that may
        yet, whose versions may be there before that is told.
        """
        there = dict(self._whole_versions())
        for number, fact in self.facts.items():
            if number not in there and fact.presence is Presence.HERE:
                self._ledger.lose(f"version {number} was told to be kept and is not there")
            if number in there and fact.presence is Presence.GONE:
                self._ledger.lose(f"version {number} was told to be deleted and is there")
            if number in there and there[number].sha256 != fact.sha256:
                self._ledger.lose(f"version {number} is another one than before")
            fact.presence = Presence.HERE if number in there else Presence.GONE
        for number, fact in there.items():
            self.facts.setdefault(number, fact)
        made: dict[str, int] = {}
        for number, fact in self.facts.items():
            if not fact.training_id or fact.training_id.startswith(SEED):
                continue
            if fact.training_id in made:
                self._ledger.lose(f"versions {made[fact.training_id]} and {number} are of one run")
            made[fact.training_id] = number
            fact.is_settled = known_runs.get(fact.training_id) == number
            if not fact.is_settled and fact.training_id not in live_runs:
                self._ledger.lose(f"version {number} is no result of a run that has succeeded")
        for training_id, number in known_runs.items():
            if made.get(training_id) != number:
                self._ledger.lose(f"version {number} of the run {training_id} was never there")

    def compare(self, client: Client) -> None:
        """Hold lists and deployments of a server against what was told. After `learn`. Raises ClientError."""
        listed = _all_models(client)
        if listed != sorted(self._here()):
            self._ledger.lose(f"versions {sorted(self._here())} are there, {listed} are listed")
        self._explain(self._read_history(client))
        history = self._history
        answering = [entry for entry in history if entry.action in ANSWERING]
        served = client.get_model().model_version
        if answering and answering[-1].model_version != served:
            self._ledger.lose(f"version {answering[-1].model_version} was deployed last, {served} answers")
        for number, fact in self.facts.items():
            told = sum(
                1
                for entry in history
                if entry.action is DeploymentAction.DELETED and entry.model_version == number
            )
            if told != (fact.presence is Presence.GONE):
                self._ledger.lose(
                    f"version {number} is {fact.presence.value}, and its deletion told {told} ×"
                )

    def _read_history(self, client: Client) -> list[Deployment]:
        """What is new in the list of deployments, oldest first; what was known of it has to be as it was."""
        known = {entry.number: entry for entry in self._history}
        new: list[Deployment] = []
        token = ""
        while True:
            page = client.list_deployments(page_size=100, page_token=token)
            new += [entry for entry in page.deployments if entry.number not in known]
            for entry in page.deployments:
                if known.get(entry.number, entry) != entry:
                    self._ledger.lose(f"a deployment was {known[entry.number]} and is {entry}")
            token = page.next_page_token
            if not token or page.deployments[-1].number in known:
                break
        self._history += reversed(new)
        if page.total_size != len(self._history):
            self._ledger.lose(f"{len(self._history)} deployments were told, {page.total_size} are kept")
        return new

    def _explain(self, new: list[Deployment]) -> None:
        """Hold the list of deployments, of which some are new, against those that were asked for."""
        asked = [*self.deployed, *([self.open] if self.open else [])]
        own = {fact.cause: fact for fact in asked}
        for entry in new:
            if entry.action in ANSWERING and entry.cause not in OWN_CAUSES:
                fact = own.get(entry.cause)
                if fact is None or fact.version != entry.model_version:
                    self._ledger.lose(f"nobody has asked for the deployment {entry}")
        answering = [entry for entry in self._history if entry.action in ANSWERING]
        places: dict[str, int] = {}
        for place, entry in enumerate(answering):
            if entry.cause in own and entry.cause in places:
                self._ledger.lose(f"a deployment is in the list twice: {entry}")
            places[entry.cause] = place
        place = 0
        for fact in self.deployed:
            if fact.cause in places:
                if places[fact.cause] < place:
                    self._ledger.lose(f"a deployment is in the list before an earlier one: {fact}")
                place = places[fact.cause]
                continue
            # What answered already is in no list again; a run may have deployed it a moment before.
            following = takewhile(lambda entry: entry.cause not in own, answering[place + 1 :])
            if fact.version not in (entry.model_version for entry in (answering[place], *following)):
                self._ledger.lose(f"a deployment is forgotten: {fact}")

    def _whole_versions(self) -> Iterator[tuple[int, VersionFact]]:
        """What lies in the folder of versions: all of it whole."""
        for path in sorted(self._models.iterdir()):
            if not path.name.isdigit():
                continue
            number = int(path.name)
            try:
                version = read_version(path, number)
                for name in version.files:
                    verify_file(path, version, name)
            except ModelCorrupt as error:
                self._ledger.half_versions += 1
                self._ledger.lose(f"version {number} is not whole: {error}")
                continue
            yield number, VersionFact(sha256_of(path / DESCRIPTION), version.training_id)

    def _here(self) -> list[int]:
        return [number for number, fact in self.facts.items() if fact.presence is Presence.HERE]

    def _deploy(self, client: Client, fact: DeployFact) -> None:
        self.open = fact
        self._ledger.sending("deploy")
        model = client.deploy_model(fact.version, cause=fact.cause, request_id=fact.request_id)
        if model.model_version != fact.version:
            self._ledger.lose(f"version {fact.version} was asked for, {model.model_version} was deployed")
        self.deployed.append(fact)
        self.open = None
        self._ledger.acknowledge("deploy")

    def _repeat(self, client: Client, fact: DeployFact) -> None:
        """The same request once more: whatever answers by now goes on doing so."""
        if self.facts[fact.version].presence is not Presence.HERE:
            return
        self._ledger.sending("repeat")
        client.deploy_model(fact.version, cause=fact.cause, request_id=fact.request_id)

    def _delete(self, client: Client, number: int) -> None:
        fact = self.facts[number]
        fact.presence = Presence.EITHER
        self._ledger.sending("delete version")
        try:
            client.delete_model(number)
        except Refused as refused:
            if refused.reason != "MODEL_IN_USE":
                raise
            fact.presence = Presence.HERE  # A run has deployed it, or goes on from it.
            return
        fact.presence = Presence.GONE
        self._ledger.acknowledge("delete version")


def _all_models(client: Client) -> list[int]:
    numbers: list[int] = []
    token = ""
    while True:
        page = client.list_models(page_size=100, page_token=token)
        numbers += [model.model_version for model in page.models]
        if not (token := page.next_page_token):
            return sorted(numbers)
