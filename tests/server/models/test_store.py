"""The model store: whole versions or none, numbers that never come back, files that are what they were."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from server.datasets import Data
from server.errors import ModelCorrupt, ModelNotFound
from server.inference import Engine
from server.metrics import measure
from server.models import ModelStore, ModelVersion, write_version

Save = Callable[..., ModelVersion]
Complete = Callable[..., Path]


def test_the_first_version_is_number_one_and_carries_what_it_was_written_with(
    store: ModelStore, save: Save, regression: Any, builtin_data: Data
) -> None:
    version = save(store, regression, recipe="cnn", training_id="t1", validation_accuracy=0.875)

    assert version.version == 1
    assert (version.recipe, version.training_id, version.validation_accuracy) == ("cnn", "t1", 0.875)
    assert version.options["learning_rate"] == 0.5
    assert version.data_source == builtin_data.source
    assert version.train_partitions == builtin_data.split(use_all=False).train_partitions
    assert version.created.utcoffset() is not None
    assert version.metrics.images == 1000
    assert version.metrics.accuracy > 0.8
    assert version.artifact.bytes == (store.artifact_path(1)).stat().st_size


def test_a_version_reads_the_same_after_a_restart(
    store: ModelStore, save: Save, regression: Any, tmp_path: Path
) -> None:
    saved = save(store, regression)
    read = ModelStore(tmp_path / "models").get(1)

    assert read.metrics.to_json() == saved.metrics.to_json()
    assert {**vars(read), "metrics": None} == {**vars(saved), "metrics": None}


def test_a_version_says_when_to_doubt_it(store: ModelStore, save: Save, regression: Any) -> None:
    version = save(store, regression, temperature=1.25, uncertain_below=0.625)
    assert (version.temperature, version.uncertain_below) == (1.25, 0.625)
    assert store.uncertain_below(1) == 0.625
    with pytest.raises(ModelNotFound):
        store.uncertain_below(2)


def test_a_version_from_before_there_was_a_calibration_is_read_with_neutral_values(
    store: ModelStore, save: Save, regression: Any, tmp_path: Path
) -> None:
    new = save(store, regression, temperature=1.25, uncertain_below=0.625)
    description = tmp_path / "models" / "000001" / "version.json"
    values = json.loads(description.read_text())
    del values["temperature"], values["uncertain_below"], values["description_sha256"]
    del values["metrics"]["expected_calibration_error"]
    description.write_text(json.dumps(values))

    old = ModelStore(tmp_path / "models").get(1)
    assert (old.temperature, old.uncertain_below) == (1.0, 0.5)
    assert old.metrics.expected_calibration_error is None
    assert old.metrics.accuracy == new.metrics.accuracy


def test_a_version_keeps_its_answers_on_its_own_test_set(
    store: ModelStore, save: Save, regression: Any, builtin_data: Data
) -> None:
    version = save(store, regression)

    test = builtin_data.dataset(version.test_dataset)
    expected = Engine(store.artifact_path(1)).probabilities(test.images)
    np.testing.assert_array_equal(store.probabilities(1), expected)


def test_only_a_version_without_a_training_is_a_shipped_one(
    store: ModelStore, save: Save, regression: Any
) -> None:
    assert save(store, regression, training_id="", command="python -m make").is_shipped
    assert not save(store, regression, training_id="t1").is_shipped


def test_versions_are_listed_oldest_first(store: ModelStore, save: Save, regression: Any) -> None:
    assert store.list() == ()
    for _ in range(3):
        save(store, regression)
    assert [version.version for version in store.list()] == [1, 2, 3]


@pytest.mark.parametrize("number", [0, -1, 2])
def test_a_version_that_does_not_exist_is_not_found(
    store: ModelStore, save: Save, regression: Any, number: int
) -> None:
    save(store, regression)
    for ask in (store.get, store.artifact_path, store.probabilities):
        with pytest.raises(ModelNotFound):
            ask(number)


def test_the_number_of_a_deleted_version_never_comes_back(
    store: ModelStore, save: Save, regression: Any, tmp_path: Path
) -> None:
    save(store, regression)
    save(store, regression)
    shutil.rmtree(tmp_path / "models" / "000002")

    with pytest.raises(ModelNotFound):
        store.get(2)
    assert save(ModelStore(tmp_path / "models"), regression).version == 3


def test_a_deleted_version_is_gone_at_once_and_its_files_with_the_cleaning(
    store: ModelStore, save: Save, regression: Any, tmp_path: Path
) -> None:
    save(store, regression)
    save(store, regression)
    store.delete(2)
    assert [version.version for version in store.list()] == [1]
    with pytest.raises(ModelNotFound):
        store.artifact_path(2)
    assert store.deleted() == (2,)
    store.clean_deleted()
    assert store.deleted() == ()
    assert list((tmp_path / "models" / ".staging").iterdir()) == []
    for number in (2, 0, -1, 77):
        with pytest.raises(ModelNotFound):
            store.delete(number)


@pytest.mark.parametrize(
    ("step", "read"),
    [
        ("read_version", ModelStore.get),
        ("verify_file", ModelStore.probabilities),
        ("sha256_of", ModelStore.artifact_path),
    ],
)
def test_a_version_deleted_between_two_steps_of_reading_it_is_not_found(
    store: ModelStore,
    save: Save,
    regression: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    step: str,
    read: Callable[[ModelStore, int], object],
) -> None:
    save(store, regression)
    reader = ModelStore(tmp_path / "models")
    module = sys.modules["server.models.version" if step == "sha256_of" else "server.models.stored"]
    done = getattr(module, step)

    def beside_a_deletion(*arguments: Any) -> Any:
        result = done(*arguments) if step == "verify_file" else None
        store.delete(1)
        return result or done(*arguments)

    monkeypatch.setattr(module, step, beside_a_deletion)
    with pytest.raises(ModelNotFound):
        read(reader, 1)


def test_versions_saved_at_once_get_numbers_of_their_own(
    store: ModelStore, complete: Complete, regression: Any
) -> None:
    folders = [complete(store.staging(f"t{number}"), regression) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        versions = list(pool.map(store.commit, folders))
    assert sorted(version.version for version in versions) == list(range(1, 9))


@pytest.mark.parametrize("name", ["model.onnx", "model.keras", "probabilities.npz"])
def test_a_version_whose_files_changed_before_it_was_saved_is_refused(
    store: ModelStore, complete: Complete, regression: Any, name: str
) -> None:
    staging = complete(store.staging("t1"), regression)
    (staging / name).write_bytes(b"something else")

    with pytest.raises(ModelCorrupt, match=name):
        store.commit(staging)
    assert store.list() == ()


def test_a_staging_folder_that_was_never_completed_is_refused(store: ModelStore, regression: Any) -> None:
    staging = store.staging("t1")
    regression.write(staging / "model.onnx")
    with pytest.raises(ModelCorrupt, match=r"version\.json"):
        store.commit(staging)


def test_what_a_version_does_not_name_does_not_come_along(
    store: ModelStore, complete: Complete, regression: Any, tmp_path: Path
) -> None:
    staging = complete(store.staging("t1"), regression)
    (staging / "checkpoints").mkdir()
    (staging / "scratch.bin").write_bytes(b"1")
    store.commit(staging)

    names = {path.name for path in (tmp_path / "models" / "000001").iterdir()}
    assert names == {"model.onnx", "model.keras", "probabilities.npz", "version.json"}


@pytest.mark.parametrize("damage", [b"", b"short", None])
def test_an_artifact_damaged_on_the_disk_is_never_served(
    store: ModelStore, save: Save, regression: Any, damage: bytes | None
) -> None:
    save(store, regression)
    path = store.artifact_path(1)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1  # One bit, the same length.
    path.write_bytes(content if damage is None else damage)

    with pytest.raises(ModelCorrupt, match=r"version 1: model\.onnx"):
        store.artifact_path(1)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": 2}', '{"format": 1, "files": {}}'])
def test_a_version_with_a_damaged_description_is_refused_and_left_out_of_the_list(
    store: ModelStore, save: Save, regression: Any, tmp_path: Path, text: str
) -> None:
    save(store, regression)
    save(store, regression)
    (tmp_path / "models" / "000001" / "version.json").write_text(text)
    reopened = ModelStore(tmp_path / "models")

    with pytest.raises(ModelCorrupt, match="version 1"):
        reopened.get(1)
    assert [version.version for version in reopened.list()] == [2]


def test_a_description_that_names_files_outside_its_folder_is_refused(
    store: ModelStore, save: Save, regression: Any, tmp_path: Path
) -> None:
    save(store, regression)
    description = tmp_path / "models" / "000001" / "version.json"
    description.write_text(description.read_text().replace('"files": {', '"files": {"../x": {}, ', 1))
    with pytest.raises(ModelCorrupt):
        ModelStore(tmp_path / "models").get(1)


@pytest.mark.parametrize("name", ["", "..", "a/b", "/etc", "a b"])
def test_a_staging_folder_outside_the_store_is_refused(store: ModelStore, name: str) -> None:
    with pytest.raises(ValueError, match="expected an id"):
        store.staging(name)


def test_a_staging_folder_is_empty_even_after_a_run_that_died(store: ModelStore) -> None:
    (store.staging("t1") / "model.onnx").write_bytes(b"half")
    assert list(store.staging("t1").iterdir()) == []


def test_a_start_clears_away_what_interrupted_runs_left(
    store: ModelStore, save: Save, regression: Any, tmp_path: Path
) -> None:
    save(store, regression)
    (store.staging("t2") / "model.onnx").write_bytes(b"half")
    store.clean_staging()

    assert list((tmp_path / "models" / ".staging").iterdir()) == []
    assert [version.version for version in store.list()] == [1]


def test_answers_that_belong_to_other_metrics_are_refused(
    store: ModelStore, save: Save, regression: Any, tmp_path: Path
) -> None:
    version = save(store, regression)
    probabilities = store.probabilities(1)
    with pytest.raises(ValueError, match=r"expected \(1000, 10\) float32"):
        write_version(tmp_path, version, version.metrics, probabilities[:10])
    with pytest.raises(ValueError, match="float64"):
        write_version(tmp_path, version, version.metrics, probabilities.astype(np.float64))


def test_a_version_without_its_model_files_cannot_be_written(
    store: ModelStore, save: Save, regression: Any, tmp_path: Path
) -> None:
    version = save(store, regression)
    with pytest.raises(FileNotFoundError):
        write_version(tmp_path, version, version.metrics, store.probabilities(1))


def test_the_shipped_version_becomes_the_first_and_is_installed_once(
    store: ModelStore, save: Save, complete: Complete, regression: Any, beginner: Any, tmp_path: Path
) -> None:
    (tmp_path / "shipped").mkdir()
    shipped = complete(tmp_path / "shipped", regression, training_id="", command="python -m make")

    assert store.install_shipped(shipped) == 1
    save(store, beginner)
    assert ModelStore(tmp_path / "models").install_shipped(shipped) == 1
    assert [version.is_shipped for version in store.list()] == [True, False]


def test_a_newer_shipped_version_gets_a_number_of_its_own(
    store: ModelStore, complete: Complete, regression: Any, beginner: Any, tmp_path: Path
) -> None:
    for name, model in (("old", beginner), ("new", regression)):
        (tmp_path / name).mkdir()
        complete(tmp_path / name, model, training_id="")
    assert store.install_shipped(tmp_path / "old") == 1
    assert store.install_shipped(tmp_path / "new") == 2
    assert store.install_shipped(tmp_path / "new") == 2


def test_a_damaged_copy_of_the_shipped_version_is_replaced_by_a_new_one(
    store: ModelStore, complete: Complete, regression: Any, tmp_path: Path
) -> None:
    (tmp_path / "shipped").mkdir()
    shipped = complete(tmp_path / "shipped", regression)
    store.install_shipped(shipped)
    store.artifact_path(1).write_bytes(b"damaged")

    assert store.install_shipped(shipped) == 2
    assert store.install_shipped(shipped) == 2
    assert store.artifact_path(2).read_bytes() == (shipped / "model.onnx").read_bytes()


def test_a_damaged_shipped_version_is_refused(
    store: ModelStore, complete: Complete, regression: Any, tmp_path: Path
) -> None:
    (tmp_path / "shipped").mkdir()
    shipped = complete(tmp_path / "shipped", regression)
    (shipped / "model.onnx").write_bytes(b"damaged")
    with pytest.raises(ModelCorrupt):
        store.install_shipped(shipped)
    assert store.list() == ()


# Commits the staged version in one child after the other; the n-th child dies at its n-th step on the file
# system, as a process does that is killed there. The last one gets through.
CRASHES = """
import os, pathlib, shutil, sys
from server.models import ModelStore

