"""Holds the check of pictures against Pillow's own verdict, on pictures that a seed damages."""

import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from imageedit_server.images.inspection import Inspection, InspectionFailed, inspect_data
from tests.corruption import jpegs, pngs, webps
from tests.corruption.reference import decoded

MAX_PIXELS = 1_000_000
KEPT = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """A format by its name, and how to damage a picture of it.

    ``stricter`` tells why a picture that Pillow takes is refused all the same, empty for no reason.
    """

    name: str
    corrupted: Callable[[random.Random], bytes]
    stricter: Callable[[bytes], str] = lambda _data: ""


FORMS: Mapping[str, Form] = {
    form.name: form
    for form in (
        Form(name="PNG", corrupted=pngs.corrupted, stricter=pngs.stricter),
        Form(name="JPEG", corrupted=jpegs.corrupted),
        Form(name="WEBP", corrupted=webps.corrupted),
    )
}


@dataclass(slots=True)
class Tally:
    """What was seen. ``findings`` name the number of a picture with a verdict that must not be."""

    taken: int = 0
    refused: int = 0
    stricter: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)

    def line(self, name: str) -> str:
        """What to print."""
        verdicts = {
            "taken": self.taken,
            "refused": self.refused,
            **self.stricter,
            "wrong": len(self.findings),
        }
        return (
            f"corruption: {name} {', '.join(f'{number} {verdict}' for verdict, number in verdicts.items())}"
        )


def held(form: Form, number: int, *, seed: int = 0, most: int = KEPT) -> Tally:
    """Look at so many damaged pictures, both ways; end early at ``most`` findings."""
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
    elif reference and not found and (why := form.stricter(data)):
        tally.stricter[why] += 1
    else:
        tally.findings.append(f"{name}: Pillow says {reference}, the check {found}")


def _looked_at(data: bytes) -> Inspection | None:
    try:
        return inspect_data(data, max_pixels=MAX_PIXELS)
    except InspectionFailed:
        return None
