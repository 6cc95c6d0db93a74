"""What damage does to any file, and to the pieces that a file is made of."""

import random
from collections.abc import Callable, Sequence

Change = Callable[[random.Random, bytes], bytes]


def flipped(rng: random.Random, data: bytes) -> bytes:
    """A bit of another value, or a few."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 5)) if data else 0):
        changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def cut(rng: random.Random, data: bytes) -> bytes:
    """The end is missing."""
    return data[: rng.randrange(len(data) + 1)]


def zeroed(rng: random.Random, data: bytes) -> bytes:
    """A block was never written."""
    start, end = _range(rng, data)
    return data[:start] + bytes(end - start) + data[end:]


def removed(rng: random.Random, data: bytes) -> bytes:
    """A piece is missing."""
    start, end = _range(rng, data)
    return data[:start] + data[end:]


def repeated(rng: random.Random, data: bytes) -> bytes:
    """A piece is there twice."""
    start, end = _range(rng, data)
    return data[:end] + data[start:end] + data[end:]


def set_at(rng: random.Random, data: bytes) -> bytes:
    """A byte is any other."""
    at = rng.randrange(max(len(data), 1))
    return data[:at] + rng.randbytes(1) + data[at + 1 :]


CHANGES: Sequence[Change] = (flipped, flipped, flipped, set_at, cut, zeroed, removed, repeated)


def out_of_order(rng: random.Random, pieces: Sequence[bytes]) -> list[bytes]:
    """One of the pieces is lost, twice there, or in the place of another."""
    changed = list(pieces)
    first, second = rng.randrange(len(pieces)), rng.randrange(len(pieces))
    match rng.randrange(3):
        case 0:
            changed.pop(first)
        case 1:
            changed.insert(second, changed[first])
        case _:
            changed[first], changed[second] = changed[second], changed[first]
    return changed


def _range(rng: random.Random, data: bytes) -> tuple[int, int]:
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + rng.choice((1, 2, 8, 50, 400)))
