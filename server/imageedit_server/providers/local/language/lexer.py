"""Text to lexemes: every word of a prompt with its meaning, by longest match, in linear time."""

import re
from typing import NamedTuple

from imageedit_server.providers.local.language.measures import UNITS, measured, written
from imageedit_server.providers.local.language.vocabulary import (
    CJK_LENGTHS,
    LATIN_LENGTHS,
    VOCABULARY,
    simplified,
)
from imageedit_server.providers.local.language.words import Kind, Meaning, just
from imageedit_server.providers.local.plan import RGB


class Lexeme(NamedTuple):
    """A word with its meaning, and where it stands in the prompt."""

    meaning: Meaning
    start: int
    end: int


_TOKEN = re.compile(
    r"(?P<hex>\#(?:[0-9a-f]{6}|[0-9a-f]{3})(?![0-9a-z]))"
    r"|(?P<size>[0-9]{1,5} ?[x×*:] ?[0-9]{1,5}(?![0-9]))"
    r"|(?P<number>[+\-−]?[0-9]{1,6}(?:\.[0-9]{1,4})?)"
    r"|(?P<cjk>[\u4e00-\u9fff]+)"
    r"|(?P<word>[a-z]+(?:'[a-z]+)?|&|/|\+)"
    r"|(?P<stop>[,.;!?、。…\n()\[\]{}|])"
    r"|(?P<unit>[%°‰])"
    r"|(?P<other>[^\W_]+)"
)
_MOST_LEXEMES = 1500
_BREAK = just(Kind.BREAK, text=",")
_LISTING = just(Kind.BREAK, text="and")
_UNKNOWN = just(Kind.UNKNOWN)


def read(prompt: str) -> list[Lexeme]:
    """Return the lexemes of ``prompt`` in order, without spaces and signs of no meaning. Never raises.

    What comes after very many words is one unknown word.
    """
    text = simplified(prompt)
    tokens = [(match.lastgroup or "", match.group(), match.start()) for match in _TOKEN.finditer(text)]
    lexemes: list[Lexeme] = []
    index = 0
    while index < len(tokens) and len(lexemes) < _MOST_LEXEMES:
        index = _take(tokens, index, text, lexemes)
    if len(lexemes) >= _MOST_LEXEMES and lexemes[-1].end < len(text):
        rest = lexemes[-1].end
        lexemes += [Lexeme(_BREAK, rest, rest), Lexeme(_UNKNOWN, rest, len(text))]
    return _whole_words(lexemes, text)


def _take(tokens: list[tuple[str, str, int]], index: int, text: str, lexemes: list[Lexeme]) -> int:
    """Append the lexemes that begin at ``index`` and return the index behind them."""
    group, token, start = tokens[index]
    if group == "word":
        return _take_words(tokens, index, lexemes)
    if group == "number":
        return _take_number(tokens, index, lexemes)
    end = start + len(token)
    if group == "cjk":
        _take_cjk(token, start, text, lexemes)
    elif group == "stop":
        lexemes.append(Lexeme(_LISTING if token == "、" else _BREAK, start, end))
    elif group == "hex":
        lexemes.append(Lexeme(Meaning(kind=Kind.COLOR, color=_hex(token[1:])), start, end))
    elif group == "size":
        size = token.replace(" ", "").replace("×", "x").replace("*", "x")
        lexemes.append(Lexeme(just(Kind.SIZE, text=size), start, end))
    elif group == "other":
        lexemes.append(Lexeme(_UNKNOWN, start, end))
    return index + 1


def _take_words(tokens: list[tuple[str, str, int]], index: int, lexemes: list[Lexeme]) -> int:
    start = tokens[index][2]
    for length in LATIN_LENGTHS.get(tokens[index][1], ()):
        span = tokens[index : index + length]
        meaning = VOCABULARY.get(" ".join(token for _, token, _ in span)) if len(span) == length else None
        if meaning:
            lexemes.append(Lexeme(meaning, start, span[-1][2] + len(span[-1][1])))
            return index + length
    word = tokens[index][1]
    lexemes.append(Lexeme(_BREAK if word == "/" else _UNKNOWN, start, start + len(word)))
    return index + 1


