"""What SQLite's errors mean for those who asked, and for the data."""

from sqlalchemy.exc import DBAPIError

from imageedit_server.core.errors import Reason, Refusal
from imageedit_server.runtime.standing import FilesLost

BUSY_RETRY_SECONDS = 1.0
BUSY = "SQLITE_BUSY"
FULL = "SQLITE_FULL"
READONLY = "SQLITE_READONLY"
TAKEN = ("SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY")
UNTRUSTED = ("SQLITE_IOERR", "SQLITE_CORRUPT", "SQLITE_NOTADB")
"""What the names of errors begin with after which nothing that the file says can be trusted (F22, F23)."""


def name_of(error: BaseException) -> str:
    """Return what SQLite calls an error, empty for one that is not SQLite's."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return getattr(cause, "sqlite_errorname", "")


def is_untrusted(error: BaseException) -> bool:
    """Whether nothing that the file says can be trusted after this error."""
    return isinstance(error, FilesLost) or name_of(error).startswith(UNTRUSTED)


def for_caller(error: BaseException) -> BaseException:
    """Return what whoever asked is told."""
    if isinstance(error, FilesLost):
        return Refusal(Reason.DRAINING, "The server lost its files and stops; try again.")
    name = name_of(error)
    if name == FULL:
        return Refusal(Reason.STORAGE_FULL, "The server's disk is full; nothing was stored.")
    if name.startswith(BUSY):
        return busy()
    return error


def busy() -> Refusal:
    """Return the refusal of a store that cannot keep up (P29, F21)."""
    return Refusal(
        Reason.STORE_BUSY,
        "The server has more to store than it can at the moment; try again.",
        retry_after_seconds=BUSY_RETRY_SECONDS,
    )
