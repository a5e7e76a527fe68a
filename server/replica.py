"""A replica: answers predictions from a shared model folder and follows its deployments; writes nothing."""

from __future__ import annotations

import logging
import threading
import time

from server.config import Config
from server.errors import DigitsError, NothingDeployed
from server.evaluation import Evaluation, EvaluationState
from server.explanation import Explainer
from server.gate import GateReport
from server.inference import Engines
from server.models import ModelStore, ModelVersion
from server.prediction import Predictor
from server.reading import NumberReader

log = logging.getLogger(__name__)

# A deployment is followed within a second, loading included. To look costs a few microseconds.
LOOK_EVERY_S = 0.25
# A version that cannot be loaded is tried again: its files may still be on their way to this host.
RETRY_AFTER_S = 5.0


class Replica:
    """What the reading services need, from the model folder alone: no database, no digits, no training."""

    def __init__(self, config: Config) -> None:
        """Load the announced version, if there is one, and follow the announcements from then on."""
        self.store = ModelStore(config.data / "models", is_read_only=True)
        self.engines = Engines(self.store)
        self.predictor = Predictor(self.engines)
        self.numbers = NumberReader(self.predictor)
        self.explainer = Explainer(self.predictor, neighbours=None)
        self._failed: int | None = None
        self._failed_at = 0.0
        self._closing = threading.Event()
        self._look()
        self._thread = threading.Thread(target=self._follow, name="follow", daemon=True)
        self._thread.start()

    @property
    def deployed(self) -> int | None:
        """The version that answers, None as long as none was announced or none could be loaded."""
        return self.engines.deployed

    def version(self, number: int | None) -> ModelVersion:
        """A version, None meaning the deployed one. Raises ModelNotFound, ModelCorrupt, NothingDeployed."""
        if number is None:
            number = self.deployed
            if number is None:
                raise NothingDeployed
        return self.store.get(number)

    def evaluation(self, version: ModelVersion) -> Evaluation:
        """The evaluation that the version was made with; later ones are in the database of its owner."""
        return Evaluation(
            evaluation_id="",
            model_version=version.version,
            dataset=version.test_dataset,
            state=EvaluationState.SUCCEEDED,
            failure_reason="",
            created=version.created,
            ended=version.created,
            metrics=version.metrics,
        )

    def gate(self, version: ModelVersion) -> GateReport | None:
        """None: how a version did at the gate is in the database of its owner."""
        return None

    def close(self) -> None:
        """Follow no more, answer what is queued and end every thread."""
        self._closing.set()
        self._thread.join()
        self.predictor.close()
        self.engines.close()

    def _follow(self) -> None:
        while not self._closing.wait(LOOK_EVERY_S):
            self._look()

    def _look(self) -> None:
        """Do as announced. When the version cannot be loaded, the one that answers goes on."""
        try:
            announced = self.store.announced_deployed()
        except OSError as error:
            log.warning("model folder not readable", extra={"reason": error.strerror})
            return
        if announced == 0:
            if self.deployed is not None:
                self.engines.undeploy()
                log.info("undeployed", extra={"cause": "announced in the model folder"})
            return
        if announced is None or announced == self.deployed or self._has_just_failed(announced):
            return
        try:
            self.engines.deploy(announced)
        except DigitsError as error:
            self._failed, self._failed_at = announced, time.monotonic()
            log.error("version not loaded", extra={"model_version": announced, "reason": error.message})
        else:
            log.info("deployed", extra={"model_version": announced, "cause": "announced in the model folder"})

    def _has_just_failed(self, version: int) -> bool:
        return version == self._failed and time.monotonic() - self._failed_at < RETRY_AFTER_S
