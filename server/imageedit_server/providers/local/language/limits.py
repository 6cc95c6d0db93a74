"""Clauses that ask for something to stay: ``don't blur it``, ``keep the contrast``, ``but not too much``.

What is to stay and cannot be kept forbids every change: the clause may be an exception from any of them.
"""

from enum import Enum, auto

from imageedit_server.providers.local.language.clauses import Clause
from imageedit_server.providers.local.language.patterns import compiled


class Limit(Enum):
    """What a clause that limits others comes to."""

    CONTENT = auto()
    """Nothing that is done goes against it."""
    SURROUNDINGS = auto()
    """The background is to stay, as it does where only a mask's part or only skin is changed."""
    SOFTER = auto()
    """What was asked for last is wanted, but less of it."""


_LIMITS = (
    (Limit.SOFTER, compiled("(?:NOT|WITHOUT) TOO+ STRENGTH*")),
    (Limit.CONTENT, compiled("(?:NOT|WITHOUT) SAFE+")),
    (
        Limit.CONTENT,
        compiled("(?:NOT|WITHOUT) (?:DOING PIC INTO? AMOUNT* COLOR|ADD? THE* COLOR HUE|TOO COLOR)"),
    ),
    (Limit.SURROUNDINGS, compiled("(?:NOT|WITHOUT) (?:DO|THE|BACKGROUND|REST|IN_PIC)+")),
    (
        Limit.CONTENT,
        compiled("KEPT* KEEP KEPT*|(?:AT|THE)* (?:PICTURE|IT|QUANTITY|REST)+ (?:STATE|WISH)? SAME"),
    ),
    (
        Limit.SURROUNDINGS,
        compiled("(?:KEPT|BACKGROUND)* KEEP (?:KEPT|BACKGROUND)*|GROUND (?:STATE|WISH)? SAME"),
    ),
)
_GOES_ON = compiled("SAFE+")


def limit_of(clause: Clause) -> Limit | None:
    """Return what the clause comes to; None where it limits nothing, or nobody can say what."""
    letters = clause.letters
    return next((limit for limit, pattern in _LIMITS if pattern.fullmatch(letters)), None)


def continues(clause: Clause) -> bool:
    """Whether a negation can go on with this clause: ``don't blur it or sharpen it``."""
    return bool(_GOES_ON.fullmatch(clause.letters))
