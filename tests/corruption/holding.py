"""Holds the check of pictures against Pillow's own verdict, on pictures that a seed damages."""

import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest

from imageedit_server.images import png_pixels
from imageedit_server.images.inspection import Inspection, InspectionFailed, inspect_data
from tests.corruption import jpegs, pngs, webps
from tests.corruption.reference import decoded

MAX_PIXELS = 1_000_000
KEPT = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """A format by its name, and how to damage a picture of it.

    ``stricter`` tells why a picture that Pillow takes is refused all the same, empty for no reason;
    ``looser`` why one that Pillow refuses is taken. Of a stream of ``piece_bytes`` or more so many at a time
    are inflated by ISA-L.
    """

    name: str
    corrupted: Callable[[random.Random], bytes]
    stricter: Callable[[bytes], str] = lambda _data: ""
    looser: Callable[[bytes], str] = lambda _data: ""
    piece_bytes: int = png_pixels.PIECE_BYTES


FORMS: Mapping[str, Form] = {
    "PNG": Form(name="PNG", corrupted=pngs.corrupted, stricter=pngs.stricter),
    "PNG by ISA-L": Form(
        name="PNG", corrupted=pngs.corrupted, stricter=pngs.stricter, looser=pngs.looser, piece_bytes=16
    ),
    "JPEG": Form(name="JPEG", corrupted=jpegs.corrupted),
    "WEBP": Form(name="WEBP", corrupted=webps.corrupted),
}


@dataclass(slots=True)
class Tally:
    """What was seen. ``findings`` name the number of a picture with a verdict that must not be."""

    taken: int = 0
    refused: int = 0
    named: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)

    def line(self, name: str) -> str:
        """What to print."""
        verdicts = {
            "taken": self.taken,
            "refused": self.refused,
            **self.named,
            "wrong": len(self.findings),
        }
        return (
            f"corruption: {name} {', '.join(f'{number} {verdict}' for verdict, number in verdicts.items())}"
        )


def held(form: Form, number: int, *, seed: int = 0, most: int = KEPT) -> Tally:
    """Look at so many damaged pictures, both ways; end early at ``most`` findings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(png_pixels, "PIECE_BYTES", form.piece_bytes)
        return _held(form, number, seed, most)


def _held(form: Form, number: int, seed: int, most: int) -> Tally:
    tally = Tally()
    for place in range(number):
        data = form.corrupted(random.Random(f"{seed}:{place}"))
        _hold(form, data, f"{form.name} {seed}:{place}", tally)
        if len(tally.findings) >= most:
            break
    return tally


def _hold(form: Form, data: bytes, name: str, tally: Tally) -> None:
    reference, found = decoded(form.name, data, MAX_PIXELS), _looked_at(data)
    if reference == found:
        tally.taken += found is not None
        tally.refused += found is None
    elif why := "" if reference and found else (form.stricter if reference else form.looser)(data):
        tally.named[why] += 1
    else:
        tally.findings.append(f"{name}: Pillow says {reference}, the check {found}")


def _looked_at(data: bytes) -> Inspection | None:
    try:
        return inspect_data(data, max_pixels=MAX_PIXELS)
    except InspectionFailed:
        return None
