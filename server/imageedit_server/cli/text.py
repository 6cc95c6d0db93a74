"""Texts of strangers on a terminal: prompts, labels, names of users and files, vendors' words."""

import unicodedata
from collections.abc import Iterator
from enum import Enum
from itertools import groupby
from operator import itemgetter

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
MOST_MARKS = 4
"""On one letter. Languages need two or three; a flood of them covers the lines above and below."""
SPACES = frozenset({"Cc", "Zl", "Zp", "Zs"})
UNSEEN = frozenset({"Cf", "Cn", "Co", "Cs"})
MARKS = frozenset({"Mn", "Me"})
BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
"""Drawn as nothing or as a gap, though called letters, marks or symbols: fillers, a blank pattern."""


class Look(Enum):
    """What becomes of a character."""

    SEEN = "itself"
    SPACE = " "
    UNSEEN = REPLACEMENT


def shown(text: str) -> str:
    """The text as one line in which nothing is hidden, and which moves no cursor and no other line.

    Line ends, tabs and controls are a space. What cannot be seen is one replacement character, however much
    of it stands there: zero-width and bidi characters, tags, unassigned and private ones, a second variation
    selector, and marks beyond `MOST_MARKS` on a letter. What exactly stood there is in the JSON, or in a file
    that was saved.

    Client and server have this file each, word for word: neither imports the other.
    """
    if text.isascii() and text.isprintable():
        return text
    runs = groupby(zip(_looks(text), text, strict=True), itemgetter(0))
    return "".join(
        "".join(each for _, each in run) if look is Look.SEEN else look.value for look, run in runs
    )


def _looks(text: str) -> Iterator[Look]:
    marks = selectors = 0
    for each in text:
        if unicodedata.category(each) not in MARKS or each in BLANK:
            marks = selectors = 0
            yield _look(each)
            continue
        marks += 1
        selectors += unicodedata.name(each, "").startswith("VARIATION SELECTOR")
        yield Look.SEEN if marks <= MOST_MARKS and selectors <= 1 else Look.UNSEEN


def _look(each: str) -> Look:
    category = unicodedata.category(each)
    if each in BLANK or category in UNSEEN:
        return Look.UNSEEN
    # A plain space stays, however many: our own lines are laid out by them.
    return Look.SPACE if category in SPACES and each != " " else Look.SEEN
