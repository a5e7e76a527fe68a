"""Descriptions that parse and make no sense: each is told of by itself, and spoils nothing of the others.

A checksum keeps nobody from writing one: versions from before there was any go without, and whoever makes a
version by hand brings his own.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from digits.v1 import model_pb2 as pb
from digits.v1 import model_pb2_grpc

from server.errors import ModelCorrupt
from server.models import ModelStore
from server.models.version import CHECKSUM, description_checksum

Values = dict[str, Any]


def without(*path: str) -> Callable[[Values], None]:
    """The description without a value."""

    def change(values: Values) -> None:
        for name in path[:-1]:
            values = values[name]
        del values[path[-1]]

    return change


def put(value: object, *path: Any) -> Callable[[Values], None]:
    """The description with another value."""

    def change(values: Values) -> None:
        for name in path[:-1]:
            values = values[name]
        values[path[-1]] = value

    return change


CHANGES: dict[str, Callable[[Values], None]] = {
    "incomplete options": without("options", "augmentation"),
    "no options": put({}, "options"),
    "options that are a list": put([], "options"),
    "an unknown option": put(1, "options", "dropout"),
    "an impossible option": put("seven", "options", "epochs"),
    "an unknown choice": put("transformer", "options", "architecture"),
    "a number as a text": put("55000", "train_images"),
    "a count below nothing": put(-1, "validation_images"),
    "a count beyond the contract's": put(2**40, "samples"),
    "more parameters than can be told": put(2**70, "parameters"),
    "a truth for a number": put(True, "parameters"),
    "a text as a number": put(7, "recipe"),
    "no text": put(None, "description"),
    "half a character": put("\ud800", "description"),
    "a text without end": put("x" * 100_000, "command"),
    "a share above one": put(1.5, "validation_accuracy"),
    "a share that is no number": put(float("nan"), "uncertain_below"),
    "an infinite temperature": put(float("inf"), "temperature"),
    "a time without a zone": put("2026-01-02T03:04:05", "created"),
    "a time before all time": put("0001-01-01T00:00:00+14:00", "created"),
    "libraries that are a list": put(["numpy"], "libraries"),
    "a library without a version": put(None, "libraries", "numpy"),
    "a source without a checksum": put(None, "data_source", "sha256"),
    "strokes that are a text": put("all", "pen_strokes"),
    "a negative base": put(-3, "base_version"),
    "a file with half a checksum": put("abc", "files", "model.onnx", "sha256"),
    "a file without a size": put(None, "files", "model.keras", "bytes"),
    "a loss as a text": put("low", "metrics", "loss"),
    "a loss that is no number": put(float("nan"), "metrics", "loss"),
    "fewer than no images": put(-5, "metrics", "images"),
    "a matrix of too large counts": put([[2**40] * 10] * 10, "metrics", "confusion_matrix"),
    "a matrix of impossible counts": put([[2**80] * 10] * 10, "metrics", "confusion_matrix"),
    "nine classes": lambda values: values["metrics"]["per_class"].pop(),
    "a class with too much": put(1, "metrics", "per_class", 3, "colour"),
    "a class without sense": put("good", "metrics", "per_class", 3, "recall"),
}


def rewrite(folder: Path, change: Callable[[Values], None], has_checksum: bool) -> None:
    """Change what a version's description tells, as somebody would who knows how."""
    path = folder / "version.json"
    values = json.loads(path.read_text())
    values.pop(CHECKSUM, None)
    change(values)
    told = {CHECKSUM: description_checksum(values)} if has_checksum else {}
    path.write_text(json.dumps({**values, **told}))


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("has_checksum", [True, False], ids=["with a checksum", "without"])
def test_a_description_without_sense_is_told_of_and_leaves_the_others_alone(
    store: ModelStore, save: Any, regression: Any, tmp_path: Path, what: str, has_checksum: bool
) -> None:
    save(store, regression)
    save(store, regression)
    rewrite(tmp_path / "models" / "000001", CHANGES[what], has_checksum)
    reopened = ModelStore(tmp_path / "models")

    assert [version.version for version in reopened.list()] == [2]
    assert list(reopened.unreadable()) == [1]
    with pytest.raises(ModelCorrupt, match=r"version 1: version\.json cannot be read"):
        reopened.get(1)


def test_a_description_that_is_nested_without_end_is_refused(
    store: ModelStore, save: Any, regression: Any, tmp_path: Path
) -> None:
    save(store, regression)
    (tmp_path / "models" / "000001" / "version.json").write_text('{"format": ' + "[" * 200_000)
    with pytest.raises(ModelCorrupt, match="version 1"):
        ModelStore(tmp_path / "models").get(1)


def test_a_version_from_before_there_was_a_checksum_is_read_as_it_is(
    store: ModelStore, save: Any, regression: Any, tmp_path: Path
) -> None:
    saved = save(store, regression)
    rewrite(tmp_path / "models" / "000001", lambda values: None, has_checksum=False)
    assert ModelStore(tmp_path / "models").get(1).artifact == saved.artifact


def test_a_server_starts_on_all_of_them_lists_the_rest_and_answers(
    launch_server: Any, add_version: Any
) -> None:
    server = launch_server(DIGITS_MNIST="")
    numbers = {add_version(server): what for what in CHANGES}
    whole = add_version(server)
    server.stop()
    for number, what in numbers.items():
        rewrite(server.data / "models" / f"{number:06d}", CHANGES[what], has_checksum=False)
    server.start()

    with server.channel() as channel:
        stub = model_pb2_grpc.ModelServiceStub(channel)
        listed = stub.ListModels(pb.ListModelsRequest(page_size=100), timeout=60)
        answering = stub.GetModel(pb.GetModelRequest(), timeout=60).model.model_version
    assert [model.model_version for model in listed.models] == [whole, 1]
    told = {lost.model_version: lost.damage.reason for lost in listed.unreadable_models}
    assert told.keys() == numbers.keys()
    assert all("version.json cannot be read" in reason for reason in told.values())
    assert answering == 1
