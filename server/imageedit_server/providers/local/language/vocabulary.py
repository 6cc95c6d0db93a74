"""The dictionary: every word of both languages with its meaning, and the script that it is looked up in.

The words stand in ``english.txt`` and ``chinese.txt``: a kind with its values, a colon, and words with commas
between them. A line that begins with a space goes on with the one before. The order means nothing: of two
phrases that begin alike, the longer one wins. The Chinese words are simplified; traditional ones are read as
these.
"""

import re
from collections.abc import Iterable, Iterator

from PIL import ImageColor

from imageedit_server.providers.local.language.patterns import lines_of
from imageedit_server.providers.local.language.words import Kind, Meaning
from imageedit_server.providers.local.plan import RGB, Axis, Operation, Region

Entries = tuple[tuple[Meaning, tuple[str, ...]], ...]

_WIDE = {code + 0xFEE0: code for code in range(0x21, 0x7F)} | {
    0x3000: 0x20,
    0x2019: 0x27,
    0x2018: 0x27,
    0x3002: 0x2E,
}


def _table(name: str) -> Entries:
    """Read one language's file."""
    lines = (line.split(": ", 1) for line in lines_of(name))
    entries = ((head.split(" "), body.split(", ")) for head, body in lines)
    return tuple(
        entry
        for head, words in entries
        for entry in (_colors(words) if head == ["COLOR"] else [(_meaning(head), tuple(words))])
    )


def _colors(words: Iterable[str]) -> Iterator[tuple[Meaning, tuple[str, ...]]]:
    for word in words:
        digits, names = word.split(" ", 1)
        yield Meaning(kind=Kind.COLOR, color=rgb(digits)), tuple(names.split("|"))


def _meaning(head: list[str]) -> Meaning:
    """Read a kind and its values, each of which says by its form what it is."""
    values: dict[str, object] = {}
    for value in head[1:]:
        if value in Operation.__members__:
            values["operation"] = Operation[value]
        elif value in Region.__members__:
            values["region"] = Region[value]
        elif value in Axis.__members__:
            values["axis"] = Axis[value]
        elif value in _SIGNS:
            values["sign"] = _SIGNS[value]
        elif value == "complaint":
            values["complaint"] = True
        elif re.fullmatch(r"[0-9]+([.][0-9]+)?", value) and len(value) < 6:
            values["number"] = float(value)
        else:
            values["text"] = value
    return Meaning(kind=Kind[head[0]], **values)  # type: ignore[arg-type]


_SIGNS = {"less": -1, "either": 0}


def rgb(digits: str) -> RGB:
    """Return the color that six hexadecimal digits say."""
    red, green, blue = bytes.fromhex(digits)
    return red, green, blue


def _traditional(entries: Entries) -> dict[int, str]:
    return {
        ord(pair[0]): pair[1]
        for meaning, pairs in entries
        for pair in pairs
        if meaning.kind is Kind.TRADITIONAL
    }


ENGLISH = _table("english.txt")
CHINESE = _table("chinese.txt")

_PLAIN = _traditional(CHINESE) | _WIDE


def simplified(prompt: str) -> str:
    """Return ``prompt`` in lower case, half width and simplified, each character where it was."""
    text = prompt.translate(_PLAIN)
    lower = text.lower()
    return lower if len(lower) == len(text) else "".join(c if len(c.lower()) > 1 else c.lower() for c in text)


def _named(entries: Entries) -> dict[str, RGB]:
    return {name: meaning.color for meaning, names in entries if meaning.color for name in names}


def _mixed(color: RGB, shade: Meaning) -> RGB:
    other, share = rgb(shade.text), shade.number
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(color, other, strict=True))
    return red, green, blue


def _all_colors() -> dict[str, RGB]:
    """Return the names that the web knows, shades of the English ones (``light blue``), and both tables."""
    web = {
        name: rgb(value.lstrip("#")) for name, value in ImageColor.colormap.items() if isinstance(value, str)
    }
    for thing in ("snow", "linen", "tomato"):  # things on photos more often than colors
        del web[thing]
    english, chinese = _named(ENGLISH), _named(CHINESE)
    shaded = {
        f"{word} {name}": _mixed(color, shade)
        for name, color in english.items()
        for shade, words in ENGLISH
        if shade.kind is Kind.SHADE
        for word in words
    }
    toned = {f"{name}调": color for name, color in chinese.items() if name.endswith("色") and name != "褐色"}
    return web | shaded | english | chinese | toned


COLORS: dict[str, RGB] = _all_colors()
"""Every name, in lower case, with single spaces."""


def _vocabulary() -> dict[str, Meaning]:
    colors = {name: Meaning(kind=Kind.COLOR, color=color) for name, color in COLORS.items()}
    no_words = (Kind.COLOR, Kind.SHADE, Kind.TRADITIONAL)
    entries = ((word, meaning) for meaning, words in ENGLISH + CHINESE for word in words)
    return colors | {word: meaning for word, meaning in entries if meaning.kind not in no_words}


VOCABULARY = _vocabulary()


def _lengths(keys: Iterator[tuple[str, int]]) -> dict[str, tuple[int, ...]]:
    """For each first word, how long the phrases are that begin with it, longest first."""
    found: dict[str, set[int]] = {}
    for first, length in keys:
        found.setdefault(first, set()).add(length)
    return {first: tuple(sorted(lengths, reverse=True)) for first, lengths in found.items()}


LATIN_LENGTHS = _lengths((key.split(" ", 1)[0], key.count(" ") + 1) for key in VOCABULARY if key.isascii())
CJK_LENGTHS = _lengths((key[0], len(key)) for key in VOCABULARY if not key.isascii())
