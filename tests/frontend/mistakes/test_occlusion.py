"""An occlusion map over its digit, and the same in words."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import numpy.typing as npt
from digits.client.records import Explanation, Prediction, Timings
from PIL import Image

from frontend.mistakes.occlusion import legend_html, sheet_html

PIXELS = np.zeros((28, 28), np.uint8)


def explained(occlusion: npt.NDArray[np.float32]) -> Explanation:
    """The explanation of a 7 with this map."""
    return Explanation(
        prediction=Prediction(7, 0.9, (0.0,) * 10, PIXELS),
        digit=7,
        occlusion=occlusion,
        patch_size=6,
        neighbours=(),
        neighbours_missing="there are none",
        model_version=1,
        timings=Timings(0, 0, 0, 0, 0),
    )


def opacity(html: str, name: str) -> npt.NDArray[np.uint8]:
    """How strongly one colour of the map shows, (28, 28) uint8."""
    found = re.search(rf'is-{name}" style="--mask:url\(data:image/png;base64,([^)]+)\)', html)
    assert found
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(found[1]))))[..., 1]


def test_both_colours_are_as_strong_as_their_share_of_the_largest_change() -> None:
    occlusion = np.zeros((28, 28), np.float32)
    occlusion[5, 6], occlusion[20, 21] = 0.8, -0.2

    html = sheet_html(PIXELS, explained(occlusion), "a seven")

    speaks_for, against = opacity(html, "for"), opacity(html, "against")
    assert (speaks_for[5, 6], against[20, 21]) == (255, 64)
    assert np.count_nonzero(speaks_for) == np.count_nonzero(against) == 1


def test_the_map_is_said_in_words_with_its_unit() -> None:
    occlusion = np.zeros((28, 28), np.float32)
    occlusion[5, 6], occlusion[20, 21] = 0.8, -0.2

    said = re.sub("<[^>]+>", "", legend_html(explained(occlusion)))

    assert said.endswith(
        "Blue speaks for 7, ochre against it: with a 6×6-pixel square covered there, its probability falls "
        "by up to 80.0, or rises by up to 20.0 percentage points."
    )


def test_what_changes_next_to_nothing_gets_no_colour() -> None:
    explanation = explained(np.full((28, 28), 0.001, np.float32))

    assert "heat" not in sheet_html(PIXELS, explanation, "a seven")
    assert "No single part decides" in legend_html(explanation)


def test_what_is_said_of_the_digit_is_plain_text() -> None:
    assert "<b>" not in sheet_html(PIXELS, None, "<b>seven</b>")
