"""Every file of a version is looked at: what is not as it was saved is told, and what follows from it."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from server.errors import ModelCorrupt, ModelNotFound
from server.models import ModelStore, ModelVersion, damage
from server.models import version as version_module

Save = Callable[..., ModelVersion]
FILES = ("model.onnx", "model.keras", "probabilities.npz", "version.json")


def flip(path: Path, place: int) -> None:
    """Flip a bit, as a bad disk would: no time of the file tells of it."""
    status = path.stat()
    data = bytearray(path.read_bytes())
    data[place] ^= 0x04
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_flipped_bit_in_any_file_is_told_when_the_server_starts(
    name: str, share: float, store: ModelStore, save: Save, regression: Any, tmp_path: Path
) -> None:
    save(store, regression)
    assert store.damage(1) is None
    path = tmp_path / "models" / "000001" / name
    flip(path, int(path.stat().st_size * share))

    found = ModelStore(tmp_path / "models").damage(1)

    assert found is not None
    assert found.reason.startswith(f"version 1: {name} ")
    assert found.can_answer is (name in ("model.keras", "probabilities.npz"))


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_told(
    name: str, store: ModelStore, save: Save, regression: Any, tmp_path: Path
) -> None:
    save(store, regression)
    (tmp_path / "models" / "000001" / name).unlink()
    for looking in (store, ModelStore(tmp_path / "models")):
        found = looking.damage(1)
        assert found is not None
        assert name in found.reason


def test_every_fault_is_named(store: ModelStore, save: Save, regression: Any, tmp_path: Path) -> None:
    save(store, regression)
    (tmp_path / "models" / "000001" / "model.onnx").write_bytes(b"short")
    (tmp_path / "models" / "000001" / "model.keras").unlink()
    found = store.damage(1)
    assert found is not None
    assert "model.onnx is damaged: 5 bytes of" in found.reason
    assert "; model.keras is missing" in found.reason
    assert found.reason.count("version 1") == 1


def test_what_was_whole_is_looked_at_again_after_a_while_and_at_once_when_a_file_was_written(
    store: ModelStore, save: Save, regression: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(store, regression)
    path = tmp_path / "models" / "000001" / "model.onnx"
    assert store.damage(1) is None
    flip(path, 100)
    assert store.damage(1) is None  # Nothing tells of it yet.
    monkeypatch.setattr(damage, "BELIEVED_S", 0.0)
    assert store.damage(1) is not None
    monkeypatch.undo()
    flip(path, 100)
    path.touch()
    assert store.damage(1) is None


def test_a_file_that_could_not_be_read_for_a_moment_is_not_called_damaged_for_long(
    store: ModelStore, save: Save, regression: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(store, regression)

    def away(path: Path) -> str:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as spoilt:
        spoilt.setattr(version_module, "sha256_of", away)
        assert store.damage(1) is not None
    monkeypatch.setattr(damage, "DAMAGE_BELIEVED_S", 0.0)
    assert store.damage(1) is None


def test_a_description_that_was_changed_by_hand_is_refused(
    store: ModelStore, save: Save, regression: Any, tmp_path: Path
) -> None:
    save(store, regression)
    path = tmp_path / "models" / "000001" / "version.json"
    values = json.loads(path.read_text())
    values["metrics"]["accuracy"] = 1.0
    path.write_text(json.dumps(values))
    with pytest.raises(ModelCorrupt, match="its checksum is not that of what was saved"):
        ModelStore(tmp_path / "models").get(1)


def test_versions_whose_description_is_lost_are_told_apart_from_those_that_are_gone(
    store: ModelStore, save: Save, regression: Any, tmp_path: Path
) -> None:
    for _ in range(3):
        save(store, regression)
    (tmp_path / "models" / "000002" / "version.json").unlink()
    shutil.rmtree(tmp_path / "models" / "000003")
    reopened = ModelStore(tmp_path / "models")
    assert [(number, found.can_answer) for number, found in reopened.unreadable().items()] == [(2, False)]
    assert [version.version for version in reopened.list()] == [1]
    with pytest.raises(ModelNotFound):
        reopened.damage(3)
