"""What is written is read again; what a crash left half written is never taken for the whole (P31)."""

import json
import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imageedit_server.answers import layout
from imageedit_server.answers.reading import asked_in, read_file, stored_in
from imageedit_server.outbound.answers import Answer, Ended
from tests.answers.conftest import ANSWERED, CALLED, asked

HEADERS = {"content-type": "application/json"}
BODY = b'{"data": [{"b64_json": "' + bytes(range(256)) + b'"}]}'


def file_of(
    body: bytes,
    *,
    headers: Mapping[str, str] = HEADERS,
    status: int = 200,
    ended: Ended | None = Ended.WHOLE,
    note: str = "",
    brief: Mapping[str, Any] | None = None,
) -> bytes:
    """Return the file of an answer; without its end for None."""
    stored = bytearray(layout.BODY_AT) + body
    records = {
        layout.ASKED_AT: layout.asked_record(asked(brief=brief)),
        layout.HEAD_AT: layout.head_record(status, headers),
    }
    if ended:
        records[layout.END_AT] = layout.end_record(
            ended, note, size_bytes=len(body), crc=zlib.crc32(body), answer_time=ANSWERED
        )
    for position, record in records.items():
        stored[position : position + len(record)] = record
    return bytes(stored)


@contextmanager
def on_disk(content: bytes) -> Iterator[Path]:
    """Yield a file in memory: thousands of them are read here."""
    descriptor = os.memfd_create("answer")
    try:
        os.write(descriptor, content)
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def read(content: bytes) -> Answer | None:
    with on_disk(content) as path:
        return read_file(path)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)


@settings(max_examples=100, deadline=None)
@given(
    status=st.integers(100, 599),
    headers=st.dictionaries(TEXT, TEXT, max_size=8),
    body=st.binary(max_size=3000),
    ended=st.sampled_from(Ended),
    note=TEXT,
    brief=st.dictionaries(
        TEXT, st.integers() | TEXT | st.booleans() | st.lists(TEXT, max_size=3), max_size=5
    ),
)
def test_what_is_written_is_read(
    status: int, headers: dict[str, str], body: bytes, ended: Ended, note: str, brief: dict[str, Any]
) -> None:
    stored = file_of(body, status=status, headers=headers, ended=ended, note=note, brief=brief)
    assert read(stored) == Answer(
        status=status,
        headers=headers,
        body=body,
        ended=ended,
        note=note,
        brief=brief,
        call_time=CALLED,
        answer_time=ANSWERED,
    )
    with on_disk(stored) as path:
        assert asked_in(path) == asked(brief=brief)


def test_a_torn_file_is_a_part_of_the_answer_or_none() -> None:
    """Cut at every byte of the body, and of each record before it."""
    whole = file_of(BODY)
    cuts = {*range(0, 400), *range(layout.HEAD_AT - 2, layout.HEAD_AT + 100)}
    cuts |= {*range(layout.END_AT - 2, layout.END_AT + 200), *range(layout.BODY_AT - 2, len(whole))}
    for cut in sorted(cuts):
        found = read(whole[:cut])
        if found is None:
            assert cut < layout.HEAD_AT + 100
        else:
            assert found.ended is Ended.LOST
            assert found.body == whole[layout.BODY_AT : cut]
            assert (found.status, found.headers) == (200, HEADERS)


@pytest.mark.parametrize("lost_from", [layout.BODY_AT, layout.BODY_AT + 4096])
def test_an_end_on_the_disk_before_its_body_proves_nothing(lost_from: int) -> None:
    """The power went: the length is there and the bytes are not."""
    whole = file_of(BODY * 40)
    found = read(whole[:lost_from] + bytes(len(whole) - lost_from))
    assert found is not None
    assert found.ended is Ended.LOST


def test_without_its_end_an_answer_is_whole_when_it_has_the_length_that_was_announced() -> None:
    announced = {**HEADERS, "content-length": str(len(BODY))}
    stored = file_of(BODY, headers=announced, ended=None)
    whole, torn = read(stored), read(stored[:-1])
    assert whole is not None
    assert torn is not None
    assert (whole.ended, torn.ended) == (Ended.WHOLE, Ended.LOST)


@pytest.mark.parametrize("shift", range(0, 4096, 512))
def test_a_body_cannot_forge_a_record(shift: int) -> None:
    """A vendor sends what looks like the records of another tenant's answer, wherever it can."""
    forged = bytes(shift) + file_of(b"of somebody else", ended=Ended.WHOLE)
    found = read(file_of(forged, ended=None))
    assert found is not None
    assert (found.ended, found.body) == (Ended.LOST, forged)


@settings(max_examples=50, deadline=None)
@given(position=st.integers(0, layout.BODY_AT + 99), bit=st.integers(0, 7))
def test_a_flipped_bit_is_never_believed(position: int, bit: int) -> None:
    stored = bytearray(file_of(bytes(100)))
    in_a_record = any(stored[position : position + 1].strip(b"\0")) or position >= layout.BODY_AT
    stored[position] ^= 1 << bit
    found = read(bytes(stored))
    assert found is None or found.ended is Ended.LOST or not in_a_record


def test_headers_that_do_not_fit_are_left_out_the_longest_first() -> None:
    found = read(file_of(BODY, headers={"x-long": "x" * 40_000, "x-longer": "y" * 50_000, **HEADERS}))
    assert found is not None
    assert found.headers == HEADERS


def test_a_brief_that_does_not_fit_is_refused() -> None:
    with pytest.raises(layout.TooLong):
        layout.asked_record(asked(brief={"prompt": "x" * 9000}))


def test_what_another_version_wrote_is_read_with_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    dumps = json.dumps

    def of_another(fields: dict[str, Any], **how: Any) -> str:
        fields = {name: value for name, value in fields.items() if name not in ("call", "brief", "version")}
        return dumps({**fields, "new": 1}, **how)

    monkeypatch.setattr(json, "dumps", of_another)
    stored = file_of(BODY)
    monkeypatch.undo()
    with on_disk(stored) as path:
        assert asked_in(path) == replace(asked(), brief={}, version="")


def test_files_that_hold_nothing_are_removed(tmp_path: Path) -> None:
    whole = file_of(BODY)
    contents = {"blank": b"", "no-head": whole[: layout.HEAD_AT], "foreign": b"x" * 50_000, "whole": whole}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    found = list(stored_in(tmp_path, clean=True))
    assert [(each.path.name, each.asked, each.size_bytes) for each in found] == [
        ("whole", asked(), len(BODY))
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["whole"]
