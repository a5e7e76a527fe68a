"""The digits that no version may be trained on, known by their fingerprints.

They are the test digits: MNIST's official ones, and those of the built-in digits. Each is known as it is and
normalised, since it may be sent as a file. To find the fingerprints takes a second of work; it is done once
for the digits of a data directory, in the background and in small pieces, so that neither the start of the
server nor a prediction waits for it.
"""

from __future__ import annotations

import logging
import threading
import zipfile
from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np
import numpy.typing as npt

from server.datasets import Data, DataPreparation, Dataset
from server.errors import DataPreparing, DatasetUnavailable
from server.samples.fingerprints import forms

log = logging.getLogger(__name__)

FORMAT = 1
TEST_DATASETS = (Dataset.MNIST_TEST, Dataset.BUILTIN_TEST)
FILE = "test_digits.npz"
# Digits that are worked on at a time, a millisecond, and the pause after them.
TOGETHER = 16
PAUSE_S = 0.001
LOOK_EVERY_S = 0.5


class KeptOut:
    """The fingerprints of all test digits, as soon as the digits are there. May be used from any thread."""

    def __init__(
        self, data: DataPreparation, folder: Path, on_known: Callable[[Collection[str]], None]
    ) -> None:
        """Find them in the background, or read them from `folder`, where an earlier start has left them.

        `on_known` is called with them on the thread that found them, before `wait` returns; that may be
        before this object is there for who makes it.
        """
        self._data = data
        self._path = folder / FILE
        self._on_known = on_known
        self._known: frozenset[str] | None = None
        # The digits that they are known of: those on this machine may change when MNIST was downloaded.
        self._of = ""
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="test-digits", daemon=True)
        self._thread.start()

    @property
    def known(self) -> Collection[str] | None:
        """The fingerprints; None as long as they are not known."""
        return self._known

    def wait(self, timeout_s: float) -> None:
        """Wait until they are known and `on_known` is done.

        Raises DataPreparing when that takes longer, DatasetUnavailable when there are no digits.
        """
        name = _name(self._data.data())
        with self._changed:
            if not self._changed.wait_for(lambda: self._of == name, timeout_s):
                raise DataPreparing("samples are still being told from test digits", retry_after_s=1.0)

    def close(self) -> None:
        """Stop looking."""
        self._closing.set()
        self._thread.join()

    def _follow(self) -> None:
        """Find those of the digits that are there, and of others as soon as those are."""
        while not self._closing.is_set():
            try:
                data = self._data.data()
            except (DataPreparing, DatasetUnavailable):
                data = None
            try:
                if data is not None and _name(data) != self._of:
                    self._know(data)
            except Exception:
                # A full disk, say. Nothing is trained on before it has worked.
                log.exception("test digits not told from samples")
            self._closing.wait(LOOK_EVERY_S)

    def _know(self, data: Data) -> None:
        known = self._read(data) or self._compute(data)
        if known is None:
            return
        self._known = known
        self._on_known(known)
        with self._changed:
            self._of = _name(data)
            self._changed.notify_all()

    def _read(self, data: Data) -> frozenset[str] | None:
        """What an earlier start has found for the same digits."""
        try:
            with np.load(self._path, allow_pickle=False) as arrays:
                if str(arrays["of"]) == _name(data):
                    return frozenset(bytes(one).hex() for one in arrays["fingerprints"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            log.warning("test digits to be found anew", extra={"reason": str(error)})
        return None

    def _compute(self, data: Data) -> frozenset[str] | None:
        """Find them; None when the server goes down meanwhile."""
        found: set[str] = set()
        available = data.available()
        for dataset in (one for one in TEST_DATASETS if one in available):
            images = data.dataset(dataset).images
            for start in range(0, len(images), TOGETHER):
                for image in images[start : start + TOGETHER]:
                    found.update(forms(image))
                if self._closing.wait(PAUSE_S):
                    return None
        self._write(data, found)
        return frozenset(found)

    def _write(self, data: Data, found: Collection[str]) -> None:
        joined = b"".join(bytes.fromhex(one) for one in sorted(found))
        arrays: dict[str, npt.NDArray[np.generic]] = {
            "of": np.array(_name(data)),
            "fingerprints": np.frombuffer(joined, np.uint8).reshape(len(found), -1),
        }
        beside = self._path.with_name(FILE + ".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with beside.open("wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]
            beside.replace(self._path)
        except OSError as error:
            # They are known, and the next start finds them again.
            log.warning("test digits not saved", extra={"reason": error.strerror})


def _name(data: Data) -> str:
    """What tells these digits, and this way of finding their fingerprints, from others."""
    return f"{FORMAT}-{data.source.sha256}"
