"""All tiles of a gallery in one component: a hundred digits arrive in one message and draw at once.

Each tile is a real button with its own alt text. One of them is in the tab order; the arrow keys, Home and
End move between them, Enter or a click opens one. A tile may have a second button below it, such as to mark
it. The image is used as a mask, so that the ink takes the theme's text colour.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import streamlit as st
from digits.client.records import Pixels

from frontend.gallery.ink import data_uri, ink_png, large_image

__all__ = ["Action", "Line", "Tile", "data_uri", "gallery", "ink_png", "large_image"]


@dataclass(frozen=True)
class Line:
    """A line of text below an image, in red where it `is_wrong`."""

    text: str
    is_wrong: bool = False


@dataclass(frozen=True)
class Action:
    """The button of a tile: its text, its name for people who do not see the tile, whether it is pressed."""

    text: str
    name: str
    is_pressed: bool = False


@dataclass(frozen=True, eq=False)
class Tile:
    """One image of a gallery. `key` names it when it is opened; `caption` and `note` stand below it.

    `lines` follow them, each on its own. A tile that `is_marked` has a corner folded over.
    """

    key: int
    pixels: Pixels
    caption: str
    note: str
    alt: str
    lines: Sequence[Line] = ()
    action: Action | None = None
    is_marked: bool = False


def gallery(
    tiles: Sequence[Tile],
    *,
    key: str,
    label: str,
    on_open: Callable[[int], None] | None = None,
    on_action: Callable[[int], None] | None = None,
) -> int | None:
    """Show the tiles, and return the key of the one that was opened just now (once), or None.

    Before the run, `on_open` gets the same key, and `on_action` that of a tile whose own button was pressed.
    """

    def opened() -> None:
        if on_open is not None:
            on_open(int(st.session_state[key]["opened"]))

    def acted() -> None:
        if on_action is not None:
            on_action(int(st.session_state[key]["acted"]))

    tile = _mount(
        key=key,
        data={"label": label, "tiles": [_as_data(tile) for tile in tiles]},
        on_opened_change=opened,
        on_acted_change=acted,
    ).get("opened")
    return None if tile is None else int(tile)


def _as_data(tile: Tile) -> dict[str, Any]:
    return {
        "key": tile.key,
        "image": data_uri(tile.pixels),
        "caption": tile.caption,
        "note": tile.note,
        "alt": tile.alt,
        "lines": [asdict(line) for line in tile.lines],
        "action": asdict(tile.action) if tile.action else None,
        "marked": tile.is_marked,
    }


_HERE = Path(__file__).parent
_mount = st.components.v2.component(
    "digit_gallery",
    html='<div class="gallery" role="group"></div>',
    css=(_HERE / "gallery.css").read_text("utf-8"),
    js=(_HERE / "gallery.js").read_text("utf-8"),
)
