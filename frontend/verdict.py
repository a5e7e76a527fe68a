"""How a new version did at the gate, in words and figures: why it serves, or stayed a candidate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape

from digits.client.choices import GateData
from digits.client.records import Evaluation, GateComparison, GateReport

from frontend.wording import DATASETS, count, percent

NAMES: Mapping[GateData, str] = {
    GateData.UNSPECIFIED: "Unknown images",
    GateData.VALIDATION: "Validation digits",
    GateData.SAMPLES: "My digits",
}
RULE = (
    "The gate: not worse than the deployed version on validation digits beyond the noise, "
    "and better or equal on My digits."
)


def verdict(gate: GateReport, version: int, *, is_deployed: bool) -> str:
    """What became of a version, in a sentence."""
    if not gate.passed:
        so = "A person has deployed it all the same." if is_deployed else "It stays a candidate."
        return f"Version {version} did not pass the gate. {so}"
    passed = "it passed the gate" if gate.serving_version else "no version was deployed before it"
    return f"Version {version} is deployed: {passed}." if is_deployed else f"Version {version}: {passed}."


def gate_html(gate: GateReport, version: int, tests: tuple[Evaluation, Evaluation] | None = None) -> str:
    """The reasons, and both versions on the same images. `tests`, before and after, decides nothing.

    Without a version to compare with there is nothing to show, and the text is empty.
    """
    if not gate.serving_version:
        return ""
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in gate.reasons)
    rows = "".join(_rows(gate.comparisons, tests))
    return (
        f'<div class="gate">{f"<ul>{reasons}</ul>" if reasons else ""}<table><thead><tr>'
        f'<th scope="col">Read right</th><th scope="col">Version {gate.serving_version}</th>'
        f'<th scope="col">Version {version}</th><th scope="col">Difference, points'
        "<span>95 % interval</span></th>"
        f"</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _rows(
    comparisons: Iterable[GateComparison], tests: tuple[Evaluation, Evaluation] | None
) -> Iterable[str]:
    for each in comparisons:
        if not each.images:
            yield _row(NAMES[each.data], "none that both can be measured on", None, "–", "")
            continue
        span = f"{points(each.difference_low)} to {points(each.difference_high)}"
        mark = "passed" if each.passed else "not passed"
        shares = (each.accuracy, each.serving_accuracy)
        unseen = ", each unseen" if each.data is GateData.SAMPLES else ""
        about = count(each.images, "image") + unseen
        yield _row(NAMES[each.data], about, shares, points(each.difference), span, mark)
    if tests is not None:
        before, after = tests
        shares = (after.accuracy, before.accuracy)
        name = DATASETS[after.dataset]
        said = f"{count(after.images, 'image')}, reported only"
        yield _row(name[:1].upper() + name[1:], said, shares, points(shares[0] - shares[1]), "")


def _row(
    name: str, about: str, shares: tuple[float, float] | None, difference: str, span: str, mark: str = ""
) -> str:
    new, old = ("–", "–") if shares is None else (percent(shares[0], 2), percent(shares[1], 2))
    tone = {"passed": "is-passed", "not passed": "is-held"}.get(mark, "")
    return (
        f'<tr class="{tone}"><th scope="row">{escape(name)}<span>{escape(about)}</span></th>'
        f"<td>{old}</td><td>{new}</td><td><b>{difference}</b><span>{span}</span><em>{mark}</em></td></tr>"
    )


def points(share: float) -> str:
    """A difference of two shares in percentage points: 0.0123 -> "+1.23", with a true minus sign."""
    shown = f"{share * 100:+.2f}"
    return "0.00" if float(shown) == 0 else shown.replace("-", "−")
