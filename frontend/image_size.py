"""How large a viewer shows an image file: what boxes over it are measured by."""

from __future__ import annotations

from io import BytesIO

from PIL import ExifTags, Image


def shown_size(data: bytes) -> tuple[int, int] | None:
    """Width and height of an image file as a viewer shows it, from its header; None if it cannot be read."""
    try:
        with Image.open(BytesIO(data)) as image:
            width, height = image.size
            # The orientations from 5 on lie on their side. The server turns JPEGs, and nothing else.
            is_turned = image.format == "JPEG" and image.getexif().get(ExifTags.Base.Orientation, 1) >= 5
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
    return (height, width) if is_turned else (width, height)
