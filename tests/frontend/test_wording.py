"""How numbers, times and messages read on the pages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from frontend import wording


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (0.9876, "98.8 %"),
        (0.99996, "> 99.9 %"),
        (1.0, "100.0 %"),
        (0.0002, "< 0.1 %"),
        (0.0, "0.0 %"),
    ],
)
def test_a_share_never_rounds_up_to_certainty_or_down_to_nothing(share: float, shown: str) -> None:
    assert wording.percent(share) == shown


@pytest.mark.parametrize(("share", "shown"), [(1.0, "> 99.9 %"), (0.0, "< 0.1 %"), (0.5, "50.0 %")])
def test_a_model_is_never_said_to_be_certain(share: float, shown: str) -> None:
    assert wording.probability(share) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(8.4, "8 s"), (59.6, "1 min"), (200, "3 min 20 s"), (3900, "1 h 5 min")]
)
def test_durations_are_said_in_the_units_that_matter(seconds: float, shown: str) -> None:
    assert wording.duration(seconds) == shown


@pytest.mark.parametrize(
    ("age", "shown"),
    [
        (timedelta(seconds=5), "just now"),
        (timedelta(minutes=5, seconds=3), "5 min ago"),
        (timedelta(hours=3), "3 h ago"),
        (timedelta(days=2), "10 Mar 2025"),
    ],
)
def test_recent_times_are_said_as_ages_and_old_ones_as_dates(age: timedelta, shown: str) -> None:
    now = datetime(2025, 3, 12, 12, tzinfo=UTC)

    assert wording.ago(now - age, now) == shown


def test_sizes_have_one_unit() -> None:
    assert wording.size(431_200) == "431 kB"
    assert wording.size(999_800) == "1.0 MB"


def test_counts_agree_with_their_noun() -> None:
    assert wording.count(1, "mistake") == "1 mistake"
    assert wording.count(10_000, "image") == "10,000 images"


def test_a_servers_message_becomes_a_sentence() -> None:
    assert wording.sentence("expected PNG, got 12 bytes") == "Expected PNG, got 12 bytes."
    assert wording.sentence("") == ""


@pytest.mark.parametrize(
    "text", ["Convolutional network, best", "cnn-2 (v1.0)", "98\u00a0% in 3 s: faster, 'best'"]
)
def test_a_plain_text_goes_into_a_label_as_it_is(text: str) -> None:
    assert wording.plain(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("**big**", r"\*\*big\*\*"),
        ("![a](b) [c](d)", r"\!\[a\](b) \[c\](d)"),
        ("<b>", r"\<b\>"),
        ("$x$ `y` ~z~", r"\$x\$ \`y\` \~z\~"),
        (":red[a] :+1:", ":\u2060red\\[a\\] :\u2060+1:"),
        ("http://a www.b a@b", "http:\u2060//a www\u2060.b a@\u2060b"),
        ("a\n\n# b", r"a  \# b"),
        ("a\\", r"a\\"),
    ],
)
def test_signs_of_markdown_are_shown_and_do_nothing(text: str, shown: str) -> None:
    assert wording.plain(text) == shown
