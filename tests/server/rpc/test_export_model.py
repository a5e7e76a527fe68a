"""Exports over a live channel, of forms that need no conversion. The others: tests/server/trainer."""

from __future__ import annotations

import hashlib
from typing import Any

import grpc
import pytest
from digits.v1 import model_pb2 as pb


def test_an_export_begins_with_what_it_is_and_its_chunks_are_the_file(stubs: Any) -> None:
    model = stubs.model.GetModel(pb.GetModelRequest(), timeout=60).model
    request = pb.ExportModelRequest(format=pb.EXPORT_FORMAT_ONNX)
    first, *others = stubs.model.ExportModel(request, timeout=60)
    assert first.WhichOneof("part") == "header"
    assert {one.WhichOneof("part") for one in others} == {"chunk"}
    header = first.header
    assert (header.model_version, header.file_name) == (
        model.model_version,
        f"digits-{model.model_version}.onnx",
    )
    data = b"".join(one.chunk for one in others)
    assert header.sha256 == hashlib.sha256(data).hexdigest() == model.artifact_sha256
    assert header.bytes == len(data) == model.artifact_bytes
    assert max(len(one.chunk) for one in others) <= 64 * 2**10


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({}, grpc.StatusCode.INVALID_ARGUMENT, "format"),
        ({"format": 9}, grpc.StatusCode.INVALID_ARGUMENT, "format"),
        ({"format": 1, "model_version": -1}, grpc.StatusCode.INVALID_ARGUMENT, "model_version"),
        ({"format": 1, "model_version": 99}, grpc.StatusCode.NOT_FOUND, ""),
        ({"format": 2, "model_version": 99}, grpc.StatusCode.NOT_FOUND, ""),
    ],
)
def test_what_cannot_be_exported_is_refused(
    stubs: Any, refused: Any, fields: dict[str, Any], code: grpc.StatusCode, field: str
) -> None:
    def export(request: pb.ExportModelRequest, timeout: float) -> Any:
        return list(stubs.model.ExportModel(request, timeout=timeout))

    refusal = refused(export, pb.ExportModelRequest(**fields))
    assert refusal.code is code
    if field:
        assert refusal.fields == [field]


def test_an_export_may_be_given_up(stubs: Any) -> None:
    call = stubs.model.ExportModel(pb.ExportModelRequest(format=pb.EXPORT_FORMAT_KERAS), timeout=60)
    next(iter(call))
    call.cancel()
    with pytest.raises(grpc.RpcError) as raised:
        list(call)
    assert raised.value.code() is grpc.StatusCode.CANCELLED
    # And the next one gets it whole.
    first, *others = stubs.model.ExportModel(pb.ExportModelRequest(format=pb.EXPORT_FORMAT_KERAS), timeout=60)
    assert sum(len(one.chunk) for one in others) == first.header.bytes
