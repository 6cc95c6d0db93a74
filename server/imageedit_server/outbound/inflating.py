"""The content of an answer, whatever it was coded in, up to a cap: a megabyte can hold gigabytes (F44).

The bytes decide more than the label: one that says gzip over plain JSON codes nothing, and some servers code
without a word.
"""

import zlib
from collections.abc import Iterator

from imageedit_server.outbound.answers import Answer
from imageedit_server.outbound.replies import Reply

CODES_NOTHING = frozenset({"", "identity", "none", "utf-8", "utf8", "binary"})
GZIP_MAGIC = b"\x1f\x8b\x08"
MAX_LAYERS = 2
"""Coded by the vendor, and once more by what stands before it."""

_GZIP = zlib.MAX_WBITS | 16
_ZLIB = zlib.MAX_WBITS
_BARE = -zlib.MAX_WBITS
"""``deflate`` is zlib's form by its standard, and without zlib's head from some servers."""

_STEP_BYTES = 64 * 1024


def is_coded(answer: Answer) -> bool:
    """Whether an answer may be much longer than it looks."""
    return answer.body.startswith(GZIP_MAGIC) or "deflate" in _coding(answer)


def reply_of(answer: Answer, max_bytes: int) -> Reply:
    """Return an answer with its content decoded, of which at most ``max_bytes`` are kept."""
    return Reply(answer.status, answer.headers, content_of(answer, max_bytes))


def content_of(answer: Answer, max_bytes: int) -> bytes:
    """Return the content, as far as it came and fits; what cannot be decoded stays as it is."""
    content = answer.body
    for _ in range(MAX_LAYERS):
        if not content.startswith(GZIP_MAGIC):
            break
        content = _inflated(content, _GZIP, max_bytes)
    if content is answer.body and "deflate" in _coding(answer):
        content = _inflated(content, _ZLIB, max_bytes) or _inflated(content, _BARE, max_bytes) or content
    return content


def _coding(answer: Answer) -> str:
    return answer.headers.get("content-encoding", "").lower()


def _inflated(data: bytes, form: int, max_bytes: int) -> bytes:
    """Inflate as much as is sound and fits: a checksum that never came costs nothing."""
    pieces: list[bytes] = []
    left = max_bytes
    for piece in _pieces(data, form):
        pieces.append(piece[:left])
        left -= len(pieces[-1])
        if left == 0:
            break
    return b"".join(pieces)


def _pieces(data: bytes, form: int) -> Iterator[bytes]:
    """Yield the content, of several gzip members too."""
    while data:
        inflater = zlib.decompressobj(form)
        while not inflater.eof:
            try:
                piece = inflater.decompress(data, _STEP_BYTES)
            except zlib.error:
                return
            data = inflater.unconsumed_tail
            if not piece and not data:
                break
            yield piece
        data = inflater.unused_data if form == _GZIP else b""