root, staged = map(pathlib.Path, sys.argv[1:])
STEPS = {"open", "os.rename", "os.remove", "os.mkdir", "os.listdir", "os.scandir", "shutil.rmtree"}


def die_at(step):
    left = step

    def count(event, arguments):
        nonlocal left
        if event in STEPS and str(arguments[0]).startswith(str(root)):
            left -= 1
            if not left:
                os._exit(9)

    sys.addaudithook(count)


step, expected, code = 0, 1, 9
while code:
    step += 1
    store = ModelStore(root)
    store.clean_staging()
    staging = store.staging("run")
    shutil.copytree(staged, staging, dirs_exist_ok=True)
    child = os.fork()
    if not child:
        die_at(step)
        store.commit(staging)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    reopened = ModelStore(root)
    reopened.clean_staging()
    versions = reopened.list()
    numbers = [version.version for version in versions]
    # Whole versions only, none lost, none twice under one number.
    assert numbers == list(range(1, len(numbers) + 1)), numbers
    assert len(numbers) - (expected - 1) in (0, 1), (numbers, expected)
    folders = sorted(path.name for path in root.iterdir() if path.name.isdigit())
    assert len(folders) == len(numbers), folders
    for number in numbers:
        reopened.artifact_path(number)
        reopened.probabilities(number)
    expected = len(numbers) + 1
assert code == 0 and numbers, (code, numbers)
print(step, len(numbers))
"""


def test_a_crash_at_any_instant_leaves_the_version_whole_or_not_there(
    complete: Complete, regression: Any, tmp_path: Path
) -> None:
    (tmp_path / "staged").mkdir()
    staged = complete(tmp_path / "staged", regression)
    outcome = subprocess.run(
        [sys.executable, "-c", CRASHES, tmp_path / "models", staged],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stderr
    steps, versions = map(int, outcome.stdout.split())
    # It died before the version was there, after, and at many instants in between.
    assert steps > 15
    assert 2 <= versions < steps


def test_metrics_are_measured_the_same_wherever(
    store: ModelStore, save: Save, regression: Any, builtin_data: Data
) -> None:
    version = save(store, regression)
    labels = builtin_data.dataset(version.test_dataset).labels
    assert measure(store.probabilities(1), labels).to_json() == version.metrics.to_json()
