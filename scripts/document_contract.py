"""Write docs/reference.md: every service, method, message and field of the contract, with its comments.

python scripts/document_contract.py [--out FILE]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    ServiceDescriptorProto,
)

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
DOCUMENT = ROOT / "docs" / "reference.md"

HEAD = """\
# Reference

<!-- Written by scripts/document_contract.py from proto/; do not edit. -->

The contract as its [.proto files](../proto/digits) have it. What a refused call tells is in
[errors.md](errors.md).
"""

# Numbers of fields in FileDescriptorProto, DescriptorProto and so on: they make the paths of comments.
MESSAGES, ENUMS, SERVICES, NESTED, FIELDS, VALUES, METHODS = 4, 5, 6, 3, 2, 2, 2

Path_ = tuple[int, ...]
Field = FieldDescriptorProto


class Comments:
    """What stands above each part of a file."""

    def __init__(self, file: FileDescriptorProto) -> None:
        self._by_path = {
            tuple(place.path): place.leading_comments.strip() for place in file.source_code_info.location
        }
        # Above the line `syntax`.
        self.file = self._by_path.get((12,), "")

    def of(self, *path: int) -> str:
        """The comment of a part, its lines as they are."""
        return "\n".join(line.strip() for line in self._by_path.get(path, "").splitlines())

    def in_a_row(self, *path: int) -> str:
        """The same in one line, for a table."""
        return " ".join(self.of(*path).split()).replace("|", "\\|")


def describe() -> list[FileDescriptorProto]:
    """Every .proto file of the project, with its comments. Raises CalledProcessError."""
    # The project's own contract before the protocols of others.
    sources = sorted(PROTO.rglob("*.proto"), key=lambda path: (path.parent.name != "v1", path))
    names = [str(path.relative_to(PROTO)) for path in sources]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "files"
        command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTO}", "--include_source_info"]
        subprocess.run([*command, f"--descriptor_set_out={out}", *names], check=True)
        return list(FileDescriptorSet.FromString(out.read_bytes()).file)


def document(files: Sequence[FileDescriptorProto]) -> str:
    """The whole page: the services first, since that is what people look for."""
    parts = [HEAD]
    for file in files:
        comments = Comments(file)
        for index, service in enumerate(file.service):
            parts.append(_service(file, service, comments, index))
    for file in files:
        comments = Comments(file)
        parts.append(f"## {file.name}\n\n{comments.file}\n")
        parts += [_enum(enum, comments, (ENUMS, index)) for index, enum in enumerate(file.enum_type)]
        for index, message in enumerate(file.message_type):
            parts += _messages(message, comments, (MESSAGES, index), "")
    return "\n".join(parts)


def _service(
    file: FileDescriptorProto, service: ServiceDescriptorProto, comments: Comments, index: int
) -> str:
    lines = [f"## {file.package}.{service.name}", "", comments.of(SERVICES, index), ""]
    for number, method in enumerate(service.method):
        asks = ("stream " if method.client_streaming else "") + _short(method.input_type)
        answers = ("stream " if method.server_streaming else "") + _short(method.output_type)
        lines += [f"### {method.name}", "", f"`{asks}` → `{answers}`", ""]
        lines += [comments.of(SERVICES, index, METHODS, number), ""]
    return "\n".join(lines)


def _messages(message: DescriptorProto, comments: Comments, path: Path_, within: str) -> Iterable[str]:
    name = f"{within}{message.name}"
    if not message.options.map_entry:
        yield _message(message, name, comments, path)
    for index, enum in enumerate(message.enum_type):
        yield _enum(enum, comments, (*path, 4, index), f"{name}.")
    for index, nested in enumerate(message.nested_type):
        yield from _messages(nested, comments, (*path, NESTED, index), f"{name}.")


def _message(message: DescriptorProto, name: str, comments: Comments, path: Path_) -> str:
    lines = [f"### {name}", "", comments.of(*path), ""]
    if message.field:
        lines += ["| field | type | number | |", "|---|---|---|---|"]
    for index, field in enumerate(message.field):
        text = comments.in_a_row(*path, FIELDS, index)
        lines.append(f"| `{field.name}` | {_type(field, message)} | {field.number} | {text} |")
    return "\n".join([*lines, ""])


def _enum(enum: EnumDescriptorProto, comments: Comments, path: Path_, within: str = "") -> str:
    lines = [f"### {within}{enum.name}", "", comments.of(*path), "", "| value | number | |", "|---|---|---|"]
    for index, value in enumerate(enum.value):
        lines.append(f"| `{value.name}` | {value.number} | {comments.in_a_row(*path, VALUES, index)} |")
    return "\n".join([*lines, ""])


def _type(field: Field, message: DescriptorProto) -> str:
    """As the .proto file writes it, with what a caller has to know of its presence."""
    entries = {nested.name: nested for nested in message.nested_type if nested.options.map_entry}
    plain = _plain_type(field)
    if field.label == Field.LABEL_REPEATED:
        if entry := entries.get(plain):
            return f"map of {_plain_type(entry.field[0])} to {_plain_type(entry.field[1])}"
        return f"repeated {plain}"
    if field.proto3_optional:
        return f"optional {plain}"
    if field.HasField("oneof_index"):
        return f"{plain}, one of `{message.oneof_decl[field.oneof_index].name}`"
    return plain


def _plain_type(field: Field) -> str:
    if field.type_name:
        return _short(field.type_name)
    return Field.Type.Name(field.type).removeprefix("TYPE_").lower()


def _short(name: str) -> str:
    """`.digits.v1.Model` is Model here; what is of elsewhere keeps its full name."""
    for package in (".digits.v1.", ".inference."):
        if name.startswith(package):
            # Of a nested message only its own name: that is how the file writes it.
            return name.removeprefix(package).rpartition(".")[2]
    return name.removeprefix(".")


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the reference of the contract.")
    parser.add_argument("--out", type=Path, default=DOCUMENT)
    text = document(describe())
    # One blank line at a time, and none at the end.
    while "\n\n\n" in text:
        text = text.replace("\n\n\n", "\n\n")
    parser.parse_args().out.write_text(text.rstrip("\n") + "\n")


if __name__ == "__main__":
    main()
