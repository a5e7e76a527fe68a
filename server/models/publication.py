"""What the server that owns the versions puts into the shared artifacts, and how long it waits for them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from server.errors import ArtifactsUnreachable, ModelNotFound, ShuttingDown
from server.models.shared import NumberTaken, SharedArtifacts
from server.unforeseen import Unforeseen

log = logging.getLogger(__name__)

# A version may have taken an hour to train: it waits for the place to be back.
PATIENCE_S = 600.0
TRY_AGAIN_S = 1.0
# How often the owner looks whether what it has announced still is.
LOOK_EVERY_S = 2.0

Got = TypeVar("Got")


class Publication:
    """Publishes versions, and says which one answers. May be used from any thread."""

    def __init__(self, shared: SharedArtifacts, noted: Callable[[], int | None]) -> None:
        """`noted()`: the version that is to be announced; 0: that none answers, None: nothing yet."""
        self.shared = shared
        self._noted = noted
        self._closing = threading.Event()
        # One announcement at a time: the last one told is the one that holds.
        self._announcing = threading.Lock()
        self._look = threading.Event()
        self._keeper: threading.Thread | None = None

    def publish(self, folder: Path, first: int) -> int:
        """Publish a new version under the first free number from `first` on, and return that.

        Waits while the place does not answer. Raises ArtifactsUnreachable after ten minutes of that,
        ShuttingDown when the server goes down meanwhile, ModelCorrupt.
        """
        number = first

        def next_free() -> int:
            nonlocal number
            while True:
                try:
                    self.shared.publish(folder, number)
                except NumberTaken:
                    number = max(number, self.shared.last_number()) + 1
                else:
                    return number

        return self.patiently(next_free, PATIENCE_S)

    def share(self, folder: Path, version: int) -> None:
        """Publish a version that has its number already, if it is not published yet.

        Raises ArtifactsUnreachable, ModelCorrupt, ModelNotFound when another server has deleted it.
        """
        try:
            self.shared.publish(folder, version)
        except NumberTaken:
            raise ModelNotFound(version) from None

    def announce(self, version: int | None, note: Callable[[], None]) -> None:
        """Tell every machine which version answers, and `note` it here once that is done.

        Raises ArtifactsUnreachable, and what `note` does; then nobody knows what was told, and what is noted
        is told again.
        """
        try:
            with self._announcing:
                self.shared.announce(version)
                note()
        except BaseException:
            self.keep_announced()
            raise

    def keep_announced(self) -> None:
        """See to it, from now on and without waiting, that what is noted here is what is announced.

        An announcement may have arrived though nobody said so, and a server that owned the versions before
        may not know yet that it does not any more.
        """
        with self._announcing:
            self._look.set()
            if self._keeper is None and not self._closing.is_set():
                keeper = threading.Thread(target=self._keep, name="announce", daemon=True)
                keeper.start()
                # Not before: where no thread can be started now, one is when this is asked for again.
                self._keeper = keeper

    def patiently(self, action: Callable[[], Got], patience_s: float, is_start: bool = False) -> Got:
        """Do something, again and again while the place does not answer.

        At a start what is wrong with the settings is not waited for. Raises ArtifactsUnreachable when the
        patience is over, ShuttingDown.
        """
        deadline = time.monotonic() + patience_s
        is_told = False
        while True:
            try:
                return action()
            except ArtifactsUnreachable as error:
                if not is_told:
                    log.warning("shared artifacts not reached", extra={"reason": error.why})
                is_told = True
                if time.monotonic() >= deadline or (is_start and error.is_setting):
                    raise
            if self._closing.wait(TRY_AGAIN_S):
                raise ShuttingDown("the server is going down; the version is saved when it is back", 5.0)

    def close(self) -> None:
        """Wait for nothing any more. What can be done at once still is."""
        self._closing.set()
        self._look.set()

    def _keep(self) -> None:
        unforeseen = Unforeseen(log, "announce")
        while not self._closing.is_set():
            self._look.wait(LOOK_EVERY_S)
            self._look.clear()
            try:
                if self._closing.is_set() or self._is_announced():
                    continue
            except Exception as error:
                # Nobody would start this anew, and replicas would follow what is announced wrongly.
                unforeseen.tell(error)
            self._closing.wait(TRY_AGAIN_S)
            self._look.set()

    def _is_announced(self) -> bool:
        """Whether everybody is told now what is noted; False when that has to be tried again."""
        with self._announcing:
            try:
                noted = self._noted()
                if noted is not None and (told := self.shared.announced()) != noted:
                    self.shared.announce(noted or None)
                    log.info("announced again", extra={"model_version": noted, "instead_of": told})
            except (ArtifactsUnreachable, OSError) as error:
                log.debug("not announced yet", extra={"reason": str(error)})
                return False
        return True
