"""Downloads that come compressed although they were asked not to be: inflated as they come, within the cap.

Object stores send what was stored compressed so to everybody, and label plain bytes with codings that code
nothing. The bytes decide more than the label, and the count is of what they hold: a megabyte can hold
gigabytes (F44).
"""

import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping

from imageedit_server.outbound.errors import Unacceptable
from imageedit_server.outbound.inflating import GZIP_MAGIC, MAX_LAYERS

CANNOT_BE_UNDONE = frozenset({"br", "zstd", "compress", "x-compress", "dcb", "dcz"})
PIECE_BYTES = 64 * 1024
_HEAD_BYTES = 4
_PLAIN = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF")
_GZIP, _ZLIB, _BARE = zlib.MAX_WBITS | 16, zlib.MAX_WBITS, -zlib.MAX_WBITS
"""``deflate`` is zlib's form by its standard, and without zlib's head from some servers."""


async def unpacked(
    chunks: AsyncIterator[bytes], headers: Mapping[str, str], max_bytes: int
) -> AsyncGenerator[bytes, None]:
    """Yield the content of ``chunks`` in pieces of at most 64 KiB; of plain bytes the chunks themselves.

    ``headers`` have lower-case names. Raises ``Unacceptable`` for a coding that cannot be undone, for what
    is broken, and beyond ``max_bytes``.
    """
    codings = {word.strip().lower() for word in headers.get("content-encoding", "").split(",")}
    if codings & CANNOT_BE_UNDONE:
        raise Unacceptable("The reply is compressed in a way that was not asked for.")
    for _ in range(MAX_LAYERS):
        chunks = _layer(chunks, "deflate" in codings)
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > max_bytes:
            raise Unacceptable(f"The reply has more than {max_bytes} bytes.")
        yield chunk


async def _layer(chunks: AsyncIterator[bytes], may_be_deflated: bool) -> AsyncGenerator[bytes, None]:
    held, unpack = b"", None
    async for chunk in chunks:
        held += chunk
        if unpack is None and _tells(held, may_be_deflated):
            unpack = _unpacker(held, may_be_deflated)
        if unpack is not None:
            for piece in unpack(held):
                yield piece
            held = b""
    if held:
        yield held


def _tells(head: bytes, may_be_deflated: bool) -> bool:
    """Whether so few bytes say already what they are."""
    return len(head) >= _HEAD_BYTES or not (may_be_deflated or GZIP_MAGIC.startswith(head))


def _unpacker(head: bytes, may_be_deflated: bool) -> Callable[[bytes], Iterator[bytes]]:
    if head.startswith(GZIP_MAGIC):
        return _Inflater(_GZIP)
    if may_be_deflated and not head.startswith(_PLAIN):
        has_zlib_head = head[0] & 0x0F == zlib.DEFLATED and int.from_bytes(head[:2]) % 31 == 0
        return _Inflater(_ZLIB if has_zlib_head else _BARE)
    return lambda chunk: iter((chunk,))


class _Inflater:
    """Called with each piece of a compressed body; yields what it holds. Bytes after its end are dropped."""

    def __init__(self, form: int) -> None:
        self._inflate = zlib.decompressobj(form)

    def __call__(self, data: bytes) -> Iterator[bytes]:
        while data and not self._inflate.eof:
            try:
                piece = self._inflate.decompress(data, PIECE_BYTES)
            except zlib.error:
                raise Unacceptable("The reply is compressed and broken.") from None
            data = self._inflate.unconsumed_tail
            if piece:
                yield piece
