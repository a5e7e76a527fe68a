"""The words and figures for how a new version did at the gate."""

from __future__ import annotations

from digits.client.choices import GateData
from digits.client.records import GateComparison, GateReport

from frontend.verdict import gate_html, verdict

VALIDATION = GateComparison(GateData.VALIDATION, 5000, 0.991, 0.993, -0.002, -0.0039, -0.0004, passed=False)
SAMPLES = GateComparison(GateData.SAMPLES, 37, 0.9, 0.7, 0.2, 0.05, 0.35, passed=True)
HELD = GateReport(False, 1, (VALIDATION, SAMPLES), ("It reads <fewer> of the validation digits.",))


def test_a_version_that_passed_says_whether_it_answers() -> None:
    passed = GateReport(True, 1, (SAMPLES,), ())

    assert verdict(passed, 2, is_deployed=True) == "Version 2 is deployed: it passed the gate."
    assert verdict(passed, 2, is_deployed=False) == "Version 2: it passed the gate."


def test_a_version_that_did_not_pass_is_a_candidate_until_a_person_deploys_it() -> None:
    assert verdict(HELD, 2, is_deployed=False) == "Version 2 did not pass the gate. It stays a candidate."
    assert "A person has deployed it all the same." in verdict(HELD, 2, is_deployed=True)


def test_the_first_version_passes_and_has_nothing_to_be_compared_with() -> None:
    first = GateReport(True, 0, (), ())

    assert "no version was deployed before it" in verdict(first, 1, is_deployed=True)
    assert gate_html(first, 1) == ""


def test_each_comparison_has_its_images_shares_difference_and_interval() -> None:
    html = gate_html(HELD, 2)

    assert "Validation digits<span>5,000 images</span>" in html
    assert "<td>99.30 %</td><td>99.10 %</td><td><b>−0.20</b><span>−0.39 to −0.04</span>" in html
    assert "My digits<span>37 images, each unseen</span>" in html
    assert "<td>70.00 %</td><td>90.00 %</td><td><b>+20.00</b><span>+5.00 to +35.00</span>" in html
    assert "Difference, points" in html


def test_reasons_are_told_and_never_taken_for_html() -> None:
    assert "<li>It reads &lt;fewer&gt; of the validation digits.</li>" in gate_html(HELD, 2)


def test_what_could_not_be_measured_says_so() -> None:
    nothing = GateComparison(GateData.SAMPLES, 0, 0.0, 0.0, 0.0, 0.0, 0.0, passed=False)

    html = gate_html(GateReport(False, 1, (nothing,), ("None can tell.",)), 2)

    assert "My digits<span>none that both can be measured on</span>" in html
    assert "<td>–</td><td>–</td>" in html
