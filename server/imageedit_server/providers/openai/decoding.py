"""Base64 in the dialects that vendors and relays write, and the first bytes of pictures.

Liberal in form: nothing that is not a picture passes for one, since every picture is decoded later (P19).
"""

import re
from urllib.parse import unquote

from imageedit_server.outbound.strict_base64 import read_base64
from imageedit_server.providers.openai.rules import KIB, MIB

MAX_PICTURE_BYTES = 40 * MIB
"""No picture of 3840x2160 is larger, even uncompressed."""
MAX_BASE64_CHARS = MAX_PICTURE_BYTES * 4 // 3 + 64 * KIB

_DATA_URL = re.compile(r"\s*data:([^,\s]{0,200};)?base64,", re.IGNORECASE)
_FROM_URL_SAFE = str.maketrans("-_", "+/")
_ESCAPED_LINE_END = re.compile(r"\\[rn]")

_MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"BM", b"II*\x00", b"MM\x00*")
_BRANDS = re.compile(rb"....ftyp(avif|avis|heic|heix|mif1|msf1)", re.DOTALL)
_LONGEST_MAGIC_CHARS = 64


def decode_base64(text: str) -> bytes:
    """Decode; empty when too long or not Base64.

    No harm do: a data URL's head, white space, line ends that were escaped twice, the alphabet that is safe
    in URLs, what is escaped as in URLs, and padding that is missing or too much.
    """
    head = _DATA_URL.match(text)
    start = head.end() if head else 0
    if len(text) - start > MAX_BASE64_CHARS:
        return b""
    bare = text[start:]
    return _decoded(bare) or _decoded(_mended(bare))


def is_data_url(text: str) -> bool:
    """Whether ``text`` begins as a data URL in Base64."""
    return _DATA_URL.match(text) is not None


def holds_picture(text: str) -> bool:
    """Whether ``text`` begins as the Base64 of a picture does."""
    head = _DATA_URL.match(text)
    start = head.end() if head else 0
    first = "".join(text[start : start + _LONGEST_MAGIC_CHARS].split())
    return is_picture(_decoded(_mended(first[: len(first) // 4 * 4])))


def is_picture(content: bytes) -> bool:
    """Whether ``content`` begins as a picture does, of whatever format: which are taken is decided later."""
    head = content[:16]
    is_webp = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    return head.startswith(_MAGIC) or is_webp or _BRANDS.match(head) is not None


def ends_as_picture(content: bytes) -> bool:
    """Whether a picture of which no length was kept came to its own end."""
    if content.startswith(b"\x89PNG"):
        return b"IEND" in content[-64 * KIB :]
    if content.startswith(b"\xff\xd8"):
        return b"\xff\xd9" in content[-64 * KIB :]
    if content.startswith(b"RIFF"):
        return len(content) >= 8 + int.from_bytes(content[4:8], "little")
    return False


def _decoded(text: str) -> bytes:
    try:
        return read_base64(text)
    except ValueError:
        return b""


def _mended(text: str) -> str:
    """Write Base64 of any dialect in the plain one."""
    plain = unquote(text) if "%" in text else text
    bare = _ESCAPED_LINE_END.sub("", "".join(plain.split())).translate(_FROM_URL_SAFE).rstrip("=")
    return bare + "=" * (-len(bare) % 4)
