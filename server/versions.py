"""The life of the versions on one server: taken up, deployed, undeployed and deleted, one at a time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from sqlalchemy import Engine as Database
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from server.database import deployments, settle, trainings
from server.errors import DigitsError, ModelCorrupt, ModelInUse, NothingDeployed
from server.evaluation import Evaluations
from server.gate import Gate, GateReport
from server.inference import Engines
from server.models import Deployment, Deployments, ModelStore
from server.unforeseen import Unforeseen

log = logging.getLogger(__name__)

# How soon it is looked again whether the record can be read.
LOOK_AGAIN_S = 1.0


class Versions:
    """Keeps folder, engines and record of the versions in agreement. May be used from any thread."""

    def __init__(
        self,
        database: Database,
        store: ModelStore,
        engines: Engines,
        evaluations: Evaluations,
        gate: Gate,
        shipped: Path,
        announced: int | None = None,
    ) -> None:
        """Clear up what a crash left behind, install the version at `shipped`, and serve what was deployed
        last; when that cannot be loaded the one before it, at last the shipped one, and say so.

        `announced`: what the shared artifacts say, for a database that knows of no deployment; None or 0:
        nothing.
        """
        self._store = store
        self._engines = engines
        self._evaluations = evaluations
        self._gate = gate
        self._deployments = Deployments(database)
        # One change at a time; predictions go on meanwhile.
        self._changing = threading.Lock()
        self._follower: threading.Thread | None = None
        self._unforeseen = Unforeseen(log, "deployments")
        self._closing = threading.Event()
        self._finish_deletions()
        store.reserve(_highest_known(database))
        shipped_version = store.install_shipped(shipped)
        for version in store.list():
            evaluations.adopt(version)
        self._deploy_at_start(shipped_version, announced or None)

    def deploy(self, number: int, cause: str, request_id: str | None = None) -> None:
        """Let a version answer from now on: it is loaded first, and recorded once it answers.

        The same `request_id` deploys once; after that it changes nothing, whatever answers by then. Raises
        InvalidArgument when it has deployed another version, ModelNotFound, or ModelCorrupt when the version
        cannot be loaded; the old one stays then.
        """
        with self._changing:
            if request_id and self._deployments.is_done(request_id, number):
                self._follow_record()
            else:
                self._deploy(number, cause, request_id)

    def undeploy(self, cause: str) -> None:
        """Let no version answer until one is deployed again, or the server starts anew."""
        with self._changing:
            with self._announced(None):
                settle(
                    lambda: self._deployments.undeploy(cause),
                    is_made=lambda: self._deployments.answering() is None,
                    in_doubt=self._follow_when_readable,
                )
            self._engines.undeploy()
        log.info("undeployed", extra={"cause": cause})

    def redeploy(self, cause: str) -> None:
        """Let the version that was deployed last answer (again). Raises NothingDeployed, ModelCorrupt."""
        last = self._deployments.current()
        if last is None:
            raise NothingDeployed
        self.deploy(last, cause)

    def rollback_version(self) -> int | None:
        """The version that answered before the present one and can still be loaded; None without any."""
        for number in self._deployments.before():
            try:
                self._store.artifact_path(number)
            except DigitsError:
                continue  # Deleted since, or damaged: the one before it, then.
            return number
        return None

    def history(self, offset: int, limit: int) -> tuple[tuple[Deployment, ...], int]:
        """A page of what was deployed, rolled back, undeployed and deleted, newest first, and how many."""
        return self._deployments.list(offset, limit)

    def take_up(self, number: int, deploy: bool, asked_by: str = "training") -> GateReport:
        """A training run has made a version: hold it against the serving one, and deploy it if that is wanted
        and it passes. `asked_by`: who wants that, "training" or "sweep".

        Raises ArtifactsUnreachable, and what the database does: who tries again changes nothing twice.
        """
        version = self._store.get(number)
        self._evaluations.adopt(version)
        if deploy:
            # First: what could not be deployed need not be judged again and again until it can.
            self._store.share(number)
        if number == self._deployments.current():
            # It passed, and the server stopped before the run had noted that, or was not told that it was
            # recorded.
            with self._changing:
                self._follow_record()
            return self._gate.judge(version, next(iter(self._deployments.before()), None))
        while True:
            serving = self._engines.deployed
            report = self._gate.judge(version, serving)
            with self._changing:
                if serving != self._engines.deployed:
                    continue  # Somebody deployed another one meanwhile: that is the one to be held against.
                if deploy and report.passed:
                    self._deploy(number, f"its {asked_by} asked for it, and it passed the gate")
            return report

    def delete(
        self, number: int, cause: str, keep_off: Callable[[int], AbstractContextManager[None]]
    ) -> None:
        """Delete a version with its files and evaluations; its number is never given again.

        `keep_off(number)` keeps training runs from going on from it meanwhile; it raises ModelInUse when one
        does. Raises ModelNotFound; ModelInUse, too, when it is deployed or came with the software.
        """
        with self._changing:
            self._refuse_needed(number)
            with keep_off(number):
                self._store.delete(number)
            # Whatever happens from here on, the next start ends it. First the files: on a full disk it may be
            # them that make room for the record.
            self._store.empty_deleted()
            self._deployments.delete(number, cause)
        self._evaluations.forget({number})
        self._engines.evict(number)
        self._store.clean_deleted()

    def close(self) -> None:
        """Look for nothing any more. For the end of a server."""
        self._closing.set()
        follower = self._follower
        if follower is not None:
            follower.join()

    def _deploy(self, number: int, cause: str, request_id: str | None = None) -> None:
        """Deploy, for who holds the lock."""
        is_rollback = number == self.rollback_version()
        serving = self._engines.deployed
        # First: while the others could not fetch it, it does not answer here for a moment either.
        self._store.share(number)
        self._engines.deploy(number)
        try:
            with self._announced(number):
                settle(
                    lambda: self._deployments.deploy(
                        number, cause, is_rollback=is_rollback, request_id=request_id
                    ),
                    is_made=lambda: self._is_recorded(number, request_id),
                    in_doubt=self._follow_when_readable,
                )
        except BaseException:
            # Who is told that nothing was changed must not be answered by another version.
            if serving is None:
                self._engines.undeploy()
            else:
                self._engines.deploy(serving)
            raise
        log.info("deployed", extra={"model_version": number, "cause": cause})

    def _is_recorded(self, number: int, request_id: str | None) -> bool:
        if request_id:
            return self._deployments.is_done(request_id, number)
        return self._deployments.answering() == number

    def _follow_record(self) -> None:
        """Let that version answer which does so by the record. For who holds the lock.

        It does already, unless it was recorded by a commit whose answer was lost. Raises ModelNotFound,
        ModelCorrupt, what the database does, OSError.
        """
        recorded = self._deployments.answering()
        if (self._engines.deployed, self._store.announced_deployed()) == (recorded, recorded or 0):
            return
        if recorded is None:
            self._engines.undeploy()
        else:
            self._engines.deploy(recorded)
        self._store.announce_recorded(recorded)
        log.info("follows the record", extra={"model_version": recorded})

    def _follow_when_readable(self) -> None:
        """Follow the record as soon as it can be read, without waiting. For who holds the lock."""
        if self._follower is None:
            follower = threading.Thread(target=self._follow, name="deployments", daemon=True)
            follower.start()
            self._follower = follower

    def _follow(self) -> None:
        while not self._closing.wait(LOOK_AGAIN_S):
            with self._changing:
                try:
                    self._follow_record()
                except (SQLAlchemyError, OSError) as error:
                    log.debug("record not read yet", extra={"reason": str(error)})
                    continue
                except DigitsError as error:
                    # The next start goes back to the version before it, and says so.
                    log.error("version not loaded", extra={"reason": error.message})
                except Exception as error:
                    self._unforeseen.tell(error)
                    continue
                self._follower = None
                return

    @contextmanager
    def _announced(self, number: int | None) -> Iterator[None]:
        """Announce what answers from now on, and take that back when the block cannot record it."""
        before = self._store.announced_deployed()
        self._store.announce_deployed(number)
        try:
            yield
        except BaseException:
            with suppress(OSError):  # The next start announces what is recorded.
                self._store.announce_recorded(before or None)
            raise

    def _refuse_needed(self, number: int) -> None:
        if number in (self._engines.deployed, self._deployments.current()):
            raise ModelInUse(number, "is deployed; deploy another one first")
        try:
            is_shipped = self._store.get(number).is_shipped
        except ModelCorrupt:
            return  # To delete it is all that can be done with it.
        if is_shipped:
            raise ModelInUse(number, "came with the software and stays, so that there is always one to serve")

    def _finish_deletions(self) -> None:
        """End the deletions that a crash cut off, and remove what interrupted runs left behind."""
        recorded = self._deployments.deleted()
        for number in self._store.deleted():
            if number not in recorded:
                self._deployments.delete(number, "asked for just before the server stopped")
        self._evaluations.forget(self._deployments.deleted())
        self._store.clean_staging()

    def _deploy_at_start(self, shipped: int, announced: int | None) -> None:
        """Let the version answer that was deployed last; when it cannot, the one before, and so on."""
        last, reason = self._deployments.current(), ""
        others = (*self._deployments.before(), shipped) if last is not None else (announced, shipped)
        for number in dict.fromkeys((last, *others)):
            if number is None:
                continue
            try:
                self._engines.deploy(number)
            except DigitsError as error:
                log.error("version not loaded", extra={"model_version": number, "reason": error.message})
                reason = reason or error.message
                continue
            if last is None and number == announced:
                cause = "first start with this database: it is what the shared artifacts announced"
            elif last is None:
                cause = "first start"
            elif number != last:
                cause = f"version {last} could not be loaded at start: {_what(reason, last)}"
            else:
                cause = "the server started anew"  # Recorded when it had been undeployed only.
            self._deployments.deploy(number, cause, is_rollback=number in self._deployments.before())
            # Always: the last start may have ended between the record and the announcement.
            self._store.announce_recorded(number)
            return


def _what(reason: str, version: int) -> str:
    """What is wrong with a version, without saying again with which."""
    return reason.removeprefix(f"version {version}: ").removeprefix("model_version: ").partition(";")[0]


def _highest_known(database: Database) -> int:
    """The highest number that any version is known to have had; 0 without any."""
    queries = (select(func.max(table.c.model_version)) for table in (deployments, trainings))
    with database.connect() as connection:
        return max(connection.execute(query).scalar() or 0 for query in queries)
