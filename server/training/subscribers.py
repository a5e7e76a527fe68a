"""Who hears of each change of a run."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)

# (training_id)
Subscriber = Callable[[str], None]


class Subscribers:
    """Those who want to hear. May be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subscribers: list[Subscriber] = []

    def add(self, callback: Subscriber) -> Callable[[], None]:
        """Call `callback` at each change from now on; returns what ends that."""
        with self._lock:
            self._subscribers.append(callback)

        def unsubscribe() -> None:
            with self._lock:
                if callback in self._subscribers:
                    self._subscribers.remove(callback)

        return unsubscribe

    def tell(self, *training_ids: str) -> None:
        """Tell everybody that these runs have changed."""
        with self._lock:
            subscribers = tuple(self._subscribers)
        for training_id in training_ids:
            for callback in subscribers:
                try:
                    callback(training_id)
                except Exception:
                    # Somebody who listens badly must not end a training.
                    log.exception("a subscriber failed", extra={"training_id": training_id})
