"""What a file's first bytes tell of its pixels. Nothing is decoded, so this may run on the loop."""

import re

from imageedit_server.core.image import Image, Transparency
from imageedit_server.images.structure import png_header

_PNG_MODES = {0: "L", 2: "RGB", 3: "P", 4: "LA", 6: "RGBA"}
_JPEG_MODES = {1: "L", 3: "RGB", 4: "CMYK"}
_JPEG_FRAME = re.compile(rb"\xff[\xc0-\xc3\xc5-\xc7\xc9-\xcb\xcd-\xcf]..\x08....(.)", re.DOTALL)
_MOST_SEGMENTS = 1000


def stored_mode(content: bytes, facts: Image) -> str:
    """Return the mode in which a stored picture is, by Pillow's names; what is not known has an empty one.

    A transparent color, which is no channel, is told behind it: ``RGB+tRNS``.
    """
    match facts.media_type:
        case "image/png":
            return _png_mode(content, keyed=facts.transparency is not Transparency.NONE)
        case "image/jpeg":
            return _jpeg_mode(content)
        case _:
            return "RGB" if facts.transparency is Transparency.NONE else "RGBA"


def _png_mode(content: bytes, *, keyed: bool) -> str:
    depth, color = png_header(content)
    mode = {1: "1", 16: "I;16"}.get(depth, "L") if color == 0 else _PNG_MODES.get(color, "")
    return f"{mode}+tRNS" if keyed and not mode.endswith("A") else mode


def _jpeg_mode(content: bytes) -> str:
    """Step over the segments to the frame's header, which counts the components."""
    start = 2
    for _ in range(_MOST_SEGMENTS):
        if frame := _JPEG_FRAME.match(content, start):
            return _JPEG_MODES.get(frame[1][0], "")
        if content[start : start + 1] != b"\xff":
            break
        start += (
            1
            if content[start + 1 : start + 2] == b"\xff"
            else 2 + int.from_bytes(content[start + 2 : start + 4])
        )
    return ""
