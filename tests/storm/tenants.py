"""The two tenants of a storm: the honest one, whose tasks must not suffer, and its noisy neighbour."""

from pathlib import Path

from tests.rpc.callers import bearer, write_keys

HONEST, NOISY = "imageedit_the-key-of-the-honest-tenant", "imageedit_the-key-of-its-noisy-neighbour"
NOISY_NAME = "noisy-"
"""How the request_ids of the neighbour begin, and with them the names that vendors see of its tasks."""
SHORT_NAME = f"{NOISY_NAME}short-"
"""The same of those tasks that it leaves hardly time to be done."""
LIMITS = {
    "queued_tasks": 12,
    "watches": 60,
    "inflight_bytes": 16 * 1024 * 1024,
    "inflight_bytes_total": 64 * 1024 * 1024,
}
"""Enough for the honest tenant, and little enough for its neighbour to go beyond."""


def write(folder: Path) -> None:
    """Write the file with the keys of both."""
    write_keys(folder, {"honest": [HONEST], "noisy": [NOISY]})


def shows(key: str) -> tuple[tuple[str, str], ...]:
    """Return the metadata with which a tenant calls."""
    return bearer(key)


def is_short(request_id: str) -> bool:
    """Whether a task may run out of time."""
    return request_id.startswith(SHORT_NAME)


def is_noisy(request_id: str) -> bool:
    """Whether a task, or a call to a vendor, is the neighbour's."""
    return request_id.startswith(NOISY_NAME)
