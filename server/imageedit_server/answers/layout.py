"""What stands where in the file of one answer. Places are fixed, so that no vendor's body forges a record.

    0 to 8 KiB        who asked: ``Asked``
    8 to 36 KiB       status and headers
    36 to 40 KiB      how it ended, and how long the body is
    from 40 KiB       the body, as it came

A record is a mark, its length, a checksum and JSON. What a crash left half written is no record.
"""

import json
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from isal.isal_zlib import crc32

from imageedit_server.outbound.answers import Answer, Ended

KIB = 1024
ASKED_AT = 0
HEAD_AT = 8 * KIB
END_AT = 36 * KIB
BODY_AT = 40 * KIB
NOTE_CHARS = 500

_MARK = b"imed-A1\n"
_RECORD = struct.Struct(">8sII")


class TooLong(ValueError):
    """What is to be said does not fit its place in the file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """Who made a paid call, so that its answer alone is enough after a restart or an upgrade.

    ``call`` counts the calls of one attempt from 1: a provider with a key of ours may be called again.
    ``token_sha256`` is the attempt's, in hex. ``version`` is that of the server that made the call.
    """

    task_id: str
    attempt: int
    call: int = 1
    token_sha256: str
    provider: str
    version: str
    call_time: datetime
    brief: Mapping[str, Any]


def asked_record(asked: Asked) -> bytes:
    """Return the record of who asked. Raises ``TooLong`` for a brief that does not fit."""
    fields = {
        "task_id": asked.task_id,
        "attempt": asked.attempt,
        "call": asked.call,
        "token_sha256": asked.token_sha256,
        "provider": asked.provider,
        "version": asked.version,
        "call_time": asked.call_time.isoformat(),
        "brief": dict(asked.brief),
    }
    return _record(fields, HEAD_AT - ASKED_AT)


def head_record(status: int, headers: Mapping[str, str]) -> bytes:
    """Return the record of a head; headers that do not fit are left out, the longest first."""
    kept = dict(headers)
    while True:
        try:
            return _record({"status": status, "headers": kept}, END_AT - HEAD_AT)
        except TooLong:
            del kept[max(kept, key=lambda name: len(kept[name]) + len(name))]


def end_record(ended: Ended, note: str, *, size_bytes: int, crc: int, answer_time: datetime) -> bytes:
    """Return the record of an end: ``size_bytes`` and ``crc`` (CRC-32) are those of the body as written."""
    fields = {
        "ended": ended.value,
        "note": note[:NOTE_CHARS],
        "size_bytes": size_bytes,
        "crc": crc,
        "answer_time": answer_time.isoformat(),
    }
    return _record(fields, BODY_AT - END_AT)


def read_asked(descriptor: int) -> Asked | None:
    """Return who asked; None where that was never written, or not to its end."""
    found = _read(descriptor, ASKED_AT, HEAD_AT)
    if found is None:
        return None
    return Asked(
        task_id=found["task_id"],
        attempt=found["attempt"],
        call=found.get("call", 1),
        token_sha256=found["token_sha256"],
        provider=found["provider"],
        version=found.get("version", ""),
        call_time=datetime.fromisoformat(found["call_time"]),
        brief=found.get("brief", {}),
    )


def has_head(descriptor: int) -> bool:
    """Whether a head came."""
    return _read(descriptor, HEAD_AT, END_AT) is not None


def read_answer(descriptor: int, *, most_bytes: int) -> Answer | None:
    """Return what a file holds, of the body at most ``most_bytes``; None for one without a head.

    It is ``LOST`` without its end: where the process died, or the power went before all of it was on the
    disk. What is there counts by its content, and as whole where the vendor had said how long it is.
    """
    asked, head = read_asked(descriptor), _read(descriptor, HEAD_AT, END_AT)
    if asked is None or head is None:
        return None
    body = _read_at(descriptor, BODY_AT, most_bytes)
    ended, note, answer_time = _end_of(descriptor, head["headers"], body)
    return Answer(
        status=head["status"],
        headers=head["headers"],
        body=body,
        ended=ended,
        note=note,
        brief=asked.brief,
        call_time=asked.call_time,
        answer_time=answer_time,
    )


def size_of_body(descriptor: int) -> int:
    """Return how many bytes of the body are there."""
    return max(os.fstat(descriptor).st_size - BODY_AT, 0)


def _end_of(descriptor: int, headers: Mapping[str, str], body: bytes) -> tuple[Ended, str, datetime]:
    end = _read(descriptor, END_AT, BODY_AT)
    if end is not None and len(body) >= end["size_bytes"] and crc32(body) == end["crc"]:
        return Ended(end["ended"]), end["note"], datetime.fromisoformat(end["answer_time"])
    written = datetime.fromtimestamp(os.fstat(descriptor).st_mtime, UTC)
    if end is None and headers.get("content-length", "") == str(len(body)):
        return Ended.WHOLE, "", written
    return Ended.LOST, "The end of the answer was not stored.", written


def _record(fields: Mapping[str, Any], room: int) -> bytes:
    text = json.dumps(fields, separators=(",", ":")).encode()
    if _RECORD.size + len(text) > room:
        raise TooLong(f"{len(text)} bytes do not fit into {room}")
    return _RECORD.pack(_MARK, len(text), crc32(text)) + text


def _read(descriptor: int, start: int, end: int) -> dict[str, Any] | None:
    """Return the record at a place; None where none was written to its end."""
    stored = _read_at(descriptor, start, end - start)
    if len(stored) < _RECORD.size:
        return None
    mark, length, crc = _RECORD.unpack_from(stored)
    text = stored[_RECORD.size : _RECORD.size + length]
    if mark != _MARK or len(text) != length or crc32(text) != crc:
        return None
    fields: dict[str, Any] = json.loads(text)
    return fields


def _read_at(descriptor: int, start: int, most: int) -> bytes:
    pieces = []
    while most > 0 and (piece := os.pread(descriptor, min(most, 1024 * KIB), start)):
        pieces.append(piece)
        start += len(piece)
        most -= len(piece)
    return b"".join(pieces)