def _take_number(tokens: list[tuple[str, str, int]], index: int, lexemes: list[Lexeme]) -> int:
    _, token, start = tokens[index]
    unit, unit_end, behind = _unit(tokens, index + 1, start + len(token))
    value = float(token.replace("−", "-"))
    lexemes.append(Lexeme(measured(value, unit), start, unit_end))
    return behind


def _unit(tokens: list[tuple[str, str, int]], index: int, end: int) -> tuple[str, int, int]:
    """Return the unit at ``index``, where it ends, and the index behind it."""
    if index < len(tokens):
        group, token, start = tokens[index]
        if token in UNITS and not (token == "x" and start > end):
            cents = token == "per" and index + 1 < len(tokens) and tokens[index + 1][1] == "cent"
            last = index + 1 if cents else index
            return token, tokens[last][2] + len(tokens[last][1]), last + 1
        if group == "cjk" and start == end and token[0] in "度成倍":
            rest = token[1:]
            tokens[index] = (group, rest, start + 1) if rest else ("", "", start + 1)
            return token[0], start + 1, index
    return "", end, index


def _take_cjk(run: str, offset: int, text: str, lexemes: list[Lexeme]) -> None:
    index = 0
    while index < len(run) and len(lexemes) < _MOST_LEXEMES:
        measure = written(text, offset + index)
        if measure:
            meaning, end = measure
            lexemes.append(Lexeme(meaning, offset + index, end))
            index = end - offset
            continue
        length, meaning = _longest(run, index)
        lexemes.append(Lexeme(meaning, offset + index, offset + index + length))
        index += length


def _longest(run: str, index: int) -> tuple[int, Meaning]:
    for length in CJK_LENGTHS.get(run[index], ()):
        meaning = VOCABULARY.get(run[index : index + length])
        if meaning and index + length <= len(run):
            return length, meaning
    return 1, _UNKNOWN


def _hex(digits: str) -> RGB:
    if len(digits) == 3:
        digits = "".join(digit * 2 for digit in digits)
    return int(digits[0:2], 16), int(digits[2:4], 16), int(digits[4:6], 16)


_LOOSE = {
    Kind.ACT,
    Kind.QUALITY,
    Kind.HUES,
    Kind.COLOR,
    Kind.DIRECTION,
    Kind.ADD,
    Kind.NOT,
    Kind.STRENGTH,
    Kind.PAINT,
    Kind.TINT,
    Kind.TURN,
    Kind.WAY,
    Kind.PERCENT,
    Kind.BLOCK,
}
"""What a single Chinese character means only while no unknown one follows: 亮 is not brighter in 亮片."""


def _whole_words(lexemes: list[Lexeme], text: str) -> list[Lexeme]:
    """Join neighbours of one meaning, and single characters that begin an unknown word, into one."""
    joined: list[Lexeme] = []
    behind: Lexeme | None = None
    for lexeme in reversed(lexemes):
        if behind and (lexeme.meaning is behind.meaning or _begins(lexeme, behind, text)):
            joined.pop()
            behind = Lexeme(behind.meaning, lexeme.start, behind.end)
        else:
            behind = lexeme
        joined.append(behind)
    joined.reverse()
    return joined


def _begins(lexeme: Lexeme, behind: Lexeme, text: str) -> bool:
    """Whether a single Chinese character is only the beginning of the unknown word behind it."""
    return (
        behind.meaning.kind is Kind.UNKNOWN
        and lexeme.end - lexeme.start == 1
        and lexeme.end == behind.start
        and lexeme.meaning.kind in _LOOSE
        and _is_cjk(text, lexeme.start)
        and _is_cjk(text, behind.start)
    )


def _is_cjk(text: str, index: int) -> bool:
    return "\u4e00" <= text[index] <= "\u9fff"
