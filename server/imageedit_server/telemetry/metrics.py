"""Everything that is measured. A room imports the metric that it feeds; ``GET /metrics`` shows them all.

Labels take few values, all known beforehand: methods, codes, states, reasons, configured providers. Never an
id, a tenant or what a stranger sent. Where a label's child is needed often, ``cache(METRIC.labels)`` finds it
without the library's lock. Times are seconds, sizes bytes.
"""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from platform import python_version
from typing import TypeVar

from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

T = TypeVar("T")

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

REGISTRY = CollectorRegistry()
disable_created_metrics()  # type: ignore[no-untyped-call]  # they double the page, and nobody graphs them
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)

_FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)
_SLOW = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)

# Calls

RPCS = Counter("imageedit_rpcs", "Calls that ended.", ("method", "code"), registry=REGISTRY)
RPC_SECONDS = Histogram(
    "imageedit_rpc_seconds",
    "From a call's arrival to its end; of a stream, all of it.",
    ("method",),
    buckets=_FAST,
    registry=REGISTRY,
)
RPCS_IN_FLIGHT = Gauge(
    "imageedit_rpcs_in_flight",
    "Calls under way; of WatchTask, the open watches.",
    ("method",),
    registry=REGISTRY,
)
CALLS_DROPPED = Counter(
    "imageedit_calls_dropped", "Calls let go of unanswered, for more metadata than may be.", registry=REGISTRY
)
UPLOADED_BYTES = Counter(
    "imageedit_uploaded_bytes", "Bytes of pictures that callers sent.", registry=REGISTRY
)
DOWNLOADED_BYTES = Counter("imageedit_downloaded_bytes", "Bytes of pictures handed out.", registry=REGISTRY)
WATCH_LAG_SECONDS = Histogram(
    "imageedit_watch_lag_seconds",
    "From an event's time to its message handed to the transport, for events newer than the watch.",
    buckets=_FAST,
    registry=REGISTRY,
)
CALLBACKS = Counter(
    "imageedit_callbacks", "Callbacks of vendors, by how they were answered.", ("result",), registry=REGISTRY
)

# Tasks

TASKS_ACCEPTED = Counter(
    "imageedit_tasks_accepted", "Tasks made durable.", ("provider", "kind"), registry=REGISTRY
)
TASKS_ENDED = Counter(
    "imageedit_tasks_ended",
    "Tasks that ended, by how and why.",
    ("provider", "state", "reason"),
    registry=REGISTRY,
)
TASK_SECONDS = Histogram(
    "imageedit_task_seconds",
    "From a task's creation to its end.",
    ("provider", "state"),
    buckets=_SLOW,
    registry=REGISTRY,
)
TASKS_OPEN = Gauge("imageedit_tasks_open", "Tasks not yet ended.", ("provider", "state"), registry=REGISTRY)
OLDEST_QUEUED_SECONDS = Gauge(
    "imageedit_oldest_queued_seconds",
    "Age of the oldest queued task, 0 without one.",
    ("provider",),
    registry=REGISTRY,
)

# Providers

PROVIDER_CALL_SECONDS = Histogram(
    "imageedit_provider_call_seconds",
    "Calls of a provider, by kind (prepare with its uploads, submit, poll, download) and outcome.",
    ("provider", "call", "outcome"),
    buckets=_SLOW,
    registry=REGISTRY,
)
BREAKER_OPEN = Gauge(
    "imageedit_breaker_open",
    "1 while a provider gets no new work of somebody, be it one tenant or all, or one task to probe it.",
    ("provider",),
    registry=REGISTRY,
)
WORKERS_LOST = Counter(
    "imageedit_workers_lost", "Picture processes that had to be replaced.", ("why",), registry=REGISTRY
)

# Store and machine

STORE_WAIT_SECONDS = Histogram(
    "imageedit_store_wait_seconds",
    "How long the first write of a group waited for the writer.",
    buckets=_FAST,
    registry=REGISTRY,
)
STORE_COMMIT_SECONDS = Histogram(
    "imageedit_store_commit_seconds",
    "Work and commit of a group of writes.",
    buckets=_FAST,
    registry=REGISTRY,
)
STORE_GROUP_UNITS = Histogram(
    "imageedit_store_group_units", "Writes that were committed together.", buckets=_SIZES, registry=REGISTRY
)
STORE_WAITING = Gauge("imageedit_store_waiting", "Writes that wait for the writer.", registry=REGISTRY)
WAL_BYTES = Gauge("imageedit_wal_bytes", "Size of the store's write-ahead log.", registry=REGISTRY)
DISK_FREE_BYTES = Gauge("imageedit_disk_free_bytes", "Room left where the data is.", registry=REGISTRY)
DESCRIPTORS_LEFT = Gauge(
    "imageedit_descriptors_left", "Files and connections that may still be opened.", registry=REGISTRY
)
ANSWERS_LEFT_OUT = Gauge(
    "imageedit_answers_left_out",
    "Files of vendors' answers that the disk does not give back; they are tried again.",
    registry=REGISTRY,
)
SQLITE_OUTDATED = Gauge(
    "imageedit_sqlite_outdated",
    "1 with a SQLite older than 3.51.3, beside which no other program may write the database.",
    registry=REGISTRY,
)
LOOP_LAG_SECONDS = Histogram(
    "imageedit_loop_lag_seconds", "How late the event loop was.", buckets=_FAST, registry=REGISTRY
)
LOOP_LAG_MAX_SECONDS = Gauge(
    "imageedit_loop_lag_max_seconds",
    "The latest that the event loop was in the last minute.",
    registry=REGISTRY,
)
READY = Gauge("imageedit_ready", "1 while the server wants traffic.", registry=REGISTRY)
BUILD = Gauge(
    "imageedit_build_info",
    "Always 1; the labels say what runs here.",
    ("version", "python", "sqlite"),
    registry=REGISTRY,
)


def show_build(*, sqlite: str) -> None:
    """Say which version runs, with which libraries."""
    BUILD.clear()
    BUILD.labels(version("imageedit"), python_version(), sqlite).set(1)


def page() -> bytes:
    """Return all metrics as text, as ``CONTENT_TYPE`` says. Takes milliseconds: not for the loop."""
    return generate_latest(REGISTRY)


class MeasuredCall:
    """A call of a provider that is under way."""

    outcome = "error"

    def ended(self, answer: T, outcome: str = "") -> T:
        """Return ``answer``; its class names the outcome, unless that is given."""
        self.outcome = outcome or _words(type(answer).__name__)
        return answer


@contextmanager
def provider_call(provider: str, kind: str) -> Iterator[MeasuredCall]:
    """Measure one call of a provider. An exception of ours names the outcome too; any other is ``error``."""
    call = MeasuredCall()
    began = time.perf_counter()
    try:
        yield call
    except BaseException as error:
        if type(error).__module__.startswith(__package__.partition(".")[0]):
            call.outcome = _words(type(error).__name__)
        raise
    finally:
        seconds = time.perf_counter() - began
        _provider_call_seconds(provider, kind, call.outcome).observe(seconds)


_provider_call_seconds = cache(PROVIDER_CALL_SECONDS.labels)


@cache
def _words(name: str) -> str:
    """Return the name of a class in snake case."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
