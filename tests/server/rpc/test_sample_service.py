"""Samples over a live channel."""

from __future__ import annotations

import io
import threading
import time
import zipfile
from collections.abc import Iterator
from typing import Any

import cv2
import grpc
import numpy as np
import pytest
from digits.v1 import dataset_pb2, evaluation_pb2, model_pb2, prediction_pb2
from digits.v1 import sample_pb2 as pb

PATIENCE_S = 60.0
PIXELS = bytes(200) + bytes([255] * 200) + bytes(384)


@pytest.fixture(scope="module")
def server(launch_server: Any) -> Any:
    """A server for these tests alone: they count."""
    return launch_server(DIGITS_MNIST="")


@pytest.fixture(scope="module")
def connected(server: Any, stubs_of: Any) -> Any:
    """Its services, its digits prepared."""
    services = stubs_of(server)
    deadline = time.monotonic() + PATIENCE_S
    while not services.evaluation.ListDatasets(evaluation_pb2.ListDatasetsRequest(), timeout=60).HasField(
        "data_source"
    ):
        assert time.monotonic() < deadline, f"no digits after {PATIENCE_S} s"
        time.sleep(0.05)
    return services


@pytest.fixture
def service(connected: Any) -> Iterator[Any]:
    """The samples, none at first."""
    forget_all(connected.sample)
    yield connected.sample
    forget_all(connected.sample)


def forget_all(service: Any) -> None:
    while samples := service.ListSamples(pb.ListSamplesRequest(page_size=1000), timeout=60).samples:
        for sample in samples:
            service.DeleteSample(pb.DeleteSampleRequest(sample_id=sample.sample_id), timeout=60)


def drawing(number: int) -> np.ndarray:
    """A stroke that no other number gives: (28, 28) uint8."""
    image = np.zeros((28, 28), np.uint8)
    cv2.line(image, (6 + number % 4, 5), (18 + number // 4 % 8, 20 + number // 32 % 3), 255, 2 + number // 96)
    return image


def add(service: Any, image: np.ndarray, label: int, **fields: Any) -> pb.Sample:
    request = pb.AddSampleRequest(image=prediction_pb2.Image(pixels=image.tobytes()), label=label, **fields)
    return service.AddSample(request, timeout=60).sample


def export(service: Any, **chosen: Any) -> bytes:
    request = pb.ExportSamplesRequest(filter=pb.SampleFilter(**chosen))
    return b"".join(response.chunk for response in service.ExportSamples(request, timeout=60))


def chunks(archive: bytes, size: int = 2**18) -> Iterator[pb.ImportSamplesRequest]:
    for start in range(0, len(archive), size):
        yield pb.ImportSamplesRequest(chunk=archive[start : start + size])


def total(service: Any) -> int:
    return int(service.ListSamples(pb.ListSamplesRequest(page_size=1), timeout=60).total_size)


def test_a_drawing_is_kept_as_predict_reads_it(service: Any, connected: Any, seven_png: bytes) -> None:
    image = prediction_pb2.Image(encoded=seven_png)
    seen = connected.prediction.Predict(prediction_pb2.PredictRequest(image=image), timeout=60)
    reply = service.AddSample(pb.AddSampleRequest(image=image, label=1), timeout=60)
    sample = reply.sample
    assert reply.total_size == 1
    assert sample.pixels == seen.prediction.model_input
    assert (sample.label, sample.predicted_digit, sample.model_version) == (1, seen.prediction.digit, 1)
    assert sample.confidence == pytest.approx(seen.prediction.confidence, abs=1e-5)
    assert (sample.source, sample.use) == (pb.SAMPLE_SOURCE_DRAWN, pb.SAMPLE_USE_TRAINING)
    assert sample.create_time.ToSeconds() == pytest.approx(time.time(), abs=60)
    assert not sample.HasField("update_time")
    assert sample.drawing == b""
    (listed,) = service.ListSamples(pb.ListSamplesRequest(with_drawings=True), timeout=60).samples
    assert listed.drawing == seven_png


def test_the_version_that_the_person_saw_is_asked(service: Any, refused: Any) -> None:
    assert add(service, drawing(0), 1, model_version=1).model_version == 1
    image = prediction_pb2.Image(pixels=PIXELS)
    refusal = refused(service.AddSample, pb.AddSampleRequest(image=image, label=1, model_version=9))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND")


def test_a_repeated_request_gives_the_same_sample_also_after_a_crash(
    server: Any, service: Any, stubs_of: Any
) -> None:
    first = add(service, drawing(0), 1, request_id="again")
    assert add(service, drawing(0), 1, request_id="again").sample_id == first.sample_id
    assert total(service) == 1
    server.kill()
    server.start()
    after = stubs_of(server).sample
    assert add(after, drawing(0), 1, request_id="again").sample_id == first.sample_id
    assert total(after) == 1


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"image": prediction_pb2.Image(pixels=PIXELS)}, "label"),
        ({"image": prediction_pb2.Image(pixels=PIXELS), "label": 10}, "label"),
        ({"image": prediction_pb2.Image(pixels=PIXELS), "label": -1}, "label"),
        ({"label": 1}, "image"),
        ({"image": prediction_pb2.Image(), "label": 1}, "image"),
        ({"image": prediction_pb2.Image(pixels=b"x"), "label": 1}, "image.pixels"),
        ({"image": prediction_pb2.Image(pixels=bytes(784)), "label": 1}, "image.pixels"),
        ({"image": prediction_pb2.Image(encoded=b"GIF89a"), "label": 1}, "image.encoded"),
        (
            {"image": prediction_pb2.Image(pixels=PIXELS), "label": 1, "request_id": "x" * 65},
            "request_id",
        ),
        (
            {"image": prediction_pb2.Image(pixels=PIXELS), "label": 1, "model_version": -1},
            "model_version",
        ),
    ],
)
def test_a_bad_field_of_a_new_sample_is_named(
    service: Any, refused: Any, fields: dict[str, Any], field: str
) -> None:
    refusal = refused(service.AddSample, pb.AddSampleRequest(**fields))
    assert (refusal.code, refusal.fields) == (grpc.StatusCode.INVALID_ARGUMENT, [field])
    assert total(service) == 0


