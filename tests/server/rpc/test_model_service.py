"""Versions over a live channel."""

from __future__ import annotations

import json
from typing import Any

import grpc
from digits.v1 import dataset_pb2
from digits.v1 import model_pb2 as pb


def test_the_shipped_version_answers_from_the_first_start_and_tells_where_it_came_from(stubs: Any) -> None:
    model = stubs.model.GetModel(pb.GetModelRequest(), timeout=60).model
    assert (model.model_version, model.is_deployed, model.is_shipped) == (1, True, True)
    assert model.evaluation.dataset == dataset_pb2.DATASET_MNIST_TEST
    assert model.evaluation.accuracy >= 0.993
    assert model.parameters < 1_000_000
    assert model.artifact_bytes < 4 * 1024 * 1024
    assert 0.3 < model.uncertain_below < 0.99
    assert 0 < model.evaluation.expected_calibration_error < 0.02
    provenance = model.provenance
    assert provenance.command
    assert provenance.training_images == 55_000
    assert list(provenance.training_partitions) == ["mnist_rest"]
    assert provenance.validation_images == 5000
    assert len(provenance.data_source.sha256) == 64


def test_versions_are_listed_newest_first(stubs: Any) -> None:
    reply = stubs.model.ListModels(pb.ListModelsRequest(), timeout=60)
    versions = [model.model_version for model in reply.models]
    assert versions == sorted(versions, reverse=True)
    assert reply.total_size == len(versions)


def test_deploying_what_is_deployed_changes_nothing(stubs: Any) -> None:
    reply = stubs.model.DeployModel(pb.DeployModelRequest(model_version=1), timeout=60)
    assert reply.model.is_deployed


def test_an_unknown_version_is_not_found(stubs: Any, refused: Any) -> None:
    for method, request in (
        (stubs.model.GetModel, pb.GetModelRequest(model_version=77)),
        (stubs.model.DeployModel, pb.DeployModelRequest(model_version=77)),
    ):
        refusal = refused(method, request)
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND")


def test_deploying_needs_a_version(stubs: Any, refused: Any) -> None:
    refusal = refused(stubs.model.DeployModel, pb.DeployModelRequest())
    assert (refusal.code, refusal.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ["model_version"])


def test_a_data_directory_from_before_there_was_a_calibration_serves_on(
    launch_server: Any, stubs_of: Any
) -> None:
    server = launch_server(DIGITS_MNIST="")
    server.stop()
    description = server.data / "models" / "000001" / "version.json"
    values = json.loads(description.read_text())
    for values_of, name in (
        (values, "temperature"),
        (values, "uncertain_below"),
        (values, "description_sha256"),
        (values["metrics"], "expected_calibration_error"),
    ):
        values_of.pop(name, None)
    description.write_text(json.dumps(values))
    for path in server.data.glob("digits.db*"):
        path.unlink()
    server.start()

    model = stubs_of(server).model.GetModel(pb.GetModelRequest(), timeout=60).model
    assert (model.model_version, model.uncertain_below) == (1, 0.5)
    assert model.evaluation.accuracy >= 0.993
    assert not model.evaluation.HasField("expected_calibration_error")


def test_a_damaged_version_is_refused_and_the_old_one_answers_on(
    launch_server: Any, stubs_of: Any, refused: Any
) -> None:
    server = launch_server(DIGITS_MNIST="")
    shipped = server.data / "models" / "000001"
    copy = server.data / "models" / "000002"
    copy.mkdir()
    for path in shipped.iterdir():
        data = bytearray(path.read_bytes())
        if path.name == "model.onnx":
            data[len(data) // 2] ^= 1
        (copy / path.name).write_bytes(data)
    stubs = stubs_of(server)
    refusal = refused(stubs.model.DeployModel, pb.DeployModelRequest(model_version=2))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "MODEL_CORRUPT")
    assert stubs.model.GetModel(pb.GetModelRequest(), timeout=60).model.model_version == 1


def test_what_is_wrong_with_a_version_is_told_with_it_or_in_its_place(
    launch_server: Any, add_version: Any, stubs_of: Any, refused: Any
) -> None:
    server = launch_server(DIGITS_MNIST="")
    stubs = stubs_of(server)
    for number, damaged in ((2, "model.onnx"), (3, "model.keras"), (4, "version.json")):
        assert add_version(server) == number
        (server.data / "models" / f"00000{number}" / damaged).write_bytes(b"damaged")

    listed = stubs.model.ListModels(pb.ListModelsRequest(page_size=2), timeout=60)
    wrong = {model.model_version: model.damage for model in listed.models if model.HasField("damage")}
    assert {number: damage.can_answer for number, damage in wrong.items()} == {2: False, 3: True}
    assert wrong[2].reason == "version 2: model.onnx is damaged: 7 bytes of 661,397"
    assert [(lost.model_version, lost.damage.can_answer) for lost in listed.unreadable_models] == [(4, False)]
    assert listed.total_size == 3
    rest = pb.ListModelsRequest(page_size=2, page_token=listed.next_page_token)
    assert stubs.model.ListModels(rest, timeout=60).unreadable_models == listed.unreadable_models
    one = stubs.model.GetModel(pb.GetModelRequest(model_version=2), timeout=60).model
    assert one.damage == wrong[2]
    assert not stubs.model.GetModel(pb.GetModelRequest(), timeout=60).model.HasField("damage")
    refusal = refused(stubs.model.GetModel, pb.GetModelRequest(model_version=4))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "MODEL_CORRUPT")
    stubs.model.DeleteModel(pb.DeleteModelRequest(model_version=4), timeout=60)
    assert not stubs.model.ListModels(pb.ListModelsRequest(), timeout=60).unreadable_models
