"""How older data become what this server knows: numbered steps, the same for every database.

Plain steps, not Alembic: its generator sees no triggers, its copies of tables drop them, and what is left
is a number and an order. A step, its number and the row of ``schema_step`` that tells of it are one commit. A
step is a function of a ``Connection`` in SQLAlchemy's words, so both engines run the same one: SQLite when it
opens the file, under its lock and after a copy, a server database when its operator says so.

A new step is a module beside this one and a line in ``MIGRATIONS``. Steps that were released never change.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version

from sqlalchemy import Connection, insert

from imageedit_server.store.migrations import to_2, to_3, to_4
from imageedit_server.store.tables import SCHEMA_STEP, to_micros


@dataclass(frozen=True, kw_only=True, slots=True)
class Migration:
    """One step. Whoever applies it makes its changes and the number ``schema`` one commit.

    ``guards`` are all indexes and triggers that must be there afterwards, by their names: a step that loses
    one, as copies of tables do, must not be committed.
    """

    schema: int
    change: Callable[[Connection], None]
    guards: frozenset[str]


MIGRATIONS = (
    Migration(schema=2, change=to_2.change, guards=to_2.GUARDS),
    Migration(schema=3, change=to_3.change, guards=to_3.GUARDS),
    Migration(schema=4, change=to_4.change, guards=to_4.GUARDS),
)
"""Every step, oldest first. Schema 1 is the first there was."""

SCHEMA_VERSION = MIGRATIONS[-1].schema
"""The schema of new data, and the newest that this server knows."""


def steps_from(schema: int) -> tuple[Migration, ...]:
    """Return the steps that are pending for data of ``schema``, in their order."""
    return tuple(step for step in MIGRATIONS if step.schema > schema)


def note_schema(connection: Connection, schema: int, now: datetime) -> None:
    """Keep that the data have ``schema`` from ``now`` on, in the commit that gives it to them."""
    row = {"number": schema, "time": to_micros(now), "version": version("imageedit")}
    connection.execute(insert(SCHEMA_STEP).values(row))
