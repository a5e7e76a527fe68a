"""An occlusion map laid over its digit: where the reading rests, in two colours and in words."""

from __future__ import annotations

from html import escape

import numpy as np
from digits.client.records import Explanation, Pixels

from frontend.gallery import data_uri

# Below half a percentage point, a colour would show noise.
LEAST = 0.005


def sheet_html(pixels: Pixels, explanation: Explanation | None, alt: str) -> str:
    """The digit large, each of its pixels to be seen, and over its ink the map: blue for, ochre against."""
    heat = ""
    if explanation is not None and strength(explanation) >= LEAST:
        for name, share in (("for", explanation.occlusion), ("against", -explanation.occlusion)):
            mask = np.rint(np.clip(share / strength(explanation), 0, 1) * 255).astype(np.uint8)
            heat += f'<i class="heat is-{name}" style="--mask:url({data_uri(mask)})"></i>'
    return (
        f'<div class="sheet" role="img" aria-label="{escape(alt)}">'
        f'<i class="ink" style="--mask:url({data_uri(pixels)})"></i>{heat}</div>'
    )


def legend_html(explanation: Explanation) -> str:
    """The colours in words, with how much they stand for."""
    most = strength(explanation)
    if most < LEAST:
        return (
            f'<p class="legend-words">No single part decides: covering any {_square(explanation)} changes '
            f"the probability of {explanation.digit} by less than {LEAST * 100:.1f} points.</p>"
        )
    points = f"{most * 100:.0f}" if most >= 0.1 else f"{most * 100:.1f}"
    return (
        f'<div class="legend" aria-hidden="true"><span>−{points}</span><i></i>'
        f"<span>+{points} points</span></div>"
        f'<p class="legend-words">{words(explanation)}</p>'
    )


def words(explanation: Explanation) -> str:
    """What the map says, as HTML: how much the probability falls, and rises, when a part is covered."""
    falls, rises = float(explanation.occlusion.max()), float(-explanation.occlusion.min())
    covered = f"with a {_square(explanation)} covered there, its probability"
    less, more = f"falls by up to {falls * 100:.1f}", f"rises by up to {rises * 100:.1f}"
    digit, blue, ochre = explanation.digit, "<b class=is-for>Blue</b>", "<b class=is-against>{}</b>"
    if falls >= LEAST and rises >= LEAST:
        said = f"{blue} speaks for {digit}, {ochre.format('ochre')} against it: {covered} {less}, or {more}"
    elif falls >= LEAST:
        said = f"{blue} speaks for {digit}: {covered} {less}"
    else:
        said = f"{ochre.format('Ochre')} speaks against {digit}: {covered} {more}"
    return f"{said} percentage points."


def strength(explanation: Explanation) -> float:
    """The largest change of the probability, in either direction, in [0, 1]."""
    return float(abs(explanation.occlusion).max())


def _square(explanation: Explanation) -> str:
    return f"{explanation.patch_size}×{explanation.patch_size}-pixel square"
