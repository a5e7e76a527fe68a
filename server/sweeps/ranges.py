"""What an option may be in the trials of a sweep, checked before anything is drawn from it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Literal

from server.errors import InvalidOption
from server.recipes import RANGES, Activation, Architecture, Augmentation, Optimizer

MAX_VALUES = 20

# What may be tried. Not the seed, which would only tell luck, nor the epochs: trials are compared by them.
CHOICES: Mapping[str, type[StrEnum]] = MappingProxyType(
    {
        "architecture": Architecture,
        "activation": Activation,
        "optimizer": Optimizer,
        "augmentation": Augmentation,
    }
)
IS_WHOLE: Mapping[str, bool] = MappingProxyType({"learning_rate": False, "batch_size": True})
# A drawn rate is as precise as anybody cares for, and can be read.
SIGNIFICANT_DIGITS = 4

Value = StrEnum | float | int


@dataclass(frozen=True)
class SweepRange:
    """What an option may be: either from `min` to `max`, both included, or one of `values`."""

    option: str
    min: float | None = None
    max: float | None = None
    logarithmic: bool = False
    """Drawn evenly by the logarithm of the value."""
    values: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values by name; `from_json` reads them back."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> SweepRange:
        """The range that `to_json` gave."""
        return cls(**{**values, "values": tuple(values["values"])})

    def at(self, place: float) -> Value:
        """The value at a place in [0, 1): a range's lower end is at 0, and values have equal shares of it."""
        if self.values:
            return parse(self.option, self.values[int(place * len(self.values))], "values")
        low, high = self._ends()
        last = high
        is_whole = IS_WHOLE[self.option]
        if is_whole:
            high += 1  # Whole numbers have equal shares too, the last one included.
        if self.logarithmic:
            value = math.exp(math.log(low) + place * (math.log(high) - math.log(low)))
        else:
            value = low + place * (high - low)
        if is_whole:
            return min(max(int(value), int(low)), int(last))
        return min(max(float(f"{value:.{SIGNIFICANT_DIGITS}g}"), low), high)

    @property
    def size(self) -> float:
        """How many different values there are; infinite for a range of numbers that need not be whole."""
        if self.values:
            return len(self.values)
        low, high = self._ends()
        if low == high:
            return 1
        return int(high) - int(low) + 1 if IS_WHOLE[self.option] else math.inf

    def _ends(self) -> tuple[float, float]:
        if self.min is None or self.max is None:
            raise ValueError(f"expected a range that was checked, got {self}")
        return self.min, self.max


def check_ranges(ranges: Sequence[SweepRange], overrides: Mapping[str, object]) -> None:
    """Return for ranges that can be drawn from, beside the options that are set for all trials.

    Raises InvalidOption, whose field is the path in the request, such as `ranges[0].min`.
    """
    if not ranges:
        raise InvalidOption("ranges", "expected at least one range to draw options from, got none")
    seen: set[str] = set()
    for place, tried in enumerate(ranges):
        where = f"ranges[{place}]"
        if tried.option not in CHOICES and tried.option not in IS_WHOLE:
            known = ", ".join(sorted((*CHOICES, *IS_WHOLE)))
            raise InvalidOption(f"{where}.option", f"expected one of {known}, got {tried.option!r}")
        if tried.option in seen:
            raise InvalidOption(f"{where}.option", f"expected each option once, got {tried.option!r} again")
        seen.add(tried.option)
        if tried.option in overrides:
            raise InvalidOption(
                f"options.{tried.option}", f"expected it unset, because {where} tries it, got both"
            )
        if tried.values:
            _check_values(tried, where)
        else:
            _check_ends(tried, where)


def parse(option: str, text: str, field: str) -> Value:
    """A value of an option as text, such as "relu" or "0.01". Raises InvalidOption for `field`."""
    if option in CHOICES:
        try:
            return CHOICES[option](text)
        except ValueError:
            known = ", ".join(sorted(CHOICES[option]))
            raise InvalidOption(field, f"expected one of {known}, got {text!r}") from None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    return _number(option, value, field, repr(text))


def _check_values(tried: SweepRange, where: str) -> None:
    if tried.min is not None or tried.max is not None or tried.logarithmic:
        raise InvalidOption(
            f"{where}.values", "expected either values, or min and max (which may be logarithmic), got both"
        )
    if len(tried.values) > MAX_VALUES:
        raise InvalidOption(
            f"{where}.values", f"expected at most {MAX_VALUES} values, got {len(tried.values)}"
        )
    known: set[Value] = set()
    for place, text in enumerate(tried.values):
        field = f"{where}.values[{place}]"
        value = parse(tried.option, text, field)
        if value in known:
            raise InvalidOption(field, f"expected each value once, got {text!r} again")
        known.add(value)


def _check_ends(tried: SweepRange, where: str) -> None:
    if tried.option in CHOICES:
        known = ", ".join(sorted(CHOICES[tried.option]))
        raise InvalidOption(f"{where}.values", f"expected one or more of {known}, got none")
    low, high = (_end(tried, where, end) for end in ("min", "max"))
    if low > high:
        raise InvalidOption(f"{where}.max", f"expected at least min, which is {low:.10g}, got {high:.10g}")


def _end(tried: SweepRange, where: str, end: Literal["min", "max"]) -> float:
    value = tried.min if end == "min" else tried.max
    if value is None:
        missing = "neither, and no values" if tried.min is tried.max else "none"
        raise InvalidOption(f"{where}.{end}", f"expected min and max, or values, got {missing}")
    return _number(tried.option, value, f"{where}.{end}", f"{value:.10g}")


def _number(option: str, value: float, field: str, given: str) -> float | int:
    limits, is_whole = RANGES[option], IS_WHOLE[option]
    # NaN lies in no range.
    if not limits.min <= value <= limits.max or (is_whole and value != int(value)):
        kind = "a whole number" if is_whole else "a number"
        raise InvalidOption(
            field, f"expected {kind} from {limits.min:.10g} to {limits.max:.10g}, got {given}"
        )
    return int(value) if is_whole else value
