"""SampleService: people's own labelled drawings."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence

from digits.client import records
from digits.client.call import Followed, Kind, Rpc, Terms, Unary, Upload, read, unary
from digits.client.messages import sample as messages
from digits.v1 import prediction_pb2
from digits.v1 import sample_pb2 as pb

ADD_SAMPLE = Rpc("SampleService/AddSample", pb.AddSampleResponse)
LIST_SAMPLES = Rpc("SampleService/ListSamples", pb.ListSamplesResponse)
UPDATE_SAMPLE = Rpc("SampleService/UpdateSample", pb.UpdateSampleResponse)
DELETE_SAMPLE = Rpc("SampleService/DeleteSample", pb.DeleteSampleResponse)
IMPORT_SAMPLES = Rpc("SampleService/ImportSamples", pb.ImportSamplesResponse)
EXPORT_SAMPLES = Rpc("SampleService/ExportSamples", pb.ExportSamplesResponse)
EVALUATE_SAMPLES = Rpc("SampleService/EvaluateSamples", pb.EvaluateSamplesResponse)

CHUNK_BYTES = 64 * 1024


def add_sample(
    image: bytes,
    label: int,
    *,
    model_version: int = 0,
    request_id: str = "",
    timeout_s: float | None = None,
) -> Unary[records.AddedSample]:
    """Keep an encoded image with the digit that it is. `model_version`: whose reading is kept beside it."""
    return _add(prediction_pb2.Image(encoded=image), label, model_version, request_id, timeout_s)


def add_sample_pixels(
    pixels: records.Pixels,
    label: int,
    *,
    model_version: int = 0,
    request_id: str = "",
    timeout_s: float | None = None,
) -> Unary[records.AddedSample]:
    """Keep a (28, 28) uint8 image, 0 = background, with the digit that it is."""
    return _add(prediction_pb2.Image(pixels=pixels.tobytes()), label, model_version, request_id, timeout_s)


def list_samples(
    samples: records.SampleFilter | None = None,
    *,
    with_drawings: bool = False,
    page_size: int = 100,
    page_token: str = "",
    timeout_s: float | None = None,
) -> Unary[records.Samples]:
    """The samples, newest first. `samples`: which ones, by default all."""
    request = pb.ListSamplesRequest(
        filter=messages.to_sample_filter(samples),
        with_drawings=with_drawings,
        page_size=page_size,
        page_token=page_token,
    )
    return read(LIST_SAMPLES, request, messages.samples, timeout_s)


def update_sample(sample_id: str, label: int, timeout_s: float | None = None) -> Unary[records.Sample]:
    """Say anew which digit a sample is."""
    request = pb.UpdateSampleRequest(sample_id=sample_id, label=label)
    terms = Terms(Kind.CHANGE, timeout_s, is_repeatable=True)
    return unary(UPDATE_SAMPLE, request, lambda response: messages.sample(response.sample), terms)


def delete_sample(sample_id: str, timeout_s: float | None = None) -> Unary[None]:
    """Forget a sample."""
    request = pb.DeleteSampleRequest(sample_id=sample_id)
    return unary(DELETE_SAMPLE, request, lambda response: None, Terms(Kind.CHANGE, timeout_s))


def import_samples(archive: bytes, timeout_s: float | None = None) -> Upload[records.ImportedSamples]:
    """Add the samples of an archive that `export_samples` gave: all of them or none."""

    def requests() -> Iterator[pb.ImportSamplesRequest]:
        for start in range(0, len(archive), CHUNK_BYTES):
            yield pb.ImportSamplesRequest(chunk=archive[start : start + CHUNK_BYTES])

    return Upload(IMPORT_SAMPLES, requests, messages.imported_samples, Terms(Kind.TRANSFER, timeout_s))


def export_samples(
    samples: records.SampleFilter | None = None, timeout_s: float | None = None
) -> Followed[bytes]:
    """The samples, all or some, as the parts of a zip archive: `b"".join(client.export_samples())`."""
    request = pb.ExportSamplesRequest(filter=messages.to_sample_filter(samples))
    terms = Terms(Kind.TRANSFER, timeout_s, is_repeatable=True)
    return Followed(EXPORT_SAMPLES, request, _chunk, terms)


def evaluate_samples(
    model_versions: Sequence[int] = (), timeout_s: float | None = None
) -> Unary[tuple[records.SampleAccuracy, ...]]:
    """How well versions, at most 20, read the samples; by default the deployed one."""
    request = pb.EvaluateSamplesRequest(model_versions=model_versions)
    terms = Terms(Kind.CHANGE, timeout_s, is_repeatable=True)
    return unary(EVALUATE_SAMPLES, request, messages.sample_accuracies, terms)


def _add(
    image: prediction_pb2.Image, label: int, model_version: int, request_id: str, timeout_s: float | None
) -> Unary[records.AddedSample]:
    request = pb.AddSampleRequest(
        image=image, label=label, model_version=model_version, request_id=request_id or uuid.uuid4().hex
    )
    terms = Terms(Kind.CHANGE, timeout_s, is_repeatable=True)
    return unary(ADD_SAMPLE, request, messages.added_sample, terms)


def _chunk(response: pb.ExportSamplesResponse) -> bytes:
    return response.chunk
