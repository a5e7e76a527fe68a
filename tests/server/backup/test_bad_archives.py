"""An archive may come from anywhere: what is no whole backup is refused, and changes nothing."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from server.backup.archive import BadArchive
from server.backup.restore import restore_backup
from server.config import CannotStart

Run = Callable[..., "CompletedProcess[bytes]"]
FilesOf = Callable[[Path], dict[str, bytes]]
WEIGHTS = "models/000001/model.onnx"


def manifest(whole: Mapping[str, bytes], **changes: Any) -> tuple[str, bytes]:
    """The manifest that fits these files, or with changes does not."""
    records = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for name, data in whole.items()
    }
    values = {"format": 1, "made": "2026-01-02T03:04:05+00:00", "revision": "0003", "files": records}
    return "manifest.json", json.dumps({**values, **changes}).encode()


def pack(*entries: tuple[str, bytes] | tarfile.TarInfo) -> bytes:
    """A .tar.gz of these entries, whatever they are."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for entry in entries:
            if isinstance(entry, tarfile.TarInfo):
                tar.addfile(entry)
                continue
            info = tarfile.TarInfo(entry[0])
            info.size = len(entry[1])
            tar.addfile(info, io.BytesIO(entry[1]))
    return gzip.compress(file.getvalue())


def link(name: str, target: str, kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def announced(name: str, size: int) -> tuple[str, bytes]:
    """A manifest of one file that is said to be of this size."""
    return manifest({}, files={name: {"sha256": "0" * 64, "bytes": size}})


def headed(name: str, kind: bytes, size: int) -> bytes:
    """An archive whose first entry says that it is this large, and brings nothing of it."""
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return gzip.compress(info.tobuf(tarfile.GNU_FORMAT))


HALF = b"\x01" * 5000
BAD: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "damaged, or was cut off"),
    "no archive": (b"no archive" * 100, "damaged, or was cut off"),
    "another archive": (pack(("readme.txt", b"hello")), "whose first file is manifest.json"),
    "a manifest alone": (pack(manifest({WEIGHTS: HALF})), "1 of its files are missing"),
    "a manifest that is no JSON": (pack(("manifest.json", b"{")), "makes no sense"),
    "a deep manifest": (pack(("manifest.json", b"[" * 10**6)), "makes no sense"),
    "another format": (pack(manifest({}, format=2)), "expected a backup of format 1, got 2"),
    "a file that is not announced": (pack(manifest({}), (WEIGHTS, HALF)), "is not what its manifest.json"),
    "a file that comes twice": (
        pack(manifest({WEIGHTS: HALF}), (WEIGHTS, HALF), (WEIGHTS, HALF)),
        "is not what its manifest.json",
    ),
    "a file of another size": (pack(announced(WEIGHTS, 3), (WEIGHTS, HALF)), "is not what its manifest.json"),
    "a file of another content": (pack(announced(WEIGHTS, 5000), (WEIGHTS, HALF)), "is damaged"),
    "a file that is a folder too": (
        pack(manifest({"models/a": b"1", "models/a/b": b"2"}), ("models/a", b"1"), ("models/a/b", b"2")),
        "is a file and a folder in it",
    ),
    "no database": (pack(manifest({WEIGHTS: HALF}), (WEIGHTS, HALF)), "it holds no digits.db"),
    "a database that is none": (
        pack(manifest({"digits.db": HALF}), ("digits.db", HALF)),
        "its digits.db is damaged",
    ),
    "a path upwards": (
        pack(manifest({"models/../../evil": b"1"}), ("models/../../evil", b"1")),
        "is no file of a data folder",
    ),
    "an absolute path": (pack(manifest({"/tmp/evil": b"1"})), "is no file of a data folder"),
    "a path of another system": (pack(manifest({"models\\..\\evil": b"1"})), "is no file of a data folder"),
    "a path to something else": (pack(manifest({"server.lock": b"1"})), "is no file of a data folder"),
    "a hidden half of a restore": (pack(manifest({".restore/moving-in": b"1"})), "is no file of a data"),
    "a symbolic link": (
        pack(manifest({WEIGHTS: HALF}), link(WEIGHTS, "/etc/passwd", tarfile.SYMTYPE)),
        "expected plain files only",
    ),
    "a hard link": (
        pack(manifest({WEIGHTS: HALF}), link(WEIGHTS, "/etc/passwd", tarfile.LNKTYPE)),
        "expected plain files only",
    ),
    "a device": (
        pack(manifest({WEIGHTS: b""}), link(WEIGHTS, "", tarfile.CHRTYPE)),
        "expected plain files only",
    ),
    "more than the disk has room for": (pack(announced(WEIGHTS, 2**43)), "and there is room for"),
    "more than any disk has room for": (pack(announced(WEIGHTS, 10**4000)), "tells no size and checksum"),
    "a size below nothing": (pack(announced(WEIGHTS, -1)), "tells no size and checksum"),
    "a checksum that is none": (
        pack(manifest({}, files={WEIGHTS: {"sha256": "../../x", "bytes": 1}})),
        "tells no size and checksum",
    ),
    "too many files": (
        pack(manifest({}, files={f"logs/{n}": {"sha256": "", "bytes": 0} for n in range(250_001)})),
        "expected at most 250,000 files",
    ),
    "a manifest that is too large": (headed("manifest.json", tarfile.REGTYPE, 2**40), "whose first file is"),
    "a long name that is too long": (headed("x", tarfile.GNUTYPE_LONGNAME, 2**40), "plain files only"),
    "notes on a file without end": (headed("x", tarfile.XHDTYPE, 2**40), "plain files only"),
    "a sparse file": (headed("x", tarfile.GNUTYPE_SPARSE, 2**40), "plain files only"),
    "zeros without end behind it": (
        gzip.compress(gzip.decompress(pack(manifest({}))) + bytes(2**20)),
        "something stands behind its end",
    ),
}


