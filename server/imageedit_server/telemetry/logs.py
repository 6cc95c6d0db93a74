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
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii
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

_JSON = json.JSONEncoder(default=str)

_noted: ContextVar[Mapping[str, Any]] = ContextVar("noted", default=MappingProxyType({}))


def note(**fields: str | int) -> None:
    """Add ``fields`` to every line that this asyncio task logs from here on."""
    _noted.set({**_noted.get(), **fields})


def tell(log: logging.Logger, message: str, fields: Mapping[str, Any]) -> None:
    """Log what ``log.info(message, extra=fields)`` does, without making a record where only we listen.

    Whoever has put a handler, a filter, a formatter or a class of records of their own in its way gets one.
    """
    if not log.isEnabledFor(logging.INFO):
        return
    handler = _only_listener(log)
    if handler is None:
        log.info(message, extra=fields, stacklevel=2)
    else:
        handler.take(log.name, message, fields)


def configure(stream: TextIO, *, as_json: bool, level: str, redact: Redact) -> None:
    """Log to ``stream``. Our own lines from ``level`` on, everybody else's from WARNING on and redacted."""
    handler = TurnHandler(stream, JsonLines(redact) if as_json else TextLines(redact))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger(OURS).setLevel(level.upper())
    logging.captureWarnings(True)
    logging.raiseExceptions = False  # a reader of the log that is gone must not stop the service


class TurnHandler(logging.StreamHandler[TextIO]):
    """Writes at once what one turn of the event loop logs: a write for each line costs more than the line.

    Warnings and what is logged beside a loop are written as they come.
    """

    def __init__(self, stream: TextIO, lines: "JsonLines | TextLines") -> None:
        super().__init__(stream)
        self.setFormatter(lines)
        self.form = lines
        self._lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line."""
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001  as every handler does
            self.handleError(record)
            return
        self._add(line, at_once=record.levelno >= logging.WARNING)

    @property
    def is_as_made(self) -> bool:
        """Whether nobody has made it choose lines or write them otherwise."""
        return self.formatter is self.form and not self.filters and self.level == logging.NOTSET

    def take(self, logger: str, message: str, fields: Mapping[str, Any]) -> None:
        """Take a line of level INFO without its record."""
        assert self.lock is not None
        line = self.form.line(time.time(), logger, message, fields)
        with self.lock:
            self._add(line, at_once=False)

    def _add(self, line: str, *, at_once: bool) -> None:
        self._lines.append(f"{line}\n")
        loop = _running_loop()
        if loop is None or at_once:
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
            "time": _utc(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record, self._redact),
            **_fields(record.__dict__),
        }
        if error := _error(record):
            line["error"] = "".join(_told(error, self._redact))
        return _JSON.encode(line)

    def line(self, created: float, logger: str, message: str, fields: Mapping[str, Any]) -> str:
        """Return what ``format`` does of such a record."""
        head = f'"time": "{_utc(created)}", "level": "info", "logger": {_in_json(logger)}'
        rest = "".join([f', "{name}": {_in_json(value)}' for name, value in _fields(fields).items()])
        return f'{{{head}, "message": {_in_json(message)}{rest}}}'


class TextLines(logging.Formatter):
    """``12:00:00.000 INFO engine.run the message task_id=…``, and a traceback below."""

    def __init__(self, redact: Redact) -> None:
        super().__init__()
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        message = _message(record, self._redact)
        line = self._line(record.created, record.levelname, record.name, message, record.__dict__)
        error = _error(record)
        return "\n".join((line, *_told(error, self._redact))).rstrip() if error else line

    def line(self, created: float, logger: str, message: str, fields: Mapping[str, Any]) -> str:
        """Return what ``format`` does of such a record."""
        return self._line(created, "INFO", logger, message, fields)

    def _line(self, created: float, level: str, logger: str, message: str, known: Mapping[str, Any]) -> str:
        moment = datetime.fromtimestamp(created).astimezone().isoformat(timespec="milliseconds")
        fields = "".join(f" {name}={value}" for name, value in _fields(known).items())
        said = _printable(f"{message}{fields}")
        return f"{moment[11:23]} {level} {logger.removeprefix(f'{OURS}.')} {said}"


def _only_listener(log: logging.Logger) -> TurnHandler | None:
    """Return our handler where it alone gets what ``log`` logs, as it is."""
    if log.filters or not log.name.startswith(OURS) or logging.getLogRecordFactory() is not logging.LogRecord:
        return None
    match list(_handlers_of(log)):
        case [TurnHandler() as handler] if handler.is_as_made:
            return handler
    return None


def _handlers_of(log: logging.Logger | None) -> Iterator[logging.Handler]:
    while log is not None:
        yield from log.handlers
        log = log.parent if log.propagate else None


def _utc(created: float) -> str:
    return datetime.fromtimestamp(created, UTC).isoformat(timespec="milliseconds")


def _in_json(value: Any) -> str:
    if type(value) is str:
        return encode_basestring_ascii(value)
    return repr(value) if type(value) is int else _JSON.encode(value)


def _message(record: logging.LogRecord, redact: Redact) -> str:
    message = record.getMessage()
    return message if record.name.startswith(OURS) else redact(message)


def _fields(given: Mapping[str, Any]) -> dict[str, Any]:
    known = {**_noted.get(), **given}
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
