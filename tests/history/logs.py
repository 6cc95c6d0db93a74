"""The final logs, read from the file of a server, running or dead: the truth for the checker."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import Connection

from imageedit_server.store.queries import events_after
from imageedit_server.store.sqlite.file import driver, open_reader
from imageedit_server.wire.messages import watch_message
from tests.history.checker import Entry, Log
from tests.history.recorder import content_of, state_name

FILE = "imageedit.sqlite3"
ALL = 1_000_000


def read_logs(data_dir: Path) -> Mapping[str, Log]:
    """Return the log of every task. The rows are read as they are; what an event says, as it is served."""
    with _reading(data_dir) as (file, connection):
        rows = file.execute("SELECT number, task_id, seq, state FROM task").fetchall()
        return {
            task_id: Log(
                entries=list(_entries(file, connection, number, task_id)), row_seq=seq, row_state=state
            )
            for number, task_id, seq, state in rows
        }


def _entries(file: sqlite3.Connection, connection: Connection, number: int, task_id: str) -> Iterator[Entry]:
    seqs = [
        seq for (seq,) in file.execute("SELECT seq FROM task_event WHERE task = ? ORDER BY seq", [number])
    ]
    events = [watch_message(event).event for event in events_after(connection, task_id, -ALL, ALL)]
    assert [event.seq for event in events] == seqs
    for event in events:
        yield Entry(
            seq=event.seq,
            state=state_name(event.task.state),
            content=content_of(event),
            time=event.time.ToNanoseconds() / 1e9,
        )


@contextmanager
def _reading(data_dir: Path) -> Iterator[tuple[sqlite3.Connection, Connection]]:
    """One moment of the file, seen by plain SQLite and through the store's own queries."""
    with closing(open_reader(data_dir / FILE, "FULL")) as connection:
        file = driver(connection)
        file.execute("BEGIN")
        yield file, connection
