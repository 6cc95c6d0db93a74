"""Every attack: what it is called, who makes it, and what an honest caller asks for meanwhile."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.attacks import frames, neighbours, strangers
from tests.attacks.load import Load
from tests.rpc import attacks

Sending = Callable[[Load], Coroutine[Any, Any, int]]
"""Attacks until the load's end; returns the bytes that were sent."""

LIST, UPLOAD = "ListModels", "UploadImage"
FRAMES, BLOCKS, WAITING, NEIGHBOURS = GROUPS = (
    "HTTP/2 frames",
    "header blocks",
    "connections that wait",
    "callers with a key",
)
HONEST = "honest"


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """One attack. ``asks`` is the method that the honest caller calls: ListModels or UploadImage.

    It lasts ``times`` as long as others. ``prepare`` does once, before the load, what takes long. Those with
    a key go as fast as they can, whatever the load's rate is: their number attacks, or what they send.
    Where callers wait for a turn, ``turn`` is a picture that takes one: what is usual is its upload.
    """

    name: str
    group: str
    sending: Sending
    asks: str = LIST
    times: int = 1
    prepare: Callable[[], object] = bool
    turn: Callable[[], bytes] | None = None


def _of_frames(group: str, name: str, attack: attacks.Attack) -> Kind:
    return Kind(name=name, group=group, sending=partial(strangers.frames, attack))


def _waiting(name: str, door: str, opening: bytes, *, at_most: int = strangers.MOST_CONNECTIONS) -> Kind:
    sending = partial(strangers.connections, door, opening, at_most=at_most)
    return Kind(name=name, group=WAITING, sending=sending)


def _neighbour(name: str, sending: Sending, **fields: Any) -> Kind:
    return Kind(name=name, group=NEIGHBOURS, sending=sending, **fields)


CONTROLS: tuple[Kind, ...] = (
    Kind(name="honest uploads, the same bytes", group=HONEST, sending=neighbours.honest_uploads),
    _of_frames(HONEST, "honest calls, the same bytes", frames.honest_calls),
)
"""The same bytes of what the service is for."""

_PICTURES: Mapping[str, Any] = {"asks": UPLOAD, "times": 4}
"""An upload takes long enough for there to be few of them."""

ATTACKS: tuple[Kind, ...] = (
    _of_frames(FRAMES, "rapid reset", attacks.resets),
    _of_frames(FRAMES, "resets by the server (made you reset)", attacks.resets_by_the_server),
    _of_frames(FRAMES, "settings", frames.settings),
    _of_frames(FRAMES, "pings", frames.pings),
    _of_frames(FRAMES, "empty DATA", frames.empty_data),
    _of_frames(FRAMES, "priorities", frames.priorities),
    _of_frames(FRAMES, "window updates", frames.windows),
    _of_frames(FRAMES, "unknown frames", attacks.unknown_frames),
    _of_frames(FRAMES, "calls without their message", frames.open_calls),
    _of_frames(FRAMES, "calls whose answers have no room", frames.unread_calls),
    _of_frames(BLOCKS, "CONTINUATION", attacks.continuations),
    _of_frames(BLOCKS, "CONTINUATION without a byte", frames.empty_continuations),
    _of_frames(BLOCKS, "8 000 references a call, nothing confirmed", attacks.references),
    _of_frames(BLOCKS, "3 000 references to 4 KB", attacks.long_references),
    _of_frames(BLOCKS, "8 000 fields a call", frames.many_fields),
    _of_frames(BLOCKS, "sizes of the table", attacks.sizes_of_the_table),
    _waiting("header blocks that never end", strangers.GRPC, strangers.BEGIN + frames.endless_block()),
    _waiting("half-open connections, gRPC", strangers.GRPC, b""),
    _waiting("connections that say hello and nothing else", strangers.GRPC, strangers.BEGIN),
    _waiting("half requests, HTTP", strangers.HTTP, strangers.HALF_REQUEST),
    _neighbour("slow uploads", neighbours.slow_uploads, asks=UPLOAD),
    _neighbour("3.9 MiB inside each of 400 calls at once", neighbours.inline_storm, prepare=neighbours.large),
    _neighbour(
        "small pictures of 10 CPU seconds", neighbours.costly_pictures, **_PICTURES, prepare=neighbours.costly
    ),
    _neighbour(
        "pictures just inside the budget",
        neighbours.dear_pictures,
        **_PICTURES,
        prepare=neighbours.dear,
        turn=neighbours.one_of_the_dear,
    ),
)

KINDS: Mapping[str, Kind] = {kind.name: kind for kind in (*CONTROLS, *ATTACKS)}
