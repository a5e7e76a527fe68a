"""What the commands share: exit codes, choices as words, and results as text or as JSON."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import IntEnum
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from digits.client.choices import ContractEnum

Choice = TypeVar("Choice", bound=ContractEnum)
# `add_subparsers` has a type of its own that argparse does not name in public.
Commands = Any
# Images are for the eye, and long.
IMAGES = frozenset({"pixels", "model_input", "drawing", "data"})


class Exit(IntEnum):
    """How a command ended, for scripts."""

    DONE = 0
    REFUSED = 1
    WRONG_USE = 2
    UNAVAILABLE = 3
    FAULT = 4
    INTERRUPTED = 130


class WrongUse(Exception):
    """The command cannot be carried out as it was given. The message says what was expected."""


class Output:
    """Where results go: as lines for a person, or as one line of JSON for a program."""

    def __init__(self, is_json: bool) -> None:
        self.is_json = is_json

    def result(self, value: object, text: str) -> None:
        """Print a result in the form that was asked for. Empty text prints no line."""
        if self.is_json:
            line = json.dumps(plain(value), ensure_ascii=False, allow_nan=False)
        elif text:
            line = text
        else:
            return
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    def note(self, text: str) -> None:
        """Tell a person something beside the result: on stderr."""
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def plain(value: object) -> Any:
    """A record as JSON has it: names as in the contract, choices as words, times in ISO 8601, without
    images."""
    if isinstance(value, ContractEnum):
        return word(value)
    if is_dataclass(value):
        return {
            field.name: plain(getattr(value, field.name))
            for field in fields(value)
            if field.name not in IMAGES
        }
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value


def word(choice: ContractEnum) -> str:
    """A choice as options and JSON write it: MNIST_TEST is mnist_test."""
    return choice.name.lower()


def choice(kind: type[Choice]) -> Callable[[str], Choice]:
    """The type of an option that takes a word for each choice but the unset one."""
    words = {word(member): member for member in kind if member}

    def parse(text: str) -> Choice:
        found = words.get(text.lower().replace("-", "_"))
        if found is None:
            raise argparse.ArgumentTypeError(f"expected one of {', '.join(words)}, got {text!r}")
        return found

    return parse


def digit(text: str) -> int:
    """The type of an option that takes a digit."""
    if text not in list("0123456789"):
        raise argparse.ArgumentTypeError(f"expected a digit from 0 to 9, got {text!r}")
    return int(text)


def add_version(command: argparse.ArgumentParser) -> None:
    """The option that names a model version."""
    command.add_argument(
        "--model-version", type=int, default=0, metavar="N", help="the version; by default the deployed one"
    )


def file(text: str) -> Path:
    """The type of an argument that names a file to read."""
    path = Path(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"expected a file, found none at {text!r}")
    return path


def percent(share: float) -> str:
    """A share in [0, 1] for a person: 99.31 %."""
    return f"{100 * share:.2f} %"


def table(titles: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Rows under their titles, columns as wide as they need to be; numbers to the right."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(line[column]) for line in [list(titles), *cells]) for column in range(len(titles))]
    is_number = [all(isinstance(row[column], int | float) for row in rows) for column in range(len(titles))]
    lines = [
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, is_number, strict=True)
        ).rstrip()
        for line in [list(titles), *cells]
    ]
    return "\n".join(lines)
