"""Log lines: one line each, known fields only, nothing secret, whatever the text (P26, F74, F77)."""

import asyncio
import io
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import copy_context
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageedit_client import AsyncClient
from imageedit_server.core.task import State
from imageedit_server.outbound.redaction import redact
from imageedit_server.providers.base import Accepted, Finished, Prepared, Report
from imageedit_server.providers.registry import ADAPTERS
from imageedit_server.providers.scripted import ScriptedAdapter
from imageedit_server.telemetry import logs
from tests.rpc.pictures import PNG
from tests.rpc.serving import SCRIPTED, serving
from tests.rpc.waiting import eventually

CANARY = "canary-5e1f"
NASTY = "one\r\ntwo\x00\x1b[31m\u2028three\u202e\ud800"
_log = logging.getLogger(f"{logs.OURS}.engine.run")


class Lines:
    """A place to log to, and what was logged there so far."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    def configure(self, *, as_json: bool = True, level: str = "info") -> None:
        logs.configure(self.stream, as_json=as_json, level=level, redact=redact)

    def json(self) -> list[dict[str, object]]:
        for handler in logging.getLogger().handlers:
            handler.flush()
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


@contextmanager
def as_it_was() -> Iterator[None]:
    """Leave logging behind as it is now."""
    root, ours = logging.getLogger(), logging.getLogger(logs.OURS)
    handlers, levels, raising = root.handlers[:], (root.level, ours.level), logging.raiseExceptions
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(levels[0])
        ours.setLevel(levels[1])
        logging.raiseExceptions = raising
        logging.captureWarnings(False)


@pytest.fixture
def lines() -> Iterator[Lines]:
    """Where the log goes; afterwards everything is as it was."""
    with as_it_was():
        yield Lines()


def test_what_strangers_cause_at_will_is_logged_seldom(lines: Lines) -> None:
    """A line tells how many were left out before it, so that a flood shows."""
    lines.configure()
    now = [0.0]
    seldom = logs.Seldom(_log, seconds=10, clock=lambda: now[0])
    for now[0] in (0, 0, 9.9, 10, 20.5, 21):
        seldom.info("at %g", now[0])
    assert [line["message"] for line in lines.json()] == [
        "at 0",
        "at 10 (2 such lines were left out before it)",
        "at 20.5",
    ]


async def test_a_turn_of_the_loop_is_written_at_once_and_a_warning_right_away(lines: Lines) -> None:
    lines.configure()
    for number in range(3):
        _log.info("%d", number)
    assert lines.stream.getvalue() == ""
    await asyncio.sleep(0)
    assert lines.stream.getvalue().count("\n") == 3
    _log.info("before")
    _log.warning("now")
    assert lines.stream.getvalue().count("\n") == 5
    assert [line["message"] for line in lines.json()] == ["0", "1", "2", "before", "now"]


async def test_what_other_threads_log_is_written_too(lines: Lines) -> None:
    lines.configure()
    await asyncio.to_thread(_log.info, "from a thread")
    assert [line["message"] for line in lines.json()] == ["from a thread"]


def test_a_line_has_what_is_known_and_nothing_else(lines: Lines) -> None:
    lines.configure()
    _log.info("hello %s", "you", extra={"task_id": "task_1", "attempt": 2, "prompt": CANARY, "reason": ""})
    (line,) = lines.json()
    assert line.pop("time")
    assert line == {
        "level": "info",
        "logger": "imageedit_server.engine.run",
        "message": "hello you",
        "task_id": "task_1",
        "attempt": 2,
    }


@pytest.mark.parametrize("json_lines", [True, False])
def test_no_text_makes_two_lines_of_one(lines: Lines, json_lines: bool) -> None:
    """CR, LF, controls and bidirectional overrides arrive escaped, in messages and in fields."""
    lines.configure(as_json=json_lines)
    _log.info("got %s", NASTY, extra={"reason": NASTY})
    text = lines.stream.getvalue()
    assert text.splitlines(keepends=True) == [text]
    assert text.rstrip("\n").isprintable()
    if json_lines:
        assert lines.json()[0]["message"] == f"got {NASTY}"


async def test_what_a_task_notes_is_in_its_lines_and_in_no_others(lines: Lines) -> None:
    lines.configure()
    both = asyncio.Barrier(2)

    async def work(number: int) -> None:
        logs.note(task_id=f"task_{number}", provider="p")
        await both.wait()
        logs.note(attempt=number)
        _log.info("works")

    await asyncio.gather(*(asyncio.create_task(work(number)) for number in (1, 2)))
    _log.info("idle")
    *working, idle = lines.json()
    assert sorted((line["task_id"], line["attempt"], line["provider"]) for line in working) == [
        ("task_1", 1, "p"),
        ("task_2", 2, "p"),
    ]
    assert idle.keys() == {"time", "level", "logger", "message"}


class DefectiveAdapter(ScriptedAdapter):
    """Breaks off in the middle of a call."""

    async def submit(self, prepared: Prepared, report: Report) -> Accepted | Finished:
        raise RuntimeError("a defect")


async def test_what_is_logged_while_a_task_is_worked_on_has_its_ids(
    lines: Lines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ADAPTERS, "defective", DefectiveAdapter)
    lines.configure()
    async with (
        serving(tmp_path, SCRIPTED, '[providers.defective]\nadapter = "defective"\n') as served,
        AsyncClient(served.server.grpc_address) as client,
    ):
        task = await client.edit_image("x", [PNG], model="defective/ok")
        await eventually(lambda: "the attempt ended unexpectedly" in lines.stream.getvalue())
    (line,) = [line for line in lines.json() if line["message"] == "the attempt ended unexpectedly"][:1]
    ids = {"tenant": "default", "task_id": task.task_id, "attempt": 1, "provider": "defective"}
    assert line.items() >= ids.items()


@pytest.mark.parametrize("name", ["httpx", "httpcore.http11", "grpc", "sqlalchemy.engine"])
def test_libraries_say_little_and_no_secrets(lines: Lines, name: str) -> None:
    """Below WARNING nothing; from there on without credentials and queries, on one line."""
    lines.configure(level="debug")
    _log.debug("ours")
    logging.getLogger(name).info("GET https://u:%s@host/", CANARY)
    logging.getLogger(name).warning("GET https://u:%s@host/a?sig=%s\nBearer %s", *[CANARY * 2] * 3)
    ours, theirs = lines.json()
    assert (ours["message"], theirs["level"]) == ("ours", "warning")
    assert CANARY not in lines.stream.getvalue()
    assert str(theirs["message"]).startswith("GET https://host/a")


@pytest.mark.parametrize("json_lines", [True, False])
def test_an_error_tells_where_and_hides_what(lines: Lines, json_lines: bool) -> None:
    """The places of an error and of the one behind it; of their texts only what may be shown."""
    lines.configure(as_json=json_lines)
    try:
        try:
            raise KeyError(f"Authorization: Bearer {CANARY * 2}")
        except KeyError as error:
            raise ValueError(f"https://u:{CANARY}@host/?key={CANARY}") from error
    except ValueError:
        _log.exception("it broke")
    text = lines.stream.getvalue()
    assert CANARY not in text
    told = str(lines.json()[0]["error"]) if json_lines else text
    assert told.index("KeyError: ") < told.index("ValueError: https://host/")
    assert told.count("test_logs.py") == 2


VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(State)
)
KNOWN = st.dictionaries(st.sampled_from([*logs.FIELDS, "prompt"]), VALUES, max_size=12)
SAID = st.text(max_size=20) | st.sampled_from(["task event", NASTY, "100 %s", "{}"])


def bytes_of(log: Callable[[], None], *, as_json: bool) -> str:
    """What is written of one line at one time."""
    stream = io.StringIO()
    logs.configure(stream, as_json=as_json, level="info", redact=redact)
    with patch("time.time", return_value=1.7e9 + 0.0009), patch("time.time_ns", return_value=10**9):
        log()
    return stream.getvalue()


@given(SAID, KNOWN, KNOWN, st.booleans())
def test_an_event_told_is_the_line_of_a_record(
    said: str, noted: Mapping[str, Any], known: Mapping[str, Any], as_json: bool
) -> None:
    """Byte for byte, with what the asyncio task has noted."""

    def told() -> str:
        logs.note(**noted)
        return bytes_of(lambda: logs.tell(_log, said, known), as_json=as_json)

    def logged() -> str:
        logs.note(**noted)
        return bytes_of(lambda: _log.info(said, extra=known), as_json=as_json)

    with as_it_was():
        assert copy_context().run(told) == copy_context().run(logged)


def test_an_event_makes_a_record_only_for_whoever_wants_one(
    lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another handler, a filter, a form or a kind of record of an operator's gets what it always got."""
    root, ours = logging.getLogger(), logging.getLogger(logs.OURS)
    root.handlers[:] = []
    lines.configure()
    (handler,) = root.handlers

    def records() -> int:
        with patch.object(_log, "makeRecord", wraps=_log.makeRecord) as made:
            logs.tell(_log, "task event", {"seq": 1})
            return made.call_count

    assert records() == 0
    other = logging.StreamHandler(io.StringIO())
    other.setFormatter(logging.Formatter("%(msg)s %(funcName)s"))
    for log in (root, ours, _log):
        log.addHandler(other)
        assert records() == 1
        log.removeHandler(other)
    assert other.stream.getvalue() == "task event records\n" * 3
    for filtered in (handler, _log):
        filtered.addFilter(lambda record: False)
        before = lines.stream.getvalue()
        assert records() == 1
        assert lines.stream.getvalue() == before
        filtered.filters.clear()
    handler.setFormatter(logging.Formatter("mine %(message)s"))
    assert records() == 1
    assert lines.stream.getvalue().endswith("mine task event\n")


def test_an_event_is_silenced_as_a_record_is(lines: Lines) -> None:
    lines.configure(level="warning")
    logs.tell(_log, "task event", {"seq": 1})
    lines.configure(level="info")
    logging.getLogger().handlers[0].setLevel(logging.WARNING)
    logs.tell(_log, "task event", {"seq": 1})
    assert lines.json() == []


def test_a_level_silences_what_is_below(lines: Lines) -> None:
    lines.configure(level="warning")
    _log.info("quiet")
    assert lines.json() == []


def test_a_stderr_that_is_gone_stops_nothing(lines: Lines) -> None:
    lines.configure()
    lines.stream.close()
    _log.info("nobody hears this")
