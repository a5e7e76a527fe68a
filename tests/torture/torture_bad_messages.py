"""From requests as they should be to others: values, structures and bytes that nobody sends."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from torture_bad_archives import archives, damaged
from torture_bad_catalogue import METHODS, SAMPLE, Scene, valid
from torture_bad_images import small

INTS = (0, 1, -1, 2, 3, 9, 10, 28, 100, 784, 1000, 1001, 1024, 1025, 4096, 2**31 - 1, -(2**31), 2**32 - 1)
LONGS = (*INTS, 2**53, 2**63 - 1, -(2**63), 2**64 - 1)
FLOATS = (0.0, -0.0, 0.5, 1.0, -1.0, 2.0, 5e-324, 1e38, -1e38, math.nan, math.inf, -math.inf)
TEXTS = (
    *(
        "",
        " ",
        "0",
        "1",
        "2",
        "-1",
        "9" * 300,
        "9" * 5000,
        "1e400",
        "NaN",
        "digits",
        "image",
        "encoded",
        "UINT8",
    ),
    *("FP32", "BYTES", "classic", "teach", "probabilities", "digit", "config", "timeout", "classification"),
    *("../../../etc/passwd", "/etc/passwd", "..\\..\\x", "C:\\x", "~", "file:///x", "x" * 64, "x" * 65),
    *("x" * 5000, "é" * 3000, "😀" * 600, "\0", "a\0b", "\r\n\r\nx: y", "\x1b[31m", "%s%n%x", "' OR 1=1 --"),
    *("<script>alert(1)</script>", "{}", "[]", "null", "[" * 5000, '{"a":' * 2000, '{"version_policy": []}'),
    *('{"version_policy": {"specific": {"versions": [Infinity]}}}', "WzEwLCAieCJd", "W1tbW1tb", "=" * 500),
    *("\u202e\u0000", "\ufffe\uffff", "\ud7ff", "²", "٣", "１", "ı", "ß" * 100, "a" * 300_000),
)
BLOBS = (b"", b"\0", b"x", bytes(783), bytes(784), b"\xff" * 784, bytes(785), b"\0\0\0\0", b"\xff" * 8, b"{}")
# What an unsigned number of at most 64 bits may look like on the wire, and what none looks like.
VARINTS = (b"\0", b"\x80\0", b"\x80" * 9 + b"\1", b"\xff" * 9 + b"\1", b"\xff" * 10, b"\x80", b"\xff" * 20)

_CHILDREN = (FieldDescriptor.TYPE_MESSAGE, FieldDescriptor.TYPE_GROUP)
_LONG = (FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64)
_UNSIGNED = (FieldDescriptor.CPPTYPE_UINT32, FieldDescriptor.CPPTYPE_UINT64)
_FLOATS = (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE)


class Messages:
    """Bad requests by the thousand: the same for the same seed."""

    def __init__(self, scene: Scene, seed: int, drawn: int = 12) -> None:
        """`drawn`: messages of each method that Hypothesis makes up from its descriptor."""
        self._scene = scene
        self._chance = random.Random(f"messages {seed}")
        self._images = list(small().values())
        self._texts = (*TEXTS, *scene.names)
        self._valid = {path: valid(path, scene) for path in METHODS}
        self._drawn = {
            path: _draw(method.input_type, drawn, seed * 1009 + place)
            for place, (path, method) in enumerate(METHODS.items())
        }

    def next(self, path: str) -> bytes:
        """A request of a method, or bytes that are none."""
        chance = self._chance
        match chance.choices(("changed", "drawn", "damaged", "odd", "noise"), (45, 15, 18, 18, 4))[0]:
            case "changed":
                return self._changed(path)
            case "drawn":
                return chance.choice(self._drawn[path])
            case "damaged":
                return self._damaged(self._changed(path))
            case "odd":
                return self._changed(path) + self._odd_field(METHODS[path].input_type)
        return chance.randbytes(chance.choice((1, 2, 5, 20, 300)))

    def several(self, path: str) -> tuple[bytes, ...]:
        """What a stream of requests may hold."""
        if path == f"{SAMPLE}/ImportSamples" and self._chance.random() < 0.8:
            return self._archive()
        return tuple(self.next(path) for _ in range(self._chance.choice((1, 2, 3, 8, 20))))

    def _archive(self) -> tuple[bytes, ...]:
        chance = self._chance
        is_damaged = chance.random() < 0.5
        data = damaged(chance) if is_damaged else archives()[chance.choice(list(archives()))]
        step = chance.choice((100, 1000, 2**16, 2**20))
        parts = [data[start : start + step] for start in range(0, min(len(data), 40 * step), step)]
        chunk = METHODS[f"{SAMPLE}/ImportSamples"].input_type
        return tuple(_class_of(chunk)(chunk=part).SerializeToString() for part in parts)

    def _changed(self, path: str) -> bytes:
        """A valid request with one value, or a few, that nobody would send."""
        request = type(message := self._chance.choice(self._valid[path]))()
        request.CopyFrom(message)
        for _ in range(self._chance.choice((1, 1, 1, 2, 4))):
            self._change(request)
        return request.SerializeToString()

    def _change(self, message: Message) -> None:
        """Change one value of a message, or of a message within it."""
        chance = self._chance
        fields = message.DESCRIPTOR.fields
        if not fields:
            return
        field = chance.choice(fields)
        if chance.random() < 0.08:
            message.ClearField(field.name)
        elif field.type in _CHILDREN and not field.is_repeated:
            self._change(getattr(message, field.name))
        elif _is_map(field):
            self._change_map(getattr(message, field.name), field)
        elif field.is_repeated:
            self._change_list(getattr(message, field.name), field)
        else:
            setattr(message, field.name, self._value(field))

    def _change_map(self, entries: Any, field: FieldDescriptor) -> None:
        key, value = (field.message_type.fields_by_name[name] for name in ("key", "value"))
        if value.type in _CHILDREN:
            self._change(entries[self._value(key)])
        else:
            entries[self._value(key)] = self._value(value)

    def _change_list(self, items: Any, field: FieldDescriptor) -> None:
        chance = self._chance
        if field.type in _CHILDREN:
            if items and chance.random() < 0.7:
                self._change(chance.choice(items))
            elif items and chance.random() < 0.3:
                items.extend(list(items) * chance.choice((1, 10)))
            else:
                self._change(items.add())
        elif items and chance.random() < 0.4:
            items[chance.randrange(len(items))] = self._value(field)
        elif items and chance.random() < 0.3:
            del items[chance.randrange(len(items)) :]
        else:
            items.extend([self._value(field)] * chance.choice((1, 2, 30)))

    def _value(self, field: FieldDescriptor) -> Any:
        chance = self._chance
        if field.type == FieldDescriptor.TYPE_STRING:
            return chance.choice(self._texts)
        if field.type == FieldDescriptor.TYPE_BYTES:
            return self._bytes()
        if field.cpp_type in _FLOATS:
            return chance.choice(FLOATS)
        if field.type == FieldDescriptor.TYPE_BOOL:
            return chance.random() < 0.5
        low, high = _range_of(field)
        numbers = LONGS if field.cpp_type in _LONG else INTS
        return min(max(chance.choice(numbers), low), high)

    def _bytes(self) -> bytes:
        """A file, most likely, and often a damaged one."""
        chance = self._chance
        if chance.random() < 0.2:
            return chance.choice(BLOBS)
        file = chance.choice(self._images)
        return self._damaged(file) if chance.random() < 0.6 else file

    def _damaged(self, data: bytes) -> bytes:
        """The same with some bytes changed, left out or put in, or cut off."""
        chance = self._chance
        changed = bytearray(data)
        for _ in range(chance.choice((1, 1, 2, 5))):
            if not changed:
                return chance.randbytes(3)
            place = chance.randrange(len(changed))
            match chance.randrange(5):
                case 0:
                    changed[place] = chance.randrange(256)
                case 1:
                    changed[place] ^= 1 << chance.randrange(8)
                case 2:
                    del changed[place : place + chance.choice((1, 4, 100))]
                case 3:
                    changed[place:place] = chance.choice(
                        (b"\0", b"\xff" * 4, chance.randbytes(8), changed[:30])
                    )
                case 4:
                    del changed[place:]
        return bytes(changed)

    def _odd_field(self, message: Descriptor) -> bytes:
        """A field as nothing writes it: of another kind, unknown, without its end, or in no Unicode."""
        chance = self._chance
        numbers = [field.number for field in message.fields] or [1]
        texts = [field.number for field in message.fields if field.type == FieldDescriptor.TYPE_STRING]
        number = chance.choice(numbers)
        match chance.randrange(8):
            case 0:
                return _tag(number, chance.choice((0, 1, 2, 3, 4, 5, 6, 7))) + chance.randbytes(9)
            case 1:
                return _tag(chance.choice((0, 19_000, 2**29 - 1, 2**29)), 2) + b"\3abc"
            case 2:
                return _tag(number, 2) + b"\xff\xff\xff\xff\x07" + b"x" * 20
            case 3:
                bad = chance.choice(
                    (b"\xff\xfe", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"a\x80")
                )
                return _tag(chance.choice(texts or numbers), 2) + bytes([len(bad)]) + bad
            case 4:
                return _tag(number, 0) + chance.choice(VARINTS)
            case 5:
                return _tag(number, 3) * chance.choice((1, 50, 5000))
            case 6:
                return _nested(number, chance.choice((20, 99, 101, 2000)))
        return b"".join(_tag(2000 + place, 0) + b"\1" for place in range(chance.choice((1, 3000))))


def _tag(number: int, kind: int) -> bytes:
    return _varint(number << 3 | kind)


def _varint(value: int) -> bytes:
    encoded = b""
    while value > 0x7F:
        encoded += bytes([value & 0x7F | 0x80])
        value >>= 7
    return encoded + bytes([value])


def _nested(number: int, depth: int) -> bytes:
    """A message within a message, and so on."""
    data = b""
    for _ in range(depth):
        data = _tag(number, 2) + _varint(len(data)) + data
    return data


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


def _class_of(message: Descriptor) -> Callable[..., Any]:
    return message_factory.GetMessageClass(message)


def _range_of(field: FieldDescriptor) -> tuple[int, int]:
    bits = 64 if field.cpp_type in _LONG else 32
    return (0, 2**bits - 1) if field.cpp_type in _UNSIGNED else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def _draw(message: Descriptor, count: int, seed: int) -> list[bytes]:
    """So many messages of a type, at random, of every field that it has."""
    found: list[bytes] = []

    @seeded(seed)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(_messages(message, depth=4))
    def collect(drawn: Message) -> None:
        found.append(drawn.SerializeToString())

    collect()
    return found


def _messages(message: Descriptor, depth: int) -> st.SearchStrategy[Any]:
    fields = {
        field.name: _values(field, depth) for field in message.fields if depth or field.type not in _CHILDREN
    }
    return st.fixed_dictionaries({}, optional=fields).map(lambda values: _class_of(message)(**values))


def _values(field: FieldDescriptor, depth: int) -> st.SearchStrategy[Any]:
    if _is_map(field):
        key, value = (field.message_type.fields_by_name[name] for name in ("key", "value"))
        return st.dictionaries(_single(key, depth), _single(value, depth - 1), max_size=3)
    if field.is_repeated:
        return st.lists(_single(field, depth - 1), max_size=4)
    return _single(field, depth - 1)


def _single(field: FieldDescriptor, depth: int) -> st.SearchStrategy[Any]:
    if field.type in _CHILDREN:
        return _messages(field.message_type, max(depth, 0))
    if field.type == FieldDescriptor.TYPE_STRING:
        return st.text(max_size=40) | st.sampled_from(TEXTS)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return st.binary(max_size=900) | st.sampled_from(sorted(small().values()))
    if field.type == FieldDescriptor.TYPE_BOOL:
        return st.booleans()
    if field.cpp_type in _FLOATS:
        return st.floats(width=32)
    return st.integers(*_range_of(field)) | st.integers(-2, 12).filter(
        lambda value: value >= _range_of(field)[0]
    )
