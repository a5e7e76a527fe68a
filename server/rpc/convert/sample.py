"""Samples, between proto and domain."""

from __future__ import annotations

from collections.abc import Mapping

from digits.v1 import sample_pb2 as pb

from server.errors import InvalidArgument
from server.rpc.convert.common import enum_from_proto, timestamp
from server.samples import Sample, SampleAccuracy, SampleFilter, SampleSource, SampleUse

MAX_VERSIONS = 20

SOURCES: Mapping[SampleSource, int] = {
    SampleSource.DRAWN: pb.SAMPLE_SOURCE_DRAWN,
    SampleSource.IMPORTED: pb.SAMPLE_SOURCE_IMPORTED,
}
USES: Mapping[SampleUse, int] = {
    SampleUse.TRAINING: pb.SAMPLE_USE_TRAINING,
    SampleUse.HELD_OUT: pb.SAMPLE_USE_HELD_OUT,
    SampleUse.EXCLUDED: pb.SAMPLE_USE_EXCLUDED,
}


def label(request: pb.AddSampleRequest | pb.UpdateSampleRequest) -> int:
    """The label of a request, which must have one. Raises InvalidArgument."""
    if not request.HasField("label"):
        raise InvalidArgument("label", "expected a digit from 0 to 9, got none")
    return _digit("label", request.label)


def sample_id(request: pb.UpdateSampleRequest | pb.DeleteSampleRequest) -> str:
    """The id of a request, which must have one. Raises InvalidArgument."""
    if not request.sample_id:
        raise InvalidArgument("sample_id", "expected the id of a sample, got none")
    return request.sample_id


def sample_filter(message: pb.SampleFilter) -> SampleFilter:
    """Which samples are meant. Raises InvalidArgument."""
    has = message.HasField
    return SampleFilter(
        label=_digit("filter.label", message.label) if has("label") else None,
        predicted_digit=(
            _digit("filter.predicted_digit", message.predicted_digit) if has("predicted_digit") else None
        ),
        is_misread=message.is_misread if has("is_misread") else None,
        source=enum_from_proto("filter.source", message.source, SOURCES),
        use=enum_from_proto("filter.use", message.use, USES),
    )


def versions(request: pb.EvaluateSamplesRequest) -> tuple[int, ...]:
    """The versions that are asked about; none for the deployed one. Raises InvalidArgument."""
    if len(request.model_versions) > MAX_VERSIONS:
        raise InvalidArgument(
            "model_versions", f"expected at most {MAX_VERSIONS} versions, got {len(request.model_versions)}"
        )
    for index, version in enumerate(request.model_versions):
        if version < 1:
            raise InvalidArgument(f"model_versions[{index}]", f"expected a version from 1, got {version}")
    return tuple(request.model_versions)


def sample(kept: Sample) -> pb.Sample:
    """A sample, with its drawing where that was asked for."""
    return pb.Sample(
        sample_id=kept.sample_id,
        label=kept.label,
        drawing=kept.drawing or b"",
        pixels=kept.pixels.tobytes(),
        predicted_digit=kept.predicted_digit,
        confidence=kept.confidence,
        model_version=kept.model_version,
        create_time=timestamp(kept.created),
        update_time=timestamp(kept.updated),
        source=SOURCES[kept.source],  # type: ignore[arg-type]
        use=USES[kept.use],  # type: ignore[arg-type]
    )


def accuracy(measured: SampleAccuracy) -> pb.SampleAccuracy:
    """How well a version reads the samples."""
    low, high = measured.interval
    return pb.SampleAccuracy(
        model_version=measured.model_version,
        images=measured.images,
        correct=measured.correct,
        accuracy=measured.accuracy,
        accuracy_low=low,
        accuracy_high=high,
        cross_validated=measured.cross_validated,
        left_out=measured.left_out,
    )


def _digit(field: str, value: int) -> int:
    if not 0 <= value <= 9:
        raise InvalidArgument(field, f"expected a digit from 0 to 9, got {value}")
    return value
