"""The workers that wait for a job: each for its own tenant, and one that is nobody's yet (P34)."""

from collections.abc import Callable

from imageedit_server.sandbox.worker import Worker


class IdleWorkers:
    """At most ``most`` workers that have an owner, the longest idle left out first, and those without one.

    A worker that looked into one tenant's picture never sees another's. ``dismiss`` ends what is of no use.
    """

    def __init__(self, most: int, dismiss: Callable[[Worker], None]) -> None:
        self._most = most
        self._dismiss = dismiss
        self._owned: list[Worker] = []
        self._ready: list[Worker] = []

    def __len__(self) -> int:
        return len(self._owned) + len(self._ready)

    @property
    def ready(self) -> int:
        """How many are nobody's yet."""
        return len(self._ready)

    def add(self, worker: Worker) -> None:
        """Take a new worker, which is nobody's. May be called in another thread."""
        self._ready.append(worker)

    def take(self, owner: str, module: str) -> Worker | None:
        """Return a worker of ``owner``, or one that is theirs from now on, that has imported ``module``."""
        for worker in [worker for worker in self._owned if worker.owner == owner][::-1]:
            if worker.has(module):
                self._owned.remove(worker)
                if worker.lives():
                    return worker
                self._dismiss(worker)
        while self._ready:
            worker = self._ready.pop()
            if worker.lives() and worker.has(module):
                worker.owner = owner
                return worker
            self._dismiss(worker)
        return None

    def give_back(self, worker: Worker) -> None:
        """Take a worker that is done, for its owner's next job."""
        self._owned.append(worker)
        if len(self._owned) > self._most:
            self._dismiss(self._owned.pop(0))

    def drop_dead(self) -> None:
        """End what would take no job any more."""
        for workers in (self._owned, self._ready):
            for worker in [worker for worker in workers if not worker.lives()]:
                workers.remove(worker)
                self._dismiss(worker)

    def clear(self) -> list[Worker]:
        """Return all, and have none."""
        everybody = [*self._owned, *self._ready]
        self._owned, self._ready = [], []
        return everybody
