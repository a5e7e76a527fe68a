"""Names that are paths, commands or templates, in every text of every request: none leads out of the folder.

A file beside the data folder holds a secret, and so does the server's environment: neither may come back. A
version's Keras file is replaced by one that would run code: it must not be loaded.
"""

from __future__ import annotations

import base64
import hashlib
import json
import marshal
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import grpc
from digits.v1 import model_pb2, prediction_pb2, sample_pb2
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from torture_parts import TortureServer, running
from torture_security_archives import tree
from torture_security_checks import Checks, call, every_method

SECRET = "this-is-not-for-you-0123456789"
DIGIT = prediction_pb2.Image(pixels=bytes(200) + bytes([255] * 200) + bytes(384))
# Refusals of what is odd; anything else is a fault of the server's.
REFUSED = {
    *("INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "RESOURCE_EXHAUSTED", "UNIMPLEMENTED"),
    *("UNAVAILABLE", "UNKNOWN_METHOD"),
}


def try_names(folder: Path, checks: Checks, is_quick: bool) -> None:
    """Put every odd name into every text, and odd numbers into every place for a version."""
    folder.mkdir()
    secret = folder / "secret.txt"
    secret.write_text(SECRET)
    server = TortureServer(folder / "server", DIGITS_MNIST="", DIGITS_NOT_A_SETTING=SECRET)
    with running(server), server.channel() as channel:
        sample = call(channel, "/digits.v1.SampleService/AddSample", [_sample().SerializeToString()])
        checks.expect(sample.code == "OK", f"a sample to begin with: {sample}")
        before = tree(folder, server)
        names = list(_names(secret))[:: 6 if is_quick else 1]
        for method in every_method():
            for path, name in ((path, name) for path in _texts(method) for name in names):
                request = _with(method, path, name)
                found = call(channel, method, [request.SerializeToString()], timeout=30)
                what = f"{method}: {'.'.join(path)} = {name[:60]!r}: {found}"
                checks.expect(found.code == "OK" or found.code in REFUSED, what)
                told = found.reply + found.text.encode(errors="replace")
                checks.expect(SECRET.encode() not in told and b"root:x:0" not in told, f"told: {what}")
        _try_exports(channel, checks)
        new = {path for path in tree(folder, server) - before if not _is_expected(path, server)}
        checks.expect(not new, f"names: left {sorted(new)[:5]}")
        checks.expect(not server.faults(), f"names: faults in the log: {server.faults()[:3]}")
        checks.expect(SECRET not in server.log.read_text(), "names: the secret is in the log")
    if not is_quick:
        _try_keras(folder / "keras", checks)


def _sample() -> sample_pb2.AddSampleRequest:
    return sample_pb2.AddSampleRequest(image=DIGIT, label=1)


def _is_expected(path: str, server: TortureServer) -> bool:
    """What a request may leave: exports of version 1, runs and their logs, each under its own folder."""
    own = ("exports", "training", "trainings", "tensorboard", "checkpoints", "models/.staging")
    return any(path.startswith(str(server.data / name)) for name in own)


def _names(secret: Path) -> Iterator[str]:
    """Paths, then what shells, formats, templates, databases and other systems would make something of."""
    yield from ("../../secret.txt", "../" * 12 + "etc/passwd", str(secret), "/etc/passwd", "//etc/passwd")
    yield from (
        "/proc/self/environ",
        "..\\..\\secret.txt",
        "C:\\Windows\\win.ini",
        "\\\\host\\share",
        ".",
        "~",
    )
    yield from (
        "%2e%2e%2fsecret.txt",
        "..%00/secret.txt",
        "secret.txt\0.png",
        "....//secret.txt",
        "~root/.ssh",
    )
    yield from (
        "file:///etc/passwd",
        "$HOME",
        "${DIGITS_NOT_A_SETTING}",
        "`id`",
        "$(id)",
        "; id",
        "| id",
        "\n id",
    )
    yield from ("%s%s%n", "%(name)s", "{0.__class__}", "{self.__init__.__globals__}", "{{7*7}}", "<%= 7*7 %>")
    yield from ("${jndi:ldap://127.0.0.1/a}", "' OR 1=1 --", "1; DROP TABLE samples; --", "__import__('os')")
    yield from ("\u202e\u2066", "\u0000", "\ufeff", "ａ", "é" * 100, "😀" * 50, "a" * 10_000, " ", "\t\r\n")
    yield from ("-rf", "--help", "CON", "NUL", "aux.txt")


def _texts(method: str) -> list[tuple[str, ...]]:
    """Where a request of a method holds texts: the names of the fields that lead there."""
    return list(_paths(_request_of(method), frozenset()))


def _paths(descriptor: Descriptor, above: frozenset[str]) -> Iterator[tuple[str, ...]]:
    if descriptor.full_name in above or descriptor.full_name.startswith("google."):
        return
    for field in descriptor.fields:
        if field.type == FieldDescriptor.TYPE_STRING:
            yield (field.name,)
        elif field.message_type is not None:
            for rest in _paths(field.message_type, above | {descriptor.full_name}):
                yield (field.name, *rest)


def _request_of(method: str) -> Descriptor:
    _, service, name = method.split("/")
    return descriptor_pool.Default().FindServiceByName(service).FindMethodByName(name).input_type


def _with(method: str, path: tuple[str, ...], name: str) -> Message:
    """A request with a text in one place, and what it takes beside it to come that far."""
    request = message_factory.GetMessageClass(_request_of(method))()
    for field in request.DESCRIPTOR.fields:
        if field.name == "image" and field.message_type is DIGIT.DESCRIPTOR:
            request.image.CopyFrom(DIGIT)
        elif field.name == "model_name":
            request.model_name = "digits"
    place = request
    for each in path[:-1]:
        place = _into(place, each)
    last = place.DESCRIPTOR.fields_by_name[path[-1]]
    if last.is_repeated:
        getattr(place, path[-1]).append(name)
    else:
        setattr(place, path[-1], name)
    return request


def _into(place: Message, name: str) -> Message:
    """A message within a message: the first of several, or the one under the odd key of a map."""
    field = place.DESCRIPTOR.fields_by_name[name]
    inner = getattr(place, name)
    if field.message_type.GetOptions().map_entry:
        return message_factory.GetMessageClass(field.message_type)()
    return inner.add() if field.is_repeated else inner


def _try_exports(channel: grpc.Channel, checks: Checks) -> None:
    """The name of an exported file is its own; versions that are none are refused."""
    for version in (-(2**31), -1, 2, 2**31 - 1):
        request = model_pb2.ExportModelRequest(model_version=version, format=model_pb2.EXPORT_FORMAT_ONNX)
        found = call(channel, "/digits.v1.ModelService/ExportModel", [request.SerializeToString()])
        checks.expect(found.code in ("NOT_FOUND", "INVALID_ARGUMENT"), f"version {version} exported: {found}")
    for form in (model_pb2.EXPORT_FORMAT_ONNX, model_pb2.EXPORT_FORMAT_KERAS):
        request = model_pb2.ExportModelRequest(model_version=1, format=form)
        found = call(channel, "/digits.v1.ModelService/ExportModel", [request.SerializeToString()])
        name = model_pb2.ExportModelResponse.FromString(found.reply).header.file_name
        checks.expect(name in ("digits-1.onnx", "digits-1.keras"), f"exported as {name!r}")


def _try_keras(folder: Path, checks: Checks) -> None:
    """A Keras file with a layer of code: refused for its checksum, and with a matching one for what it is."""
    server = TortureServer(folder, DIGITS_MNIST="")
    with running(server):
        pass
    for mends_checksum in (False, True):
        canary = folder / f"ran-{mends_checksum}"
        version = server.data / "models" / "000001"
        kept = folder / "kept"
        shutil.copytree(version, kept)
        _poison(version / "model.keras", canary)
        if mends_checksum:
            _mend(version)
        with running(server), server.channel() as channel:
            request = model_pb2.ExportModelRequest(
                model_version=1, format=model_pb2.EXPORT_FORMAT_SAVED_MODEL
            )
            found = call(
                channel, "/digits.v1.ModelService/ExportModel", [request.SerializeToString()], timeout=300
            )
        checks.expect(found.code != "OK", f"a poisoned Keras file was converted: {found}")
        if not mends_checksum:
            checks.expect(
                found.code in ("FAILED_PRECONDITION", "NOT_FOUND"), f"not refused as damaged: {found}"
            )
        checks.expect(not canary.exists(), "a Keras file ran code")
        shutil.rmtree(version)
        kept.rename(version)


def _poison(path: Path, canary: Path) -> None:
    """Put a layer of code into a Keras file, as Keras itself saves one."""
    code = compile(f"__import__('os').mkdir({str(canary)!r})", "evil", "eval")
    layer = {
        "module": "keras.layers",
        "class_name": "Lambda",
        "config": {
            "name": "evil",
            "function": {
                "class_name": "__lambda__",
                "config": {
                    "code": base64.b64encode(marshal.dumps(code)).decode(),
                    "defaults": None,
                    "closure": None,
                },
            },
        },
        "registered_name": None,
        "build_config": {"input_shape": [None, 10]},
        "name": "evil",
        "inbound_nodes": [],
    }
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    config["config"]["layers"].append(layer)
    members["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def _mend(version: Path) -> None:
    """Write the poisoned file's checksum where the true one stood, as who may write the data folder can."""
    description = json.loads((version / "version.json").read_text())
    description.pop("description_sha256", None)
    data = (version / "model.keras").read_bytes()
    description["files"]["model.keras"] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    text = json.dumps(description, sort_keys=True)
    whole = {**description, "description_sha256": hashlib.sha256(text.encode()).hexdigest()}
    (version / "version.json").write_text(json.dumps(whole))
