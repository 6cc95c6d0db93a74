"""Text to lexemes: every word of a prompt with its meaning, by longest match, in linear time."""

import re
from collections.abc import Callable
from typing import NamedTuple

from imageedit_server.providers.local.language.measures import NUMBER, measured, written
from imageedit_server.providers.local.language.vocabulary import (
    CJK_LENGTHS,
    LATIN_LENGTHS,
    VOCABULARY,
    simplified,
)
from imageedit_server.providers.local.language.words import Kind, Meaning, just


class Lexeme(NamedTuple):
    """A word with its meaning, and where it stands in the prompt.

    ``meanings`` are several for a list (``contrast and saturation``) that is said of at once; those of a
    picture are what describes it.
    """

    kind: Kind
    meanings: tuple[Meaning, ...]
    start: int
    end: int


_TOKEN = re.compile(
    r"(?P<hex>\#(?:[0-9a-f]{6}|[0-9a-f]{3})(?![0-9a-z]))"
    r"|(?P<item>(?<![0-9.])[0-9]{1,2}[.)、](?![0-9]))"
    r"|(?P<size>(?<![0-9.])[0-9]{1,5} ?(?:px|pixels|像素)? ?(?:[x×*:]|by) ?"
    r"[0-9]{1,5}(?![0-9.%])(?: ?(?:px|pixels|像素))?)"
    rf"|(?P<number>{re.sub('[?]P<[a-z]+>', '', NUMBER.pattern)})"
    r"|(?P<cjk>[\u4e00-\u9fff]+)"
    r"|(?P<word>[a-z]+(?:'[a-z]+)?|&|/|\+)"
    r"|(?P<silent>(?<=[a-z])-(?=[a-z])|[\"'“”‘’«»「」『』《》_\ufe0f])"
    r"|(?P<sign>[,.;!?、。…\n()\[\]{}|:=•·*–—-])"
    r"|(?P<other>\S)"
)  # fmt: skip
_SIGNS = {
    **dict.fromkeys(",()[]{}|•·*–—-", Kind.COMMA),
    **dict.fromkeys(".;!?。…\n", Kind.STOP),
    "、": Kind.AND,
    ":": Kind.COLON,
    "=": Kind.COLON,
}
_SIZE_PARTS = re.compile(r"[0-9]+")
_MOST_LEXEMES = 1500
_UNKNOWN = just(Kind.UNKNOWN)
_UNREAD = just(Kind.LIMIT)

Token = re.Match[str]


def read(prompt: str) -> list[Lexeme]:
    """Return the lexemes of ``prompt`` in order, without spaces and quotation marks. Never raises.

    What comes after very many words is one word that limits everything, since nobody read it.
    """
    text = simplified(prompt)
    tokens = [match for match in _TOKEN.finditer(text) if match.lastgroup != "silent"]
    lexemes: list[Lexeme] = []
    items = index = 0
    while index < len(tokens) and len(lexemes) < _MOST_LEXEMES:
        token = tokens[index]
        if token.lastgroup == "word":
            index = _take_words(tokens, index, lexemes)
            continue
        if token.lastgroup == "item":
            items = _take_item(token, items, lexemes)
        elif token.lastgroup == "cjk":
            _take_cjk(token, text, lexemes)
        else:
            lexemes.append(_lexeme(_MEANINGS[token.lastgroup or ""](token), token.start(), token.end()))
        index += 1
    if index < len(tokens) or len(lexemes) > _MOST_LEXEMES:
        lexemes.append(_lexeme(_UNREAD, lexemes[-1].end, len(text)))
    return lexemes


def _lexeme(meaning: Meaning, start: int, end: int) -> Lexeme:
    return Lexeme(meaning.kind, (meaning,), start, end)


def _take_words(tokens: list[Token], index: int, lexemes: list[Lexeme]) -> int:
    """Append the longest phrase that begins at ``index``; return the index behind it."""
    start, word = tokens[index].start(), tokens[index].group()
    for length in LATIN_LENGTHS.get(word, ()):
        span = tokens[index : index + length]
        meaning = VOCABULARY.get(" ".join(token.group() for token in span)) if len(span) == length else None
        if meaning:
            lexemes.append(_lexeme(meaning, start, span[-1].end()))
            return index + length
    meaning = just(Kind.COMMA) if word == "/" else _UNKNOWN
    lexemes.append(_lexeme(meaning, start, tokens[index].end()))
    return index + 1


def _take_item(token: Token, items: int, lexemes: list[Lexeme]) -> int:
    """Take ``1.``: the mark of the next item of a list, else a number at the end of a sentence."""
    number, end = int(token.group()[:-1]), token.end()
    if number != items + 1 or (items == 0 and lexemes and lexemes[-1].kind not in _BORDERS):
        lexemes.append(_lexeme(just(Kind.NUMBER, number=number), token.start(), end - 1))
        lexemes.append(_lexeme(just(_SIGNS.get(token.group()[-1], Kind.COMMA)), end - 1, end))
        return items
    lexemes.append(_lexeme(just(Kind.STOP), token.start(), end))
    return number


_BORDERS = frozenset({Kind.STOP, Kind.COMMA, Kind.COLON, Kind.FILLER})


def _take_cjk(token: Token, text: str, lexemes: list[Lexeme]) -> None:
    index = token.start()
    while index < token.end() and len(lexemes) <= _MOST_LEXEMES:
        meaning, end = written(text, index) or _longest(token, index)
        lexemes.append(_lexeme(meaning, index, end))
        index = end


def _longest(token: Token, index: int) -> tuple[Meaning, int]:
    run, offset = token.group(), token.start()
    for length in CJK_LENGTHS.get(run[index - offset], ()):
        word = run[index - offset : index - offset + length]
        behind = run[index - offset + length : index - offset + length + 1]
        meaning = VOCABULARY.get(word)
        cuts = length > 1 and behind == "度" and f"{word[-1]}度" in VOCABULARY  # 调|亮度, not 调亮|度
        if meaning and len(word) == length and not cuts:
            return meaning, index + length
    return _UNKNOWN, index + 1


def _size(token: Token) -> Meaning:
    width, height = _SIZE_PARTS.findall(token.group())
    return just(Kind.SIZE, f"{int(width)}{':' if ':' in token.group() else 'x'}{int(height)}")


def _hex(token: Token) -> Meaning:
    digits = token.group()[1:]
    if len(digits) == 3:
        digits = "".join(digit * 2 for digit in digits)
    red, green, blue = bytes.fromhex(digits)
    return Meaning(kind=Kind.COLOR, color=(red, green, blue))


def _number(token: Token) -> Meaning:
    match = NUMBER.match(token.string, token.start())
    assert match is not None
    return measured(match)


def _sign(token: Token) -> Meaning:
    return just(_SIGNS[token.group()])


def _strange(token: Token) -> Meaning:
    return VOCABULARY.get(token.group(), _UNKNOWN)


_MEANINGS: dict[str, Callable[[Token], Meaning]] = {
    "hex": _hex,
    "size": _size,
    "number": _number,
    "sign": _sign,
    "other": _strange,
}
