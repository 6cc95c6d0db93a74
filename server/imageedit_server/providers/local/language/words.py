"""What a word can mean to the parser. The words stand in ``english``, ``chinese`` and ``colors``."""

from dataclasses import dataclass
from enum import Enum, IntEnum, auto

from imageedit_server.providers.local.plan import RGB, Axis, Operation, Region


class Kind(IntEnum):
    """The part that a word plays in a clause. Integers, since they are hashed for every word."""

    ACT = auto()
    """Says an operation completely: ``brighter``, ``blur``, 调暗."""
    QUALITY = auto()
    """Names what an operation changes and needs a direction: ``contrast``, 亮度."""
    HUES = auto()
    """The word ``color`` itself: a quality (saturation) alone, nothing beside a color or an act."""
    COLOR = auto()
    TINT = auto()
    PAINT = auto()
    REMOVE = auto()
    ADD = auto()
    """Raises a quality, like ``DIRECTION``, but not a region: nobody who adds shadows wants them brighter."""
    DIRECTION = auto()
    DO = auto()
    """A verb that says that something is done, not what: ``make``, 变成."""
    TURN = auto()
    """A ``DO`` that is a rotation beside an angle or a way: ``turn``, 转."""
    STATE = auto()
    """Says how the picture is: with ``dark`` or ``blurry`` a complaint, so the opposite is wanted."""
    TOO = auto()
    LACKING = auto()
    ENOUGH = auto()
    NOT = auto()
    KEEP = auto()
    STRENGTH = auto()
    PERCENT = auto()
    DEGREES = auto()
    NUMBER = auto()
    SIZE = auto()
    WAY = auto()
    REGION = auto()
    PICTURE = auto()
    """The whole picture: ``it``, ``photo``, 画面."""
    MASKED = auto()
    """The part under the mask: ``selected area``, 选区."""
    INSIDE = auto()
    """A preposition that belongs to the words before it: ``the hat in the photo``."""
    BESIDE = auto()
    """A preposition that narrows to a place: ``around the hat``."""
    LEVEL = auto()
    """Before a number: the level to reach, not the change."""
    BREAK = auto()
    """Ends a clause."""
    SOFT = auto()
    """Ends a clause that has said something, else nothing: ``with``."""
    PURPOSE = auto()
    """Begins what is only a reason or a comparison: ``for``, ``so that``."""
    ARTICLE = auto()
    THIS = auto()
    """An article before a noun, else the picture."""
    NEUTRAL = auto()
    """Changes nothing beside an operation, but alone asks for something: ``natural``, ``style``."""
    FILLER = auto()
    BLOCK = auto()
    """A verb that makes a clause impossible whatever else it says: ``wear``, ``replace``."""
    UNKNOWN = auto()


class Way(Enum):
    """Where to, for turns and flips."""

    LEFT = auto()
    RIGHT = auto()
    CLOCKWISE = auto()
    COUNTERCLOCKWISE = auto()
    HORIZONTAL = auto()
    VERTICAL = auto()


@dataclass(frozen=True, kw_only=True, slots=True)
class Meaning:
    """A word's part with its value.

    ``sign`` is the direction of an act, a quality's act or a direction. ``number`` is a factor for
    STRENGTH, a share of 1 for PERCENT and for a DIRECTION that says how much, degrees for DEGREES and ROTATE.
    ``verb`` may begin a new clause; ``after`` is a strength that follows what it qualifies (一点);
    ``complaint`` is an act that nobody states with content (``dark``); ``text`` is a BREAK's or SIZE's.
    """

    kind: Kind
    operation: Operation | None = None
    sign: int = 1
    number: float = 0.0
    color: RGB | None = None
    region: Region | None = None
    axis: Axis | None = None
    way: Way | None = None
    verb: bool = False
    after: bool = False
    complaint: bool = False
    text: str = ""


Entries = tuple[tuple[Meaning, str], ...]
"""Meanings with their words, separated by commas."""


def act(operation: Operation, sign: int = 1, **more: object) -> Meaning:
    """Return the meaning of a word that says an operation completely."""
    return Meaning(kind=Kind.ACT, operation=operation, sign=sign, **more)  # type: ignore[arg-type]


def quality(operation: Operation) -> Meaning:
    """Return the meaning of an operation's noun."""
    return Meaning(kind=Kind.QUALITY, operation=operation)


def direction(sign: int, *, verb: bool = False, number: float = 0.0) -> Meaning:
    """Return the meaning of a word for more (+1) or less (-1)."""
    return Meaning(kind=Kind.DIRECTION, sign=sign, verb=verb, number=number)


def strength(factor: float, *, after: bool = False) -> Meaning:
    """Return the meaning of a word that makes an operation weaker (below 1) or stronger."""
    return Meaning(kind=Kind.STRENGTH, number=factor, after=after)


def just(kind: Kind, *, verb: bool = False, text: str = "", number: float = 0.0) -> Meaning:
    """Return the meaning of a word that only plays a part."""
    return Meaning(kind=kind, verb=verb, text=text, number=number)


HINT = 0.3
LITTLE = 0.5
FAIRLY = 0.75
MUCH = 1.8
EXTREME = 2.6
