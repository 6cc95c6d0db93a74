"""What a word can mean to the grammar. The words stand in ``english.txt`` and ``chinese.txt``."""

from dataclasses import dataclass
from enum import IntEnum, auto

from imageedit_server.providers.local.plan import RGB, Axis, Operation, Region

_FIRST_LETTER = 0xE000


class Kind(IntEnum):
    """The part that a word plays in a clause."""

    ADJ = auto()  # says how the picture should be: ``brighter``, ``vivid``
    VERB = auto()  # says what is done to it: ``brighten``, 调亮
    NOUN = auto()  # names what is added or taken away: ``vignette``
    ADJ_NOUN = auto()
    VERB_ADJ = auto()
    VERB_NOUN = auto()
    BAD = auto()  # a complaint that nobody wishes for: ``overexposed``. The meaning is the remedy
    QUALITY = auto()  # names what can be more or less: ``contrast``, 亮度
    HUES = auto()  # the word ``color`` itself: more or less of it is saturation
    LIGHT = auto()
    COLOR = auto()
    TINT = auto()  # the noun beside a color: ``a blue tint``
    TINTING = auto()  # the verb before a color: ``tint it blue``
    FILL = auto()
    REMOVE = auto()
    ERASE = auto()  # a removal that needs no object: ``inpaint``
    FLIP = auto()
    ROTATE = auto()
    TURN = auto()  # a DO that is a rotation beside an angle or a way: ``turn``, 转
    TURNED = auto()  # says an angle: ``upside down``
    CROP = auto()
    RESIZE = auto()
    EXTENT = auto()  # the noun ``size``
    SIDE = auto()  # width or height

    # how much, and which way
    MORE = auto()
    LESS = auto()
    UP = auto()
    DOWN = auto()
    LIFT = auto()  # an UP that shadows and highlights can be given: ``lift the shadows``
    ADD = auto()
    TIMES = auto()  # a measure as a factor: ``1.5x``, 两倍
    PERCENT = auto()
    SIGNED = auto()  # a number or a percentage with a plus or a minus
    NUMBER = auto()
    DEGREES = auto()
    PIXELS = auto()
    SIZE = auto()
    WAY = auto()
    STRENGTH = auto()

    # to what
    PICTURE = auto()
    IT = auto()
    THIS = auto()  # an article before a noun, else the picture
    REGION = auto()
    MASKED = auto()  # the part under the mask: ``selected area``, 选区
    THING = auto()  # what a mask can show, and words alone cannot point at: ``dress``, 帽子
    OWNER = auto()  # a thing that has skin: ``model``, 人物
    BACKGROUND = auto()
    REST = auto()  # what no other clause is about: ``everything else``
    AGED = auto()  # ``old``: an old photo is brown where one is asked for
    DESCRIBING = auto()  # only describes a picture or a thing: ``new``
    COLORED = auto()  # ``in color``: describes a picture; elsewhere something keeps its color

    # what holds a clause together
    DO = auto()
    INTO = auto()  # leads to a result: ``to``, 变成
    LIKE = auto()
    LOOK = auto()  # ``look``, ``style``, 效果
    OF = auto()
    BY = auto()
    WITH = auto()
    AT = auto()  # marks the object before its verb: 把
    THE = auto()
    WISH = auto()  # ``should be``, ``needs``
    STATE = auto()  # says how the picture is: with ``dark`` a complaint, so the opposite is wanted
    LEAN = auto()  # 偏: a complaint where the picture does it, else a wish
    TOO = auto()
    LACK = auto()
    ENOUGH = auto()
    FIX = auto()

    # what limits other clauses
    NOT = auto()
    WITHOUT = auto()  # a NOT that begins a clause
    KEEP = auto()
    SAME = auto()  # ``unchanged``, 不变
    NATURAL = auto()
    ONLY = auto()  # changes nothing in a clause that is understood; limits the others where it is not
    LIMIT = auto()  # ``except``, ``if``, ``select``: never understood, and nothing is done beside it

    # what stands between clauses
    COMMA = auto()
    COLON = auto()
    AND = auto()
    PLUS = auto()  # the ``with`` of ``black and white with a vignette``
    OR = auto()
    BUT = auto()
    STOP = auto()

    FILLER = auto()
    OTHER = auto()  # a verb for what nobody can do here: ``wear``, ``restore``
    UNKNOWN = auto()
    SHADE = auto()  # a word before a color, and what it mixes in
    TRADITIONAL = auto()  # a pair of characters, not a word

    @property
    def letter(self) -> str:
        """The character that stands for this kind where the grammar matches a clause."""
        return chr(_FIRST_LETTER + self)


@dataclass(frozen=True, kw_only=True, slots=True)
class Meaning:
    """A word's part with its value.

    ``sign`` is the direction of an act. ``number`` is a factor for STRENGTH and TIMES, a share of 1 for
    PERCENT, degrees for DEGREES and TURNED, pixels for PIXELS, the amount for a word that says it itself
    (``double``). ``complaint`` is an act that is also said of what is wrong (``dark``). ``text`` is a SIZE,
    a SIDE (``width``, ``height``) or a WAY (``left``, ``clockwise``).
    """

    kind: Kind
    operation: Operation | None = None
    sign: int = 1
    number: float = 0.0
    color: RGB | None = None
    region: Region | None = None
    axis: Axis | None = None
    complaint: bool = False
    text: str = ""


def act(kind: Kind, operation: Operation, sign: int = 1) -> Meaning:
    """Return the meaning of a word that names an operation."""
    return Meaning(kind=kind, operation=operation, sign=sign)


def just(kind: Kind, text: str = "", *, sign: int = 1, number: float = 0.0) -> Meaning:
    """Return the meaning of a word that only plays a part."""
    return Meaning(kind=kind, text=text, sign=sign, number=number)


LITTLE = 0.5
"""The factor of ``a little``."""
