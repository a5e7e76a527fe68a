"""How the pages say numbers, times and names: each with its unit, each the same everywhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from digits.client.choices import Dataset, Interpolation
from digits.client.records import Evaluation

DATASETS: Mapping[Dataset, str] = {
    Dataset.UNSPECIFIED: "unknown data",
    Dataset.MNIST_TEST: "MNIST test set",
    Dataset.BUILTIN_DIGITS: "built-in digits",
    Dataset.BUILTIN_TEST: "built-in test digits",
}
INTERPOLATIONS: Mapping[Interpolation, str] = {
    Interpolation.BILINEAR: "Bilinear",
    Interpolation.NEAREST: "Nearest",
    Interpolation.AREA: "Area",
    Interpolation.CUBIC: "Cubic",
}


def percent(share: float, decimals: int = 1) -> str:
    """0.98765 -> "98.8 %", and never a rounded-up certainty: 0.99996 -> "> 99.9 %"."""
    shown = f"{share * 100:.{decimals}f}"
    if share < 1.0 and float(shown) >= 100.0:
        return f"> {100 - 10**-decimals:.{decimals}f} %"
    if share > 0.0 and float(shown) <= 0.0:
        return f"< {10**-decimals:.{decimals}f} %"
    return f"{shown} %"


def probability(share: float) -> str:
    """A model's probability: 1.0 -> "> 99.9 %", 0.0 -> "< 0.1 %"; it is never certain, only rounded so."""
    return percent(min(max(share, 1e-6), 1 - 1e-6))


def accuracy(evaluation: Evaluation) -> str:
    """An accuracy with its 95 % interval: "99.52 % (99.36–99.64 %)"."""
    low, high = evaluation.accuracy_low * 100, evaluation.accuracy_high * 100
    return f"{percent(evaluation.accuracy, 2)} ({low:.2f}–{high:.2f} %)"


def count(number: int, one: str, many: str | None = None) -> str:
    """1 -> "1 image", 10000 -> "10,000 images"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def a_digit(digit: int) -> str:
    """7 -> "a 7", 8 -> "an 8"."""
    return f"{'an' if digit == 8 else 'a'} {digit}"


def size(size_bytes: int) -> str:
    """A file size: "431 kB", "1.7 MB"."""
    return f"{size_bytes / 1e6:.1f} MB" if size_bytes >= 999_500 else f"{size_bytes / 1e3:.0f} kB"


def duration(seconds: float) -> str:
    """A time span in words: "8 s", "3 min 20 s", "1 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def ago(moment: datetime, now: datetime | None = None) -> str:
    """How long ago: "just now", "5 min ago", "3 h ago", then the date "12 Mar 2025"."""
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    if seconds < 60:
        return "just now"
    if seconds < 3600:
        return f"{int(seconds // 60)} min ago"
    if seconds < 86400:
        return f"{int(seconds // 3600)} h ago"
    return f"{moment.day} {moment:%b %Y}"


def sentence(message: str) -> str:
    """A server's message as a sentence: "expected PNG, got 12 bytes" -> "Expected PNG, got 12 bytes."."""
    message = message.strip()
    ending = "" if message.endswith((".", "!", "?")) else "."
    return message[:1].upper() + message[1:] + ending if message else ""


def plain(text: str) -> str:
    """A text of others for a label, which Streamlit reads as Markdown: every sign is shown as it is.

    Streamlit makes icons, colours and emoji of what follows a colon, and links of addresses, escaped or not:
    there a sign without width comes in between.
    """
    escaped = re.sub(r"([\\`*_{}\[\]<>#!|$~&=])", r"\\\1", " ".join(text.splitlines()))
    return re.sub(r"(:(?=\S)|@|[Ww]{3}(?=\.))", "\\1\u2060", escaped)
