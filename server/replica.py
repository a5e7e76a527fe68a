"""A replica: answers predictions and follows the deployments of the server that owns the versions.

It reads them in a folder that both have. Where versions are shared by a URL it keeps a copy of its own.
"""

from __future__ import annotations

import logging
import threading
import time

from server.config import CannotStart, Config
from server.errors import ArtifactsUnreachable, DigitsError, ModelCorrupt, NothingDeployed
from server.evaluation import Evaluation, EvaluationState
from server.explanation import Explainer
from server.gate import GateReport
from server.inference import Engines
from server.models import Mirror, ModelStore, ModelVersion, SharedArtifacts
from server.models.mirror import words_of
from server.prediction import Predictor
from server.reading import NumberReader
from server.unforeseen import Unforeseen

log = logging.getLogger(__name__)

# A deployment is followed within a second, loading included. To look costs a few microseconds.
LOOK_EVERY_S = 0.25
# A version that cannot be loaded is tried again: its files may still be on their way to this host.
RETRY_AFTER_S = 5.0
# How long an end waits for a look that has begun: the place of the shared versions may not answer.
CLOSE_S = 2.0
ANNOUNCED = "announced by the server that owns the versions"


class Replica:
    """What the reading services need, from the model folder alone: no database, no digits, no training."""

    def __init__(self, config: Config) -> None:
        """Load the announced version, if there is one, and follow the announcements from then on.

        Raises CannotStart when the shared artifacts do not let it in. While they do not answer, what it
        followed last does.
        """
        self._mirror: Mirror | None = None
        models = config.data / "models"
        if config.artifacts_url is not None:
            # Never the owner's folder, which may be in the same place on this machine.
            models = config.data / "cache" / "models"
            self._mirror = Mirror(models, SharedArtifacts(config.artifacts_url))
        self.store = ModelStore(models, is_read_only=True)
        self.engines = Engines(self.store)
        self.predictor = Predictor(self.engines)
        self.numbers = NumberReader(self.predictor)
        self.explainer = Explainer(self.predictor, neighbours=None)
        self._failed: int | None = None
        self._failed_at = 0.0
        self._closing = threading.Event()
        self._is_away = False
        try:
            self._look()
        except ArtifactsUnreachable as error:
            if error.is_setting:
                raise CannotStart(f"DIGITS_ARTIFACTS_URL: {config.artifacts_url}: {error.why}") from None
            self._go_on_without(error)
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
        self._thread.join(CLOSE_S)
        self.predictor.close()
        self.engines.close()

    def _follow(self) -> None:
        unforeseen = Unforeseen(log, "follow")
        while not self._closing.wait(LOOK_EVERY_S):
            try:
                self._follow_once()
            except Exception as error:
                # A replica that follows no more would answer with the old version for ever, and say SERVING.
                unforeseen.tell(error)
                self._closing.wait(RETRY_AFTER_S)

    def _follow_once(self) -> None:
        try:
            self._look()
            if self._mirror is not None:
                self._mirror.agree()
            self._let_go_of_deleted()
        except ArtifactsUnreachable as error:
            self._go_on_without(error)
        except OSError as error:
            what = "model folder not readable" if self._mirror is None else "copy of the versions not written"
            log.warning(what, extra={"reason": str(error)})

    def _let_go_of_deleted(self) -> None:
        """Whoever deleted a version, and whatever came between: it answers no more."""
        if not (others := self.engines.others):
            return
        here, deployed = self.store.numbers(), self.deployed
        if not here or (deployed is not None and deployed not in here):
            return  # Not deleted: all of the folder is away.
        for version in others:
            if version not in here:
                self.engines.evict(version)

    def _look(self) -> None:
        """Do as announced. When the version cannot be loaded, the one that answers goes on.

        Raises ArtifactsUnreachable.
        """
        try:
            source = self.store.announced_deployed if self._mirror is None else self._mirror.announced
            announced = source()
        except OSError as error:
            log.warning("model folder not readable", extra={"reason": error.strerror})
            return
        if self._is_away:
            self._is_away = False
            log.info("shared artifacts reached again")
        self._do(announced)

    def _go_on_without(self, error: ArtifactsUnreachable) -> None:
        """The shared artifacts do not answer: what was followed last goes on, after a start too."""
        if not self._is_away:
            self._is_away = True
            log.warning("shared artifacts not reached; going on without", extra={"reason": error.why})
        if self._mirror is not None and self.deployed is None:
            self._do(self._mirror.followed(), is_away=True)

    def _do(self, announced: int | None, is_away: bool = False) -> None:
        if announced == 0:
            if self.deployed is not None:
                self.engines.undeploy()
                log.info("undeployed", extra={"cause": ANNOUNCED})
            return
        if announced is None or announced == self.deployed or self._has_just_failed(announced):
            return
        try:
            if self._mirror is not None and not is_away:
                self._mirror.bring(announced)
            self.engines.deploy(announced)
        except (DigitsError, OSError) as error:
            self._failed, self._failed_at = announced, time.monotonic()
            # A fetch that broke off is no more than that: the place has just told what is announced.
            if isinstance(error, ArtifactsUnreachable) and error.is_setting:
                raise
            log.error("version not loaded", extra={"model_version": announced, "reason": words_of(error)})
            if self._mirror is not None and isinstance(error, ModelCorrupt) and not is_away:
                # The next try fetches it anew.
                self._mirror.discard(announced)
        else:
            log.info("deployed", extra={"model_version": announced, "cause": ANNOUNCED})

    def _has_just_failed(self, version: int) -> bool:
        return version == self._failed and time.monotonic() - self._failed_at < RETRY_AFTER_S
