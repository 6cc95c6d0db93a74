"""The seam to stored data as an operator sees them, beside a server or without one."""

from pathlib import Path
from typing import Protocol


class Archive(Protocol):
    """The data of one database in a folder. Nothing here changes them."""

    def exists(self) -> bool:
        """Whether there are any."""
        ...

    def was_served(self) -> bool:
        """Whether a server was ever started on the folder, so that no copy may go there."""
        ...

    def schema(self) -> str:
        """Say in a sentence which schema the data have, and since when or what the next start does to it.

        Raises ``StoreRefused``.
        """
        ...

    def older_copies(self) -> list[str]:
        """Return the names of copies beside the data that were made before a migration."""
        ...

    def faults(self) -> list[str]:
        """Return what is wrong with the data, in sentences. Raises ``StoreRefused``."""
        ...

    def images(self) -> dict[str, int]:
        """Return the size in bytes of every image that some tenant has. Raises ``StoreRefused``."""
        ...

    def copy_to(self, folder: Path) -> None:
        """Make in ``folder`` a durable copy of the data as of one moment, marked as one.

        Raises ``StoreRefused``.

        A server that writes on must not make it begin anew.
        """
        ...
