"""A sheet of misread digits as a PNG file: rows of them, each under `Label : 4 | Predict : 9`."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

from digits.cli.command import WrongUse
from digits.client.records import MisclassifiedDigit

COLUMNS = 4
DIGIT_PX = 140
TITLE_PX = 26
GAP_PX = 16
INK, PAPER, WRONG = "#1d2433", "#fdfbf5", "#b3261e"


def sheet(mistakes: Sequence[MisclassifiedDigit]) -> bytes:
    """The PNG file. Raises WrongUse without Pillow."""
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError:
        raise WrongUse("--png draws with Pillow, which is not there: pip install 'digit-lab[png]'") from None
    columns = min(COLUMNS, len(mistakes))
    width, height = DIGIT_PX + GAP_PX, DIGIT_PX + TITLE_PX + GAP_PX
    size = (columns * width + GAP_PX, math.ceil(len(mistakes) / columns) * height + GAP_PX)
    image = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(14)
    for place, mistake in enumerate(mistakes):
        left = GAP_PX + place % columns * width
        top = GAP_PX + place // columns * height
        label = f"Label : {mistake.true_digit} | "
        draw.text((left, top), label, INK, font)
        draw.text(
            (left + draw.textlength(label, font), top), f"Predict : {mistake.predicted_digit}", WRONG, font
        )
        # MNIST is light on dark; paper is the other way round.
        digit = Image.fromarray(255 - mistake.pixels).resize((DIGIT_PX, DIGIT_PX), Image.Resampling.NEAREST)
        image.paste(digit, (left, top + TITLE_PX))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
