"""The domain, put together once: what every host of the services (gRPC here) mounts."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from server.config import Config
from server.database import open_database
from server.datasets import DataPreparation
from server.errors import DigitsError, NothingDeployed
from server.evaluation import Evaluation, Evaluations
from server.inference import Engines
from server.models import Deployments, ModelStore, ModelVersion
from server.prediction import Predictor
from server.reading import NumberReader
from server.training import Trainings

log = logging.getLogger(__name__)

SHIPPED = Path(__file__).parent / "shipped"


class Application:
    """Everything that the services need, opened from the data directory. `close()` ends it in order."""

    def __init__(self, config: Config) -> None:
        """Open the data directory, bring folders and database into agreement, load the deployed version."""
        # First, because it works in a process of its own while the rest opens.
        self.data = DataPreparation(config.data / "datasets", mnist=config.mnist, url=config.mnist_url)
        self._database = open_database(f"sqlite:///{config.data / 'digits.db'}")
        self.store = ModelStore(config.data / "models")
        self.store.clean_staging()
        self.engines = Engines(self.store)
        self.predictor = Predictor(self.engines)
        self.numbers = NumberReader(self.predictor)
        self.evaluations = Evaluations(self._database, self.store, self.data)
        self._deployments = Deployments(self._database)
        self._deploying = threading.Lock()
        shipped = self.store.install_shipped(SHIPPED)
        for version in self.store.list():
            self.evaluations.adopt(version)
        self._deploy_at_start(shipped)
        # Last: runs that waited when the server went down go on at once.
        self.trainings = Trainings(
            self._database, self.store, self.data, config.data, on_version=self._on_version
        )

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

    def deploy(self, number: int, cause: str) -> None:
        """Let a version answer from now on: it is loaded first, and recorded once it answers.

        Raises ModelNotFound, or ModelCorrupt when it cannot be loaded; the old version stays then.
        """
        with self._deploying:
            self.engines.deploy(number)
            self._deployments.deploy(number, cause)
            self.store.announce_deployed(number)
        log.info("deployed", extra={"model_version": number, "cause": cause})

    def evaluation(self, version: ModelVersion) -> Evaluation:
        """The newest evaluation of a version on its own test set."""
        return self.evaluations.latest(version.version, version.test_dataset)

    def close(self) -> None:
        """End the training child, the workers and the connections, in the order of who needs whom."""
        self.trainings.close()
        self.evaluations.close()
        self.predictor.close()
        self.engines.close()
        self.data.close()
        self._database.dispose()

    def _on_version(self, number: int, deploy: bool) -> None:
        """A training run has made a version."""
        self.evaluations.adopt(self.store.get(number))
        if deploy:
            self.deploy(number, "its training asked for it")

    def _deploy_at_start(self, shipped: int) -> None:
        """Serve what was deployed last; when that cannot be loaded, the shipped version, and say so."""
        last = self._deployments.current()
        for number in dict.fromkeys((last, shipped)):
            if number is None:
                continue
            try:
                self.engines.deploy(number)
            except DigitsError as error:
                log.error("version not loaded", extra={"model_version": number, "reason": error.message})
                continue
            if number != last:
                cause = "first start" if last is None else f"version {last} could not be loaded at start"
                self._deployments.deploy(number, cause)
            # Always: the last start may have ended between the record and the announcement.
            self.store.announce_deployed(number)
            return
