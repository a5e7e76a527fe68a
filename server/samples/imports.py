"""Samples from an archive, all or none of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from server.errors import DigitsError
from server.inference import Engine
from server.models import ModelStore
from server.samples.sample import NewSample, SampleSource
from server.samples.samples import Samples
from server.samples.unpack import Archive, unpack

# Read at a time: between two lots others get on.
CHUNK = 64


def import_samples(
    samples: Samples,
    store: ModelStore,
    file: IO[bytes],
    deployed: Callable[[], int],
    is_wanted: Callable[[], bool],
) -> tuple[int, int, int]:
    """Add the samples of the archive in `file`: how many were added, were here already, and are here now.

    What was read in a sample is kept where the version that read it is here; elsewhere a number means another
    version, and the deployed one reads the sample. `is_wanted` is asked now and then whether to go on;
    CancelledError is raised when not, and nothing was added. Raises InvalidArchive, SamplesFull; what
    `deployed` raises when it is needed.
    """
    archive = unpack(file)
    # Everything is looked at before the first one is added: the database is locked for a moment only.
    fingerprints = []
    for forms in archive.fingerprints():
        if not is_wanted():
            raise CancelledError
        fingerprints.append(forms)
    readings = _Readings(archive, store, deployed, is_wanted)

    def new_samples() -> Iterator[NewSample]:
        # An archive begins with the newest: it is to be the newest here as well.
        for index in reversed(range(len(archive))):
            if not is_wanted():
                raise CancelledError
            yield NewSample(
                label=int(archive.arrays["label"][index]),
                drawing=archive.drawing(index),
                pixels=archive.arrays["pixels"][index],
                fingerprints=fingerprints[index],
                predicted_digit=int(readings.digits[index]),
                confidence=float(readings.confidences[index]),
                model_version=int(readings.versions[index]),
                source=SampleSource.IMPORTED,
            )

    return samples.add_all(new_samples())


class _Readings:
    """What was read in each of N samples, and by which version of this server."""

    def __init__(
        self,
        archive: Archive,
        store: ModelStore,
        deployed: Callable[[], int],
        is_wanted: Callable[[], bool],
    ) -> None:
        self.digits: npt.NDArray[np.int64] = np.zeros(len(archive), np.int64)
        self.confidences: npt.NDArray[np.float64] = np.zeros(len(archive))
        self.versions: npt.NDArray[np.int64] = np.zeros(len(archive), np.int64)
        is_known = self._take(archive, store)
        if is_known.all():
            return
        version = deployed()
        engine = Engine(store.artifact_path(version))
        unread = np.flatnonzero(~is_known)
        for start in range(0, len(unread), CHUNK):
            if not is_wanted():
                raise CancelledError
            chunk = unread[start : start + CHUNK]
            answers = engine.probabilities(archive.arrays["pixels"][chunk])
            self.digits[chunk], self.confidences[chunk] = answers.argmax(axis=1), answers.max(axis=1)
        self.versions[unread] = version

    def _take(self, archive: Archive, store: ModelStore) -> npt.NDArray[np.bool_]:
        """Take what the archive tells of versions that are here: (N,) bool, of which samples it did."""
        names = ("predicted_digit", "confidence", "model_version", "artifact_sha256")
        if not all(name in archive.arrays for name in names):
            return np.zeros(len(archive), np.bool_)
        self.digits[:], self.confidences[:], self.versions[:] = (archive.arrays[name] for name in names[:3])
        artifacts = {int(version): _artifact(store, int(version)) for version in np.unique(self.versions)}
        told: Any = zip(self.versions.tolist(), archive.arrays["artifact_sha256"].tolist(), strict=True)
        return np.array([artifacts[version] == sha256 for version, sha256 in told], np.bool_)


def _artifact(store: ModelStore, version: int) -> bytes | None:
    """The checksum of a version's artifact; None when there is no such version."""
    try:
        return store.get(version).artifact.sha256.encode()
    except DigitsError:
        return None
