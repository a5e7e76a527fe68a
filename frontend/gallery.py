"""All tiles of a gallery in one component: a hundred digits arrive in one message and draw at once.

Each tile is a real button with its own alt text. One of them is in the tab order; the arrow keys, Home and
End move between them, Enter or a click opens one. The image is used as a mask, so that the ink takes the
theme's text colour.
"""

from __future__ import annotations

import base64
import io
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import streamlit as st

from frontend.records import Pixels


@dataclass(frozen=True, eq=False)
class Tile:
    """One image of a gallery. `key` names it when it is opened; `caption` and `note` stand below it."""

    key: int
    pixels: Pixels
    caption: str
    note: str
    alt: str


def gallery(tiles: Sequence[Tile], *, key: str, label: str) -> int | None:
    """Show the tiles, and return the key of the one that was opened just now (once), or None."""
    opened = _mount(
        key=key,
        data={
            "label": label,
            "tiles": [
                {
                    "key": tile.key,
                    "image": data_uri(tile.pixels),
                    "caption": tile.caption,
                    "note": tile.note,
                    "alt": tile.alt,
                }
                for tile in tiles
            ],
        },
        on_opened_change=lambda: None,
    ).get("opened")
    return None if opened is None else int(opened)


def large_image(pixels: Pixels, *, alt: str, size_px: int = 252) -> None:
    """Show one digit large, in the colour of the text, each of its 28x28 pixels to be seen."""
    mask = f"url({data_uri(pixels)}) 0 0 / 100% 100%"
    st.html(
        f'<div role="img" aria-label="{escape(alt)}" style="inline-size:{size_px}px;max-inline-size:100%;'
        f"aspect-ratio:1;background:currentColor;-webkit-mask:{mask};mask:{mask};image-rendering:pixelated;"
        'forced-color-adjust:none"></div>'
    )


def data_uri(pixels: Pixels) -> str:
    """The address of a PNG that holds the ink of a (28, 28) uint8 image as its opacity."""
    return "data:image/png;base64," + base64.b64encode(ink_png(pixels)).decode()


def ink_png(pixels: Pixels) -> bytes:
    """Write a (H, W) uint8 image as a PNG of black ink: the value is the opacity, 0 = transparent."""
    height, width = pixels.shape
    grey_alpha = np.zeros((height, width, 2), np.uint8)
    grey_alpha[..., 1] = pixels
    # Each row begins with its filter: 0 = none.
    rows = np.concatenate([np.zeros((height, 1), np.uint8), grey_alpha.reshape(height, -1)], axis=1)
    png = io.BytesIO()
    png.write(b"\x89PNG\r\n\x1a\n")
    for name, body in (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 4, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows.tobytes(), 6)),
        (b"IEND", b""),
    ):
        png.write(struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)))
    return png.getvalue()


_CSS = """
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(100px, 1fr)); gap: 8px;
  padding: 4px; max-block-size: 31rem; overflow-y: auto; scrollbar-width: thin;
  scrollbar-color: var(--st-border-color) transparent; }
button { all: unset; box-sizing: border-box; display: flex; flex-direction: column; align-items: center;
  padding: 8px 2px 6px; border: 1px solid var(--st-border-color); border-radius: 8px; cursor: pointer;
  font-family: var(--st-font); color: var(--st-text-color); background: var(--st-background-color);
  transition: border-color .12s; }
button:hover { border-color: var(--st-primary-color); }
button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 1px; }
.ink { inline-size: 84px; block-size: 84px; background: currentColor; image-rendering: pixelated;
  -webkit-mask: var(--image) 0 0 / 100% 100%; mask: var(--image) 0 0 / 100% 100%; forced-color-adjust: none; }
.caption { margin-top: 4px; font-size: 12px; white-space: nowrap; line-height: 1.35; }
.note { font-size: 12px; line-height: 1.35; opacity: .7; font-variant-numeric: tabular-nums; }
@media (prefers-reduced-motion: reduce) { button { transition: none; } }
"""

_JS = """
export default function ({ data, parentElement, setTriggerValue }) {
  const box = parentElement.querySelector('.gallery');
  const shown = JSON.stringify(data);
  // A rerun with the same tiles must not take the keyboard focus away.
  if (box.dataset.shown === shown) return;
  box.dataset.shown = shown;
  box.setAttribute('aria-label', data.label);
  const focused = parentElement.activeElement?.dataset?.key;

  const tiles = data.tiles.map((tile, place) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.tabIndex = place === 0 ? 0 : -1;
    button.setAttribute('aria-label', tile.alt);
    button.dataset.key = tile.key;
    const part = (name, text) => {
      const span = document.createElement('span');
      span.className = name;
      span.textContent = text;
      button.append(span);
      return span;
    };
    part('ink', '').style.setProperty('--image', `url(${tile.image})`);
    part('caption', tile.caption);
    part('note', tile.note);
    button.onclick = () => { hold(place); setTriggerValue('opened', tile.key); };
    return button;
  });

  const hold = (place) => tiles.forEach((tile, at) => { tile.tabIndex = at === place ? 0 : -1; });
  box.onkeydown = (event) => {
    const at = tiles.indexOf(parentElement.activeElement ?? document.activeElement);
    if (at < 0) return;
    const columns = getComputedStyle(box).gridTemplateColumns.split(' ').length;
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, ArrowDown: at + columns, ArrowUp: at - columns,
      Home: 0, End: tiles.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    if (tiles[to]) { hold(to); tiles[to].focus(); }
  };
  box.replaceChildren(...tiles);
  // Other tiles have come under somebody's fingers: the focus stays on the same one, or goes to the first.
  if (focused !== undefined) {
    const place = Math.max(0, tiles.findIndex((tile) => tile.dataset.key === focused));
    if (tiles[place]) { hold(place); tiles[place].focus({ preventScroll: true }); }
  }
}
"""

_mount = st.components.v2.component(
    "digit_gallery", html='<div class="gallery" role="group"></div>', css=_CSS, js=_JS
)
