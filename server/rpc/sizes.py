"""How large a request may be: in bytes, and in what it becomes when it is parsed.

Two bytes may stand for a whole empty message, which takes a hundred times that in memory: a batch of the size
that is allowed could fill gigabytes, and hold up everybody while it is read. So large ones are looked through
before they are parsed.

Encoding: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from digits.oip import open_inference_pb2 as oip
from digits.v1 import prediction_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor

# Names, numbers and settings. What says more than that says it to no purpose.
SMALL_BYTES = 2**20
# One image, of 4 MiB at most, or a part of an archive. Beyond the image's own limit, so that it can be named.
ONE_IMAGE_BYTES = 8 * 2**20
# A batch of images, and what the server itself sends.
MAX_MESSAGE_BYTES = 64 * 2**20

_PREDICTION, _SAMPLE = "/digits.v1.PredictionService", "/digits.v1.SampleService"
_INFERENCE = "/inference.GRPCInferenceService"
_ONE_IMAGE = frozenset(
    [f"{_PREDICTION}/{method}" for method in ("Predict", "StreamPredict", "ReadNumber", "ExplainPrediction")]
    + [f"{_SAMPLE}/{method}" for method in ("AddSample", "ImportSamples")]
)
BATCHES: dict[str, Descriptor] = {
    f"{_PREDICTION}/BatchPredict": prediction_pb2.BatchPredictRequest.DESCRIPTOR,
    f"{_INFERENCE}/ModelInfer": oip.ModelInferRequest.DESCRIPTOR,
    f"{_INFERENCE}/ModelStreamInfer": oip.ModelInferRequest.DESCRIPTOR,
}
"""The methods that take many images in a message, and what that is."""

# Of 1,024 images each is a part, or two. Numbers packed together are no parts, but those of a few bits in
# memory take up to eight times their bytes; so many images' pixels have 1.6 MB.
MAX_PARTS = 8192
MAX_PACKED_BYTES = 2 * 2**20

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_VARINT_TYPES = frozenset(
    [
        FieldDescriptor.TYPE_INT32,
        FieldDescriptor.TYPE_INT64,
        FieldDescriptor.TYPE_UINT32,
        FieldDescriptor.TYPE_UINT64,
        FieldDescriptor.TYPE_SINT32,
        FieldDescriptor.TYPE_SINT64,
        FieldDescriptor.TYPE_BOOL,
        FieldDescriptor.TYPE_ENUM,
    ]
)


class _Fields(NamedTuple):
    """Those fields of a message that matter, by number."""

    messages: dict[int, Descriptor]
    packed: frozenset[int]
    """Lists of numbers of variable length."""


def max_bytes(path: str) -> int:
    """How large a request message of a method, by its full path, may be."""
    if path in BATCHES:
        return MAX_MESSAGE_BYTES
    return ONE_IMAGE_BYTES if path in _ONE_IMAGE else SMALL_BYTES


def is_bloated(data: bytes, message: Descriptor) -> bool:
    """Whether these bytes would become far more parts than any request has. What breaks off has no more."""
    parts = packed_bytes = 0
    unread = [(0, len(data), message)]
    while unread:
        position, end, described = unread.pop()
        fields = _fields(described)
        try:
            while position < end:
                parts += 1
                if parts > MAX_PARTS:
                    return True
                tag, position = _varint(data, position)
                kind = tag & 7
                if kind == _VARINT:
                    _, position = _varint(data, position)
                elif kind in (_FIXED64, _FIXED32):
                    position += 8 if kind == _FIXED64 else 4
                elif kind == _BYTES:
                    length, start = _varint(data, position)
                    position = start + length
                    if tag >> 3 in fields.packed:
                        packed_bytes += max(min(position, end) - start, 0)
                        if packed_bytes > MAX_PACKED_BYTES:
                            return True
                    elif tag >> 3 in fields.messages:
                        unread.append((start, min(position, end), fields.messages[tag >> 3]))
        except IndexError:
            continue  # It breaks off, as the parser will find.
    return False


@cache
def _fields(message: Descriptor) -> _Fields:
    return _Fields(
        {
            field.number: field.message_type
            for field in message.fields
            if field.type == FieldDescriptor.TYPE_MESSAGE and field.message_type is not None
        },
        frozenset(
            field.number for field in message.fields if field.is_repeated and field.type in _VARINT_TYPES
        ),
    )


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """The number at a position, and the position after it. Raises IndexError at the end of the data."""
    byte = data[position]
    if byte < 0x80:
        return byte, position + 1
    value, shift = byte & 0x7F, 7
    while True:
        position += 1
        byte = data[position]
        value |= (byte & 0x7F) << shift
        if byte < 0x80 or shift > 63:
            return value, position + 1
        shift += 7
