"""People's own labelled drawings."""

from __future__ import annotations

from digits.client import choices, records
from digits.client.messages.fields import create_time, pixels, time
from digits.v1 import sample_pb2


def sample(message: sample_pb2.Sample) -> records.Sample:
    return records.Sample(
        sample_id=message.sample_id,
        label=message.label,
        drawing=message.drawing,
        pixels=pixels(message.pixels),
        predicted_digit=message.predicted_digit,
        confidence=message.confidence,
        model_version=message.model_version,
        create_time=create_time(message),
        update_time=time(message, "update_time"),
        source=choices.SampleSource(message.source),
        use=choices.SampleUse(message.use),
    )


def samples(message: sample_pb2.ListSamplesResponse) -> records.Samples:
    return records.Samples(
        tuple(sample(each) for each in message.samples), message.next_page_token, message.total_size
    )


def added_sample(message: sample_pb2.AddSampleResponse) -> records.AddedSample:
    return records.AddedSample(sample(message.sample), message.total_size)


def imported_samples(message: sample_pb2.ImportSamplesResponse) -> records.ImportedSamples:
    return records.ImportedSamples(message.added, message.known, message.total_size)


def sample_accuracies(
    message: sample_pb2.EvaluateSamplesResponse,
) -> tuple[records.SampleAccuracy, ...]:
    return tuple(
        records.SampleAccuracy(
            model_version=each.model_version,
            images=each.images,
            correct=each.correct,
            accuracy=each.accuracy,
            accuracy_low=each.accuracy_low,
            accuracy_high=each.accuracy_high,
            cross_validated=each.cross_validated,
            left_out=each.left_out,
        )
        for each in message.accuracies
    )


def to_sample_filter(samples: records.SampleFilter | None) -> sample_pb2.SampleFilter | None:
    """The filter of a request; None, which is every sample, stays unset."""
    if samples is None:
        return None
    return sample_pb2.SampleFilter(
        label=samples.label,
        predicted_digit=samples.predicted_digit,
        is_misread=samples.is_misread,
        source=sample_pb2.SampleSource.ValueType(samples.source),
        use=sample_pb2.SampleUse.ValueType(samples.use),
    )
