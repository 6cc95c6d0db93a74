"""The end of a server in order: the one answer to whether it was asked to stop (P24)."""

from collections.abc import Callable

from imageedit_server.core.errors import Reason, Refusal

RETRY_SECONDS = 1.0


class Draining:
    """Whether this server was asked to stop, which is never taken back. One per server, asked by everyone.

    Whatever would begin now and end elsewhere is refused; what has begun already may go on.
    """

    def __init__(self) -> None:
        self._listeners: list[Callable[[], None]] = []
        self.begun = False

    def begin(self) -> None:
        """Ask the server to stop, and tell everyone who waits for that. Does nothing the second time."""
        if not self.begun:
            self.begun = True
            for listener in self._listeners:
                listener()

    def listen(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` when it begins. It must neither block nor raise."""
        self._listeners.append(listener)

    def refuse(self) -> None:
        """Raise ``Refusal`` (DRAINING) once it has begun."""
        if self.begun:
            message = "The server is stopping; try again soon."
            raise Refusal(Reason.DRAINING, message, retry_after_seconds=RETRY_SECONDS)

    def trouble(self) -> str:
        """Return why no traffic is wanted, empty when it is."""
        return "draining" if self.begun else ""
