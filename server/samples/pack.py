"""From samples to an archive, in a file on the disk: memory holds one drawing at a time."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import ExitStack
from datetime import datetime
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from server.errors import DigitsError
from server.models import ModelStore
from server.samples.archive import NPZ, as_png, drawing_name
from server.samples.sample import SIDE, Sample, SampleFilter
from server.samples.samples import Samples


def pack(
    samples: Samples, store: ModelStore, chosen: SampleFilter, is_wanted: Callable[[], bool]
) -> IO[bytes]:
    """An archive of the samples that pass a filter, as they are at one instant, open at its beginning.

    It lies in the samples' folder without a name and is gone once it is closed, however this process ends.
    `is_wanted` is asked for each sample whether to go on; CancelledError is raised when not.
    """
    with ExitStack() as on_failure:
        file = on_failure.enter_context(tempfile.TemporaryFile(dir=samples.folder))
        with tempfile.TemporaryFile(dir=samples.folder) as pixels, zipfile.ZipFile(file, "w") as archive:
            columns = _Columns(store)
            with samples.all_of(chosen) as found:
                for sample in found:
                    if not is_wanted():
                        raise CancelledError
                    assert sample.drawing is not None
                    # A PNG is packed already.
                    archive.writestr(drawing_name(sample.sample_id), as_png(sample.drawing))
                    pixels.write(sample.pixels.tobytes())
                    columns.add(sample)
            pixels.seek(0)
            with archive.open(NPZ, "w", force_zip64=True) as member:
                _write_npz(member, columns, pixels)
        file.seek(0)
        on_failure.pop_all()
        return file


class _Columns:
    """What is told of each sample beside its pixels."""

    def __init__(self, store: ModelStore) -> None:
        self._store = store
        self._artifacts: dict[int, bytes] = {}
        self.rows: list[tuple[Any, ...]] = []

    def add(self, sample: Sample) -> None:
        self.rows.append(
            (
                sample.sample_id,
                sample.label,
                sample.predicted_digit,
                sample.confidence,
                sample.model_version,
                self._artifact(sample.model_version),
                _moment(sample.created),
                _moment(sample.updated),
                sample.source.value,
                sample.use.value,
            )
        )

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """By name, (N,) each."""
        types = {
            "sample_id": "U24",
            "label": "u1",
            "predicted_digit": "u1",
            "confidence": "f4",
            "model_version": "i4",
            "artifact_sha256": "S64",
            "create_time": "M8[us]",
            "update_time": "M8[us]",
            "source": "U8",
            "use": "U8",
        }
        columns = zip(*self.rows, strict=True) if self.rows else [()] * len(types)
        return {
            name: np.array(column, dtype)
            for (name, dtype), column in zip(types.items(), columns, strict=True)
        }

    def _artifact(self, version: int) -> bytes:
        """What tells a version from others of its number, on other servers; empty when it is gone."""
        if version not in self._artifacts:
            try:
                self._artifacts[version] = self._store.get(version).artifact.sha256.encode()
            except DigitsError:
                self._artifacts[version] = b""
        return self._artifacts[version]


def _moment(moment: datetime | None) -> np.datetime64:
    """UTC, to the microsecond; not-a-time for None."""
    return np.datetime64("NaT", "us") if moment is None else np.datetime64(moment.replace(tzinfo=None), "us")


def _write_npz(file: IO[bytes], columns: _Columns, pixels: IO[bytes]) -> None:
    """What `np.savez_compressed` would write, the pixels copied from a file: 784 bytes of each sample."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as npz:
        for name, array in columns.arrays().items():
            with npz.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
        with npz.open("pixels.npy", "w", force_zip64=True) as member:
            shape = (len(columns.rows), SIDE, SIDE)
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(member, header)
            shutil.copyfileobj(pixels, member)