@pytest.mark.parametrize(
    ("chosen", "field"),
    [
        ({"label": 10}, "filter.label"),
        ({"predicted_digit": -1}, "filter.predicted_digit"),
        ({"source": 9}, "filter.source"),
        ({"use": 9}, "filter.use"),
    ],
)
def test_a_bad_filter_is_named(service: Any, refused: Any, chosen: dict[str, Any], field: str) -> None:
    request = pb.ListSamplesRequest(filter=pb.SampleFilter(**chosen))
    refusal = refused(service.ListSamples, request)
    assert (refusal.code, refusal.fields) == (grpc.StatusCode.INVALID_ARGUMENT, [field])
    with pytest.raises(grpc.RpcError) as raised:
        export(service, **chosen)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_pages_hold_each_sample_once_and_fit_their_filter(service: Any, refused: Any) -> None:
    ids = [add(service, drawing(number), number % 2).sample_id for number in range(5)]
    seen: list[str] = []
    request = pb.ListSamplesRequest(page_size=2)
    while True:
        page = service.ListSamples(request, timeout=60)
        assert page.total_size == 5
        seen += [sample.sample_id for sample in page.samples]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert seen == ids[::-1]
    ones = service.ListSamples(pb.ListSamplesRequest(filter=pb.SampleFilter(label=1)), timeout=60)
    assert [sample.sample_id for sample in ones.samples] == [ids[3], ids[1]]
    assert ones.total_size == 2
    # A token belongs to its filter.
    request = pb.ListSamplesRequest(page_token=request.page_token, filter=pb.SampleFilter(label=0))
    assert refused(service.ListSamples, request).reason == "INVALID_PAGE_TOKEN"
    for size in (-1, 1001):
        assert refused(service.ListSamples, pb.ListSamplesRequest(page_size=size)).fields == ["page_size"]


