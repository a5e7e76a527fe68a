"""How the Mistakes page says what was measured, and what a test of two versions means."""

from __future__ import annotations

from digits.client.choices import Dataset
from digits.client.records import Comparison, Model

from frontend import wording

# The usual bar. What lies above it is not called a difference.
HARDLY_CHANCE = 0.05


def version_name(model: Model) -> str:
    """A version in a list: number, recipe, accuracy, and whether it answers."""
    parts = [f"Version {model.model_version}", model.provenance.recipe]
    if model.evaluation:
        parts.append(wording.percent(model.evaluation.accuracy, 2))
    if model.is_deployed:
        parts.append("deployed")
    return " · ".join(parts)


def dataset_name(dataset: Dataset) -> str:
    """A data set in a list."""
    name = wording.DATASETS[dataset]
    return name[:1].upper() + name[1:]


def verdict(found: Comparison) -> str:
    """What McNemar's test says of two versions, in words that need no course in statistics."""
    fixed, broken = found.fixed, found.broken
    base, candidate = f"version {found.base_version}", f"Version {found.candidate_version}"
    if not fixed and not broken:
        return (
            f"{candidate} and {base} are wrong on exactly the same digits: there is no difference to judge."
        )
    if fixed == broken:
        return (
            f"{candidate} fixes as many digits as it breaks: nothing here tells it from {base}. "
            f"(McNemar's exact test, {p_value(found.p_value)})"
        )
    better, worse = (
        (candidate, base) if fixed > broken else (f"Version {found.base_version}", candidate.lower())
    )
    more, less = max(fixed, broken), min(fixed, broken)
    if found.p_value < HARDLY_CHANCE:
        said = f"{better} is better than {worse}, and that is hardly chance"
    else:
        said = f"This does not show that {better.lower()} is better than {worse}; it may well be chance"
    return (
        f"{said}: if both were equally good, a difference of {more:,} to {less:,}, or a larger one, would "
        f"come up {how_often(found.p_value)}. (McNemar's exact test, {p_value(found.p_value)})"
    )


def how_often(probability: float) -> str:
    """0.04 -> "about once in 25 comparisons"; 0.7 -> "in about 7 of 10 comparisons"."""
    if probability < 0.001:
        return "less than once in 1,000 comparisons"
    if probability < 0.15:
        return f"about once in {round(1 / probability):,} comparisons"
    if probability >= 0.95:
        return "in nearly every comparison"
    return f"in about {round(probability * 10)} of 10 comparisons"


def p_value(probability: float) -> str:
    """0.0123 -> "p = 0.012"; 1e-7 -> "p < 0.001"."""
    if probability < 0.001:
        return "p < 0.001"
    return f"p = {probability:.2f}" if probability >= 0.1 else f"p = {probability:.2g}"
