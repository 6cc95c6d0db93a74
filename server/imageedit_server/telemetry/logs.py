"""Log lines: one line per event on stderr, as JSON for machines or as text for people, without secrets.

A line has its time, level, logger and message, and those of ``FIELDS`` that are known: given with ``extra``,
or by ``note`` for all that an asyncio task logs from there on. Nothing else gets into a line, and whatever a
line holds stays one line (P26).
"""

import asyncio
import json
import logging
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, TextIO

FIELDS = (
    "tenant", "task_id", "seq", "state", "stage", "attempt", "provider", "reason", "method", "incident",
)  # fmt: skip
"""What a line may say besides its message."""

OURS = "imageedit_server"
MAX_FRAMES = 30

Redact = Callable[[str], str]
"""Takes out of foreign text what must not be shown."""

_noted: ContextVar[Mapping[str, Any]] = ContextVar("noted", default=MappingProxyType({}))


def note(**fields: str | int) -> None:
    """Add ``fields`` to every line that this asyncio task logs from here on."""
    _noted.set({**_noted.get(), **fields})


def configure(stream: TextIO, *, as_json: bool, level: str, redact: Redact) -> None:
    """Log to ``stream``. Our own lines from ``level`` on, everybody else's from WARNING on and redacted."""
    handler = TurnHandler(stream)
    handler.setFormatter(JsonLines(redact) if as_json else TextLines(redact))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger(OURS).setLevel(level.upper())
    logging.captureWarnings(True)
    logging.raiseExceptions = False  # a reader of the log that is gone must not stop the service


class TurnHandler(logging.StreamHandler[TextIO]):
    """Writes at once what one turn of the event loop logs: a write for each line costs more than the line.

    Warnings and what is logged beside a loop are written as they come.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line."""
        try:
            self._lines.append(f"{self.format(record)}\n")
        except Exception:  # noqa: BLE001  as every handler does
            self.handleError(record)
            return
        loop = _running_loop()
        if loop is None or record.levelno >= logging.WARNING:
            self.flush()
        elif len(self._lines) == 1:
            loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write what was taken."""
        assert self.lock is not None
        with self.lock:
            lines, self._lines = self._lines, []
            with suppress(OSError, ValueError):  # a reader of the log that is gone must not stop the service
                self.stream.write("".join(lines))
                self.stream.flush()


class Seldom:
    """Logs what strangers cause at will: at most one line every ``seconds``, which counts those left out."""

    def __init__(
        self, log: logging.Logger, seconds: float = 10.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._log = log
        self._seconds = seconds
        self._clock = clock
        self._next = clock()
        self._left_out = 0

    def info(self, message: str, *args: object) -> None:
        """Log a line, or count it."""
        now = self._clock()
        if now < self._next:
            self._left_out += 1
            return
        since = f" ({self._left_out} such lines were left out before it)" if self._left_out else ""
        self._log.info(f"{message}%s", *args, since)
        self._next, self._left_out = now + self._seconds, 0


class JsonLines(logging.Formatter):
    """One JSON object a line, pure ASCII."""

    def __init__(self, redact: Redact) -> None:
        super().__init__()
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record, self._redact),
            **_fields(record),
        }
        if error := _error(record):
            line["error"] = "".join(_told(error, self._redact))
        return json.dumps(line, default=str)


class TextLines(logging.Formatter):
    """``12:00:00.000 INFO engine.run the message task_id=…``, and a traceback below."""

    def __init__(self, redact: Redact) -> None:
        super().__init__()
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created).astimezone().isoformat(timespec="milliseconds")
        fields = "".join(f" {name}={value}" for name, value in _fields(record).items())
        line = f"{moment[11:23]} {record.levelname} {record.name.removeprefix(f'{OURS}.')} "
        line += _printable(f"{_message(record, self._redact)}{fields}")
        error = _error(record)
        return "\n".join((line, *_told(error, self._redact))).rstrip() if error else line


def _message(record: logging.LogRecord, redact: Redact) -> str:
    message = record.getMessage()
    return message if record.name.startswith(OURS) else redact(message)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    known = {**_noted.get(), **record.__dict__}
    return {name: known[name] for name in FIELDS if known.get(name) not in (None, "")}


def _error(record: logging.LogRecord) -> BaseException | None:
    return record.exc_info[1] if record.exc_info else None


def _told(error: BaseException, redact: Redact) -> list[str]:
    """Where an error and those behind it were raised; of their texts, what may be shown."""
    lines = []
    behind = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if behind is not None:
        lines += [*_told(behind, redact), "then:\n"]
    lines += traceback.format_tb(error.__traceback__, -MAX_FRAMES)
    lines.append(f"{type(error).__name__}: {redact(str(error))}\n")
    return lines


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
