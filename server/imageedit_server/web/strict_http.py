"""What h11 reads with indulgence, and a proxy in front may read otherwise: refused.

Two that disagree about where a request ends let a stranger put a request of his into another's connection. So
a line ends with CRLF, a header has one line, and there is one word on how long the body is (RFC 9112, 2.2,
5.2 and 6.3). And there are few headers, and few pieces of a body: each costs as much as a request.
"""

import re

from h11 import Connection, RemoteProtocolError
from h11._receivebuffer import ReceiveBuffer as _ReceiveBuffer

from imageedit_server.runtime.versions import ProvenVersions

PROVEN = ProvenVersions(library="h11", first="0.16", below="0.17")
MAX_CHUNKS = 1024
MAX_FIELDS = 100
_LOOSE = re.compile(rb"(?<!\r)\n|\r(?!\n)|\n[ \t]")
_LENGTH, _CODING = b"content-length", b"transfer-encoding"
_MAX_LENGTH_DIGITS = 20


def make_strict(connection: Connection) -> None:
    """Let a connection that nothing was received on yet read strictly."""
    connection._receive_buffer = StrictBuffer()


def check_h11() -> None:
    """Look for all that is overridden. Raises ``Unsupported``."""
    PROVEN.require(Connection, "_receive_buffer")
    PROVEN.require(_ReceiveBuffer, "maybe_extract_lines", "maybe_extract_next_line")
    PROVEN.name_untested()


class StrictBuffer(_ReceiveBuffer):
    """Raises ``RemoteProtocolError``, which is answered with 400 and ends the connection."""

    _chunks = 0

    def maybe_extract_lines(self) -> list[bytearray] | None:
        """Return the lines of a head, or of what follows a chunked body, once they are whole."""
        held = bytes(self)
        lines: list[bytearray] | None = super().maybe_extract_lines()
        if lines is not None:
            self._chunks = 0
            _check_lines(held[: len(held) - len(self)])
            _check_framing(lines)
        return lines

    def maybe_extract_next_line(self) -> bytearray | None:
        """Return the line before a chunk, once it is whole."""
        line: bytearray | None = super().maybe_extract_next_line()
        if line is not None:
            self._chunks += 1
            if self._chunks > MAX_CHUNKS:
                raise RemoteProtocolError("too many chunks")
        return line


def _check_lines(text: bytes) -> None:
    if _LOOSE.search(text):
        raise RemoteProtocolError("a line that does not end with CRLF, or goes on in the next one")


def _check_framing(lines: list[bytearray]) -> None:
    if len(lines) > MAX_FIELDS + 1:
        raise RemoteProtocolError("too many headers")
    fields = [
        (bytes(name).strip().lower(), value.strip())
        for name, _, value in (line.partition(b":") for line in lines[1:])
    ]
    lengths = [value for name, value in fields if name == _LENGTH]
    codings = [value for name, value in fields if name == _CODING]
    if len(lengths) + len(codings) > 1:
        raise RemoteProtocolError("more than one word on how long the body is")
    if lengths and len(lengths[0]) > _MAX_LENGTH_DIGITS:
        raise RemoteProtocolError("a length that cannot be")
    if codings and lines[0].endswith(b"HTTP/1.0"):
        raise RemoteProtocolError("chunks in HTTP/1.0")
