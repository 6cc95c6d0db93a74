"""The schema of a SQLite file: the tables of this room, with triggers that guard them and keep sums."""

from sqlalchemy import DDL, Connection

from imageedit_server.store.states import OPEN, QUEUED
from imageedit_server.store.tables import METADATA


def create_schema(connection: Connection) -> None:
    """Make everything that a new file holds, in the transaction that is open."""
    METADATA.create_all(connection)
    for trigger in (*_GUARDS, *_SUMS):
        connection.execute(DDL(trigger))


_GUARDS = (
    f"""CREATE TRIGGER task_ends_once BEFORE UPDATE ON task
       WHEN OLD.state NOT IN {OPEN} AND (NEW.seq <> OLD.seq OR NEW.state <> OLD.state)
       BEGIN SELECT RAISE(ABORT, 'a finished task does not change'); END""",
    """CREATE TRIGGER event_without_gap BEFORE INSERT ON task_event
       WHEN NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM task_event WHERE task = NEW.task)
         OR NEW.seq <> (SELECT seq FROM task WHERE number = NEW.task)
       BEGIN SELECT RAISE(ABORT, 'an event must have the next seq, that of its task'); END""",
    """CREATE TRIGGER event_stays BEFORE UPDATE ON task_event
       BEGIN SELECT RAISE(ABORT, 'an event does not change'); END""",
    """CREATE TRIGGER vendor_task_id_stays BEFORE UPDATE OF vendor_task_id ON attempt
       WHEN OLD.vendor_task_id IS NOT NULL AND NEW.vendor_task_id IS NOT OLD.vendor_task_id
       BEGIN SELECT RAISE(ABORT, 'a vendor task id does not change'); END""",
)
_SUMS = (
    f"""CREATE TRIGGER usage_of_new_task AFTER INSERT ON task WHEN NEW.state = {QUEUED}
       BEGIN INSERT INTO usage (tenant, queued_tasks, stored_bytes) VALUES (NEW.tenant, 1, 0)
         ON CONFLICT (tenant) DO UPDATE SET queued_tasks = queued_tasks + 1; END""",
    f"""CREATE TRIGGER usage_of_changed_task AFTER UPDATE OF state ON task
       WHEN (NEW.state = {QUEUED}) <> (OLD.state = {QUEUED})
       BEGIN UPDATE usage SET queued_tasks = queued_tasks + (NEW.state = {QUEUED}) - (OLD.state = {QUEUED})
         WHERE tenant = NEW.tenant; END""",
    f"""CREATE TRIGGER usage_of_deleted_task AFTER DELETE ON task WHEN OLD.state = {QUEUED}
       BEGIN UPDATE usage SET queued_tasks = queued_tasks - 1 WHERE tenant = OLD.tenant; END""",
    """CREATE TRIGGER usage_of_new_image AFTER INSERT ON image
       BEGIN INSERT INTO usage (tenant, queued_tasks, stored_bytes) VALUES (NEW.tenant, 0, NEW.size_bytes)
         ON CONFLICT (tenant) DO UPDATE SET stored_bytes = stored_bytes + NEW.size_bytes; END""",
    """CREATE TRIGGER usage_of_deleted_image AFTER DELETE ON image
       BEGIN UPDATE usage SET stored_bytes = stored_bytes - OLD.size_bytes WHERE tenant = OLD.tenant; END""",
    """CREATE TRIGGER usage_of_kept_answer AFTER UPDATE OF kept_bytes ON attempt
       WHEN NEW.kept_bytes <> OLD.kept_bytes
       BEGIN INSERT INTO usage (tenant, queued_tasks, stored_bytes)
         SELECT tenant, 0, NEW.kept_bytes - OLD.kept_bytes FROM task WHERE number = NEW.task
         ON CONFLICT (tenant) DO UPDATE SET stored_bytes = stored_bytes + excluded.stored_bytes; END""",
    """CREATE TRIGGER usage_of_deleted_attempt AFTER DELETE ON attempt WHEN OLD.kept_bytes > 0
       BEGIN UPDATE usage SET stored_bytes = stored_bytes - OLD.kept_bytes
         WHERE tenant = (SELECT tenant FROM task WHERE number = OLD.task); END""",
)