def refused(data: Path, archive: bytes) -> str:
    """Why an archive is not taken for a backup; empty when it is, and has become the data."""
    try:
        restore_backup(data, io.BytesIO(archive), True, lambda size: None)
    except BadArchive as error:
        assert not (data / ".restore").exists()
        return str(error)
    return ""


@pytest.mark.parametrize("what", BAD)
def test_what_is_no_whole_backup_is_refused_and_nothing_is_changed(
    what: str, data: Path, files_of: FilesOf
) -> None:
    archive, why = BAD[what]
    before = files_of(data)
    assert why in (said := refused(data, archive))
    assert len(said) < 500
    assert files_of(data) == before
    assert list(data.parent.iterdir()) == [data]


def test_the_command_says_so_in_one_sentence(run: Run, data: Path) -> None:
    ended = run(data, "restore", "--replace", "-", stdin=b"no archive")
    assert ended.returncode == 1
    assert ended.stderr.startswith(b"digits: -: this is no whole backup: it is damaged, or was cut off (")
    assert ended.stderr.endswith(b"). Nothing was changed\n")
    assert ended.stderr.count(b"\n") == 1


@pytest.mark.parametrize("share", [0.05, 0.5, 0.9, 0.999])
def test_a_backup_that_was_cut_off_is_refused(
    share: float, data: Path, archive: bytes, files_of: FilesOf
) -> None:
    before = files_of(data)
    assert "damaged, or was cut off" in refused(data, archive[: int(len(archive) * share)])
    assert files_of(data) == before


def test_a_flipped_bit_anywhere_is_noticed_or_makes_no_difference(
    data: Path, archive: bytes, files_of: FilesOf, tmp_path: Path
) -> None:
    whole = tmp_path / "whole"
    assert refused(whole, archive) == ""
    noticed = 0
    for place in range(0, len(archive), max(1, len(archive) // 40)):
        damaged = bytearray(archive)
        damaged[place] ^= 0x08
        folder = tmp_path / f"at-{place}"
        if refused(folder, bytes(damaged)):
            noticed += 1
        else:
            # Where zeros are copied from, for example: from elsewhere they are the same zeros.
            assert files_of(folder) == files_of(whole)
    assert noticed >= 30


def test_a_backup_of_a_newer_release_is_refused(data: Path, archive: bytes, files_of: FilesOf) -> None:
    before = files_of(data)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        entries = [(member.name, tar.extractfile(member).read()) for member in tar]  # type: ignore[union-attr]
    values = {**json.loads(entries[0][1]), "revision": "9876"}
    newer = pack(("manifest.json", json.dumps(values).encode()), *entries[1:])

    with pytest.raises(CannotStart, match="is of a newer release: expected a revision up to"):
        restore_backup(data, io.BytesIO(newer), True, lambda size: None)

    assert files_of(data) == before
