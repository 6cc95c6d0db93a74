"""multipart/form-data with every byte ours: the order of the parts, their names and their types."""

import secrets
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass

import httpx

LARGE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a multipart form; ``file_name`` and ``media_type`` are empty for a plain field."""

    name: str
    content: bytes
    file_name: str = ""
    media_type: str = ""


class Form(httpx.AsyncByteStream):
    """A form as a request body that can be sent again; large contents are not copied."""

    def __init__(self, parts: Sequence[Part]) -> None:
        boundary = secrets.token_hex(16)
        self._pieces = tuple(_joined(_pieces(parts, boundary)))
        self.headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(sum(map(len, self._pieces))),
        }

    @property
    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """Its headers as they are on the wire."""
        return [(name.encode(), value.encode()) for name, value in self.headers.items()]

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


def _pieces(parts: Sequence[Part], boundary: str) -> Iterator[bytes]:
    for part in parts:
        yield f"--{boundary}\r\n{_head(part)}\r\n\r\n".encode()
        yield part.content
        yield b"\r\n"
    yield f"--{boundary}--\r\n".encode()


def _joined(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Join small pieces: each that is sent by itself costs a round of the loop and a packet."""
    waiting = bytearray()
    for piece in pieces:
        if len(piece) >= LARGE_BYTES:
            yield bytes(waiting)
            yield piece
            waiting.clear()
        else:
            waiting += piece
    yield bytes(waiting)


def _head(part: Part) -> str:
    head = f'Content-Disposition: form-data; name="{_quoted(part.name)}"'
    if part.file_name:
        head += f'; filename="{_quoted(part.file_name)}"'
    if part.media_type:
        head += f"\r\nContent-Type: {part.media_type}"
    return head


def _quoted(text: str) -> str:
    """Escape as browsers do (WHATWG, multipart/form-data encoding algorithm); the rest stays UTF-8."""
    return text.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")
