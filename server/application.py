"""The domain, put together once: what every host of the services (gRPC here) mounts."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from server.config import Config
from server.database import open_database, outlast, refuse_damaged
from server.datasets import DataPreparation
from server.errors import EvaluationNotFound, NothingDeployed
from server.evaluation import Evaluation, Evaluations, Review
from server.explanation import Explainer, Neighbours
from server.exports import Exports
from server.gate import Gate, GateReport
from server.inference import Engines
from server.models import ModelStore, ModelVersion, SharedArtifacts
from server.prediction import Predictor
from server.reading import NumberReader
from server.samples import Samples
from server.sweeps import Sweeps, Tuner
from server.training import Launch, TrainingChild, Trainings
from server.versions import Versions

SHIPPED = Path(__file__).parent / "shipped"
DATABASE = "digits.db"


class Application:
    """Everything that the services need, opened from the data directory. `close()` ends it in order."""

    def __init__(
        self,
        config: Config,
        *,
        launch: Launch = TrainingChild,
        at_once: Callable[[], int] = lambda: 1,
        tuner: Tuner | None = None,
    ) -> None:
        """Open the data directory, bring folders and database into agreement, load the deployed version.

        `launch` starts the program of a run, `at_once()` says how many may train at this moment. `tuner`: who
        sees sweeps through; None: they run one trial after the other.
        """
        self._closing = threading.Event()
        # First, because it works in a process of its own while the rest opens.
        self.data = DataPreparation(config.data / "datasets", mnist=config.mnist, url=config.mnist_url)
        shared = None if config.artifacts_url is None else SharedArtifacts(config.artifacts_url)
        self.store = ModelStore(config.data / "models", shared=shared)
        if config.database_url is None:
            # Of a folder with versions an empty database is none that was just begun.
            refuse_damaged(config.data / DATABASE, may_be_empty=not self.store.numbers())
        url = config.database_url or f"sqlite:///{config.data / DATABASE}"
        self._database = open_database(url, owner=config.address)
        announced = self.store.catch_up()
        self.engines = Engines(self.store)
        self.predictor = Predictor(self.engines)
        self.numbers = NumberReader(self.predictor)
        neighbours = Neighbours(config.data / "features", self.store, self.data)
        self.explainer = Explainer(self.predictor, neighbours)
        self.evaluations = Evaluations(self._database, self.store, self.data)
        self.review = Review(self.evaluations, self.data)
        self.samples = Samples(
            self._database, self.store, self.data, config.data / "samples", config.samples_mib
        )
        gate = Gate(self.store, self.data, self.samples)
        self.versions = Versions(
            self._database, self.store, self.engines, self.evaluations, gate, SHIPPED, announced
        )
        self.exports = Exports(config.data / "exports", self.store)
        # Late: runs that waited when the server went down go on at once.
        self.trainings = Trainings(
            self._database,
            self.store,
            self.data,
            config.data,
            on_version=lambda version, deploy: outlast(
                lambda: self.versions.take_up(version, deploy), self._closing.wait
            ),
            samples=self.samples.training_set,
            deployed=lambda: self.engines.deployed,
            launch=launch,
            at_once=at_once,
        )
        # Last: the sweep that ran when the server went down goes on at once, by its runs.
        self.sweeps = Sweeps(self._database, self.trainings, self.versions, self.store, self.data, tuner)

    @property
    def deployed(self) -> int | None:
        """The version that answers, None when none could be loaded."""
        return self.engines.deployed

    def version(self, number: int | None) -> ModelVersion:
        """A version, None meaning the deployed one. Raises ModelNotFound, ModelCorrupt, NothingDeployed."""
        if number is None:
            number = self.deployed
            if number is None:
                raise NothingDeployed
        return self.store.get(number)

    def deploy(self, number: int, cause: str, request_id: str | None = None) -> None:
        """Let a version answer from now on. See `Versions.deploy`."""
        self.versions.deploy(number, cause, request_id)

    def delete(self, number: int, cause: str) -> None:
        """Delete a version. See `Versions.delete`."""
        self.versions.delete(number, cause, self.trainings.keep_off)
        self.exports.clean()

    def gate(self, version: ModelVersion) -> GateReport | None:
        """How a version did at the gate; None for one that was never there."""
        return None if version.is_shipped else self.trainings.gate(version.training_id)

    def undeploy(self, cause: str) -> None:
        """Let no version answer until one is deployed again, or the server starts anew."""
        self.versions.undeploy(cause)

    def redeploy(self, cause: str) -> None:
        """Let the version that was deployed last answer (again). Raises NothingDeployed, ModelCorrupt."""
        self.versions.redeploy(cause)

    def evaluation(self, version: ModelVersion) -> Evaluation:
        """The newest evaluation of a version on its own test set. Raises ModelNotFound."""
        try:
            return self.evaluations.latest(version.version, version.test_dataset)
        except EvaluationNotFound:
            # Asked for in the moment between the version's arrival and its taking up.
            self.evaluations.adopt(version)
        try:
            return self.evaluations.latest(version.version, version.test_dataset)
        except EvaluationNotFound:
            self.store.get(version.version)  # Or it was deleted between the two.
            raise

    def close(self) -> None:
        """End the training child, the workers and the connections, in the order of who needs whom."""
        self.store.close()
        self._closing.set()
        self.sweeps.close()
        self.trainings.close()
        self.versions.close()
        self.evaluations.close()
        self.explainer.close()
        self.predictor.close()
        self.engines.close()
        self.exports.close()
        self.samples.close()
        self.data.close()
        self._database.dispose()
