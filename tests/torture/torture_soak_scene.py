"""Where the soak takes place: a second version, which reads otherwise, and the right answers of both."""

from __future__ import annotations

import shutil
from dataclasses import fields

import cv2
import numpy as np
import onnx
from digits.client import Client
from digits.client.choices import Dataset
from onnx import TensorProto, helper
from torture_parts import TortureServer, wait_until
from torture_soak_book import VERSIONS, Book

from server.models import ModelStore, Provenance, write_version

IMAGES = 60


def write_book(client: Client) -> Book:
    """Ask for everything once, of each version by its number, while nothing else goes on.

    Raises AssertionError when the first version does not read digits as they are labelled, or the second as
    the next ones.
    """
    wait_until(lambda: not client.list_datasets().data_progress, "the digits are prepared")
    found = client.list_test_digits(Dataset.BUILTIN_DIGITS, seed=1, page_size=4 * IMAGES).digits
    pixels, drawings, labels = [], [], []
    for digit in found:
        drawing = drawn(digit.pixels)
        read = {
            client.predict(drawing).prediction.digit,
            client.predict_pixels(digit.pixels).prediction.digit,
        }
        # Of the few that it misreads nothing is asked.
        if read == {digit.label} and len(labels) < IMAGES:
            pixels.append(digit.pixels)
            drawings.append(drawing)
            labels.append(digit.label)
    assert len(labels) == IMAGES, f"of {len(found)} digits only {len(labels)} are read as labelled"
    of_pixels = np.array(
        [
            [client.predict_pixels(one, model_version=version).prediction.probabilities for one in pixels]
            for version in VERSIONS
        ]
    )
    of_drawings = np.array(
        [
            [client.predict(one, model_version=version).prediction.probabilities for one in drawings]
            for version in VERSIONS
        ]
    )
    assert (of_pixels.argmax(axis=2) == [labels, [(label + 1) % 10 for label in labels]]).all()
    number = cv2.imencode(".png", np.hstack([decoded(drawings[index]) for index in range(3)]))[1].tobytes()
    numbers = tuple(client.read_number(number, model_version=version).text for version in VERSIONS)
    return Book(tuple(labels), np.array(pixels), tuple(drawings), of_pixels, of_drawings, number, numbers)


def drawn(pixels: np.ndarray) -> bytes:
    """A (28, 28) digit as a PNG file, 280x280, dark on light."""
    large = cv2.resize(pixels, (280, 280), interpolation=cv2.INTER_CUBIC)
    return cv2.imencode(".png", 255 - large)[1].tobytes()


def decoded(png: bytes) -> np.ndarray:
    """A PNG file as an image, (H, W) uint8."""
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE)


def add_second_version(server: TortureServer) -> None:
    """Add a version to a stopped server that reads every digit as the next one: a mixed-up answer shows."""
    store = ModelStore(server.data / "models")
    folder = server.data / "models" / "000001"
    staging = store.staging("reads-the-next")
    model = onnx.load(folder / "model.onnx")
    (output,) = model.graph.output
    answer = output.name
    model.graph.initializer.append(helper.make_tensor("next_order", TensorProto.INT64, [10], [9, *range(9)]))
    model.graph.node.append(helper.make_node("Gather", [answer, "next_order"], ["next"], axis=1))
    output.name = "next"
    onnx.save(model, staging / "model.onnx")
    shutil.copy(folder / "model.keras", staging / "model.keras")
    shipped = store.get(1)
    with np.load(folder / "probabilities.npz") as arrays:
        probabilities = arrays["probabilities"]
    provenance = {field.name: getattr(shipped, field.name) for field in fields(Provenance)}
    write_version(staging, Provenance(**provenance), shipped.metrics, probabilities)
    store.commit(staging)
