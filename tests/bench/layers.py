"""Which part of the server belongs to which layer: the one table that the profile is made by.

The longest name wins. What ``CALLER`` stands beside counts to whoever called it, as everything does that is
not ours: a hash to the service, an SQL text to the store.
"""

from collections.abc import Iterator
from types import FrameType

ROOM = "imageedit_server"
CALLER = ""

GRPC = "gRPC: receive, deserialise, send"
BORDER = "border: keys, metadata, limits"
SERVICE = "service: checks, hash, messages"
STATEMENTS = "store: statements"
COMMITS = "store: commits"
ENGINE = "engine: dispatcher, run, recorder"
ADAPTER = "adapter: request and answer"
HTTP = "HTTP client and server"
ANSWERS = "answers kept"
IMAGES = "images: files, calls to workers"
LOGS = "logs, metrics"
WATCH = "watch: feed, stream"
LOOP = "event loop"
REST = "rest"

LAYERS = {
    "access": BORDER,
    "answers": ANSWERS,
    "bootstrap": REST,
    "cli": CALLER,
    "core": CALLER,
    "editing": SERVICE,
    "editing.watching": WATCH,
    "engine": ENGINE,
    "feed": WATCH,
    "images": IMAGES,
    "maintenance": REST,
    "outbound": HTTP,
    "outbound.strict_json": ADAPTER,
    "pictures": IMAGES,
    "process": CALLER,
    "providers": ADAPTER,
    "rpc": GRPC,
    "rpc.authentication": BORDER,
    "rpc.border": BORDER,
    "rpc.call_metadata": BORDER,
    "rpc.metering": BORDER,
    "rpc.service": SERVICE,
    "rpc.streams": WATCH,
    "rpc.uploads": IMAGES,
    "runtime": CALLER,
    "sandbox": IMAGES,
    "settings": REST,
    "store": STATEMENTS,
    "store.sqlite.group_commit": COMMITS,
    "telemetry": LOGS,
    "upkeep": REST,
    "vendor_answers": REST,
    "web": HTTP,
    "wire": SERVICE,
}
"""Each child of the room, and what within one is another layer's."""

OTHERS = {"logging": LOGS}
"""What is not ours and still no caller's: Python's own module makes the line of a log."""

THREADS = {
    "Thread-1 (_poll_wrapper)": GRPC,
    "answers": ANSWERS,
    "store-commit": COMMITS,
    "store-read": STATEMENTS,
    "workers": IMAGES,
}
"""Whose work a thread does that is seen between two pieces of it."""

CYTHON = "of_cython"
"""The name of the frame around gRPC's own coroutines, which have none."""


def layer_of(module: str) -> str:
    """Return the layer of a module, ``CALLER`` where its caller's is meant."""
    room, _, name = module.partition(".")
    if room != ROOM:
        return OTHERS.get(room, CALLER)
    while name and name not in LAYERS:
        name = name.rpartition(".")[0]
    return LAYERS.get(name, CALLER)


def place_of(frame: FrameType | None) -> tuple[str, str]:
    """Return the layer of the innermost frame that has one, and its function; two empty texts if none has."""
    of_loop = ("", "")
    for each in _outwards(frame):
        module, function = each.f_globals.get("__name__", ""), each.f_code.co_qualname
        if layer := layer_of(module):
            return layer, f"{module.removeprefix(f'{ROOM}.')}.{function}"
        if function == CYTHON:
            return GRPC, "its coroutines"
        if not of_loop[0] and module.partition(".")[0] in {"asyncio", "selectors"}:
            of_loop = (LOOP, f"{module}.{function}")
    return of_loop


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back