def test_a_label_is_corrected_and_a_sample_forgotten(service: Any, refused: Any) -> None:
    sample = add(service, drawing(0), 1)
    request = pb.UpdateSampleRequest(sample_id=sample.sample_id, label=0)
    changed = service.UpdateSample(request, timeout=60).sample
    assert (changed.label, changed.predicted_digit) == (0, sample.predicted_digit)
    assert changed.HasField("update_time")
    service.DeleteSample(pb.DeleteSampleRequest(sample_id=sample.sample_id), timeout=60)
    for method, gone in (
        (service.UpdateSample, request),
        (service.DeleteSample, pb.DeleteSampleRequest(sample_id=sample.sample_id)),
    ):
        refusal = refused(method, gone)
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "SAMPLE_NOT_FOUND")
    for bad, field in (
        (pb.UpdateSampleRequest(sample_id=sample.sample_id), "label"),
        (pb.UpdateSampleRequest(sample_id=sample.sample_id, label=10), "label"),
        (pb.UpdateSampleRequest(label=1), "sample_id"),
    ):
        assert refused(service.UpdateSample, bad).fields == [field]
    assert refused(service.DeleteSample, pb.DeleteSampleRequest()).fields == ["sample_id"]


def test_a_test_digit_is_never_trained_on(service: Any, connected: Any) -> None:
    listed = connected.evaluation.ListTestDigits(
        evaluation_pb2.ListTestDigitsRequest(dataset=dataset_pb2.DATASET_BUILTIN_TEST, page_size=2),
        timeout=60,
    )
    raw, sent_as_file = (np.frombuffer(one.pixels, np.uint8).reshape(28, 28) for one in listed.digits)
    add(service, raw, 1)
    encoded = cv2.imencode(".png", 255 - sent_as_file)[1].tobytes()
    image = prediction_pb2.Image(encoded=encoded)
    service.AddSample(pb.AddSampleRequest(image=image, label=1), timeout=60)
    excluded = pb.ListSamplesRequest(filter=pb.SampleFilter(use=pb.SAMPLE_USE_EXCLUDED))
    deadline = time.monotonic() + PATIENCE_S
    # At once, or as soon as the test digits were found: the server may have been started a moment ago.
    while service.ListSamples(excluded, timeout=60).total_size < 2:
        assert time.monotonic() < deadline, "not excluded"
        time.sleep(0.05)
    (accuracy,) = service.EvaluateSamples(pb.EvaluateSamplesRequest(), timeout=60).accuracies
    assert accuracy.images == 0


def test_an_archive_goes_out_and_comes_in_again(service: Any) -> None:
    before = [add(service, drawing(number), number % 10) for number in range(12)]
    archive = export(service)
    names = zipfile.ZipFile(io.BytesIO(archive)).namelist()
    assert sorted(names) == sorted(
        ["samples.npz", *(f"drawings/{sample.sample_id}.png" for sample in before)]
    )
    for sample in before[:5]:
        service.DeleteSample(pb.DeleteSampleRequest(sample_id=sample.sample_id), timeout=60)
    reply = service.ImportSamples(chunks(archive, 1000), timeout=60)
    assert (reply.added, reply.known, reply.total_size) == (5, 7, 12)
    again = service.ListSamples(pb.ListSamplesRequest(), timeout=60).samples
    assert {(one.pixels, one.label) for one in again} == {(one.pixels, one.label) for one in before}
    imported = pb.SampleFilter(source=pb.SAMPLE_SOURCE_IMPORTED)
    assert service.ListSamples(pb.ListSamplesRequest(filter=imported), timeout=60).total_size == 5


def test_what_is_wrong_with_an_archive_is_named(service: Any) -> None:
    for requests, words in (
        ([], "got 0 bytes"),
        ([pb.ImportSamplesRequest(chunk=b"no archive")], "expected a zip archive"),
        ([pb.ImportSamplesRequest(chunk=bytes(2**20 + 1))], "bytes a message"),
    ):
        with pytest.raises(grpc.RpcError) as raised:
            service.ImportSamples(iter(requests), timeout=60)
        assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert words in raised.value.details()
        assert raised.value.details().startswith("chunk: ")


def test_an_endless_archive_is_refused_while_it_comes(service: Any) -> None:
    sent = 0

    def endless() -> Iterator[pb.ImportSamplesRequest]:
        nonlocal sent
        while True:
            sent += 1
            yield pb.ImportSamplesRequest(chunk=bytes(2**20))

    with pytest.raises(grpc.RpcError) as raised:
        service.ImportSamples(endless(), timeout=60)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "at most 64 MiB" in raised.value.details()
    assert sent < 200


def test_an_import_that_is_given_up_leaves_nothing(service: Any, server: Any) -> None:
    add(service, drawing(0), 1)
    archive = export(service)
    service.DeleteSample(
        pb.DeleteSampleRequest(
            sample_id=service.ListSamples(pb.ListSamplesRequest(), timeout=60).samples[0].sample_id
        ),
        timeout=60,
    )
    is_sent, go_on = threading.Event(), threading.Event()

    def hesitant() -> Iterator[pb.ImportSamplesRequest]:
        yield pb.ImportSamplesRequest(chunk=archive)
        is_sent.set()
        go_on.wait(PATIENCE_S)

    for end in ("cancel", "deadline"):
        is_sent.clear()
        go_on.clear()
        call = service.ImportSamples.future(hesitant(), timeout=60 if end == "cancel" else 1)
        assert is_sent.wait(PATIENCE_S)
        if end == "cancel":
            call.cancel()
            assert call.cancelled()
        else:
            assert call.exception(PATIENCE_S).code() is grpc.StatusCode.DEADLINE_EXCEEDED
        go_on.set()
    assert total(service) == 0
    assert service.ImportSamples(chunks(archive), timeout=60).added == 1


def test_an_export_that_is_given_up_ends(service: Any) -> None:
    noise = np.random.default_rng(1)
    for number in range(3):
        # Large drawings: the stream cannot be sent at once.
        image = noise.integers(0, 40, (900, 900), np.uint8)
        cv2.line(image, (300, 200), (500 + number, 700), 255, 60)
        encoded = cv2.imencode(".png", image)[1].tobytes()
        request = pb.AddSampleRequest(image=prediction_pb2.Image(encoded=encoded), label=1)
        service.AddSample(request, timeout=60)
    call = service.ExportSamples(pb.ExportSamplesRequest(), timeout=60)
    assert len(next(iter(call)).chunk) == 64 * 2**10
    call.cancel()
    with pytest.raises(grpc.RpcError) as raised:
        list(call)
    assert raised.value.code() is grpc.StatusCode.CANCELLED
    assert zipfile.ZipFile(io.BytesIO(export(service))).testzip() is None


def test_accuracy_is_told_for_each_version_that_is_asked_for(
    service: Any, connected: Any, refused: Any
) -> None:
    rows = connected.evaluation.ListTestDigits(
        evaluation_pb2.ListTestDigitsRequest(dataset=dataset_pb2.DATASET_BUILTIN_DIGITS, page_size=30),
        timeout=60,
    ).digits
    for digit in rows:
        add(service, np.frombuffer(digit.pixels, np.uint8).reshape(28, 28), digit.label)
    deployed = connected.model.GetModel(model_pb2.GetModelRequest(), timeout=60).model.model_version
    (accuracy,) = service.EvaluateSamples(pb.EvaluateSamplesRequest(), timeout=60).accuracies
    assert accuracy.model_version == deployed
    assert 0 < accuracy.images <= 30
    assert accuracy.accuracy == accuracy.correct / accuracy.images
    assert 0 < accuracy.accuracy_low < accuracy.accuracy <= accuracy.accuracy_high <= 1
    assert (accuracy.cross_validated, accuracy.left_out) == (0, 0)
    twice = service.EvaluateSamples(pb.EvaluateSamplesRequest(model_versions=[1, 1]), timeout=60).accuracies
    assert [one.model_version for one in twice] == [1, 1]
    refusal = refused(service.EvaluateSamples, pb.EvaluateSamplesRequest(model_versions=[1, 99]))
    assert refusal.code is grpc.StatusCode.NOT_FOUND
    for versions, field in (([1] * 21, "model_versions"), ([1, 0], "model_versions[1]")):
        request = pb.EvaluateSamplesRequest(model_versions=versions)
        assert refused(service.EvaluateSamples, request).fields == [field]


def test_a_replica_knows_no_samples(server: Any, launch_server: Any, stubs_of: Any, refused: Any) -> None:
    replica = launch_server("--read-only", data=server.data)
    service = stubs_of(replica).sample
    assert refused(service.ListSamples, pb.ListSamplesRequest()).reason == "READ_ONLY"
    with pytest.raises(grpc.RpcError) as raised:
        list(service.ExportSamples(pb.ExportSamplesRequest(), timeout=60))
    assert raised.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    with pytest.raises(grpc.RpcError) as raised:
        service.ImportSamples(chunks(b"x"), timeout=60)
    assert raised.value.code() is grpc.StatusCode.FAILED_PRECONDITION
