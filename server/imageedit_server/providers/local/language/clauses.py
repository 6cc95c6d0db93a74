"""Lexemes to clauses: lists are joined, descriptions dropped, and the rest is divided at its joints."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from imageedit_server.providers.local.language.lexer import Lexeme
from imageedit_server.providers.local.language.patterns import compiled
from imageedit_server.providers.local.language.words import Kind, Meaning

_JOINTS = frozenset({Kind.STOP, Kind.COMMA, Kind.AND, Kind.PLUS, Kind.OR, Kind.BUT})
_LIMITS = frozenset({Kind.NOT, Kind.WITHOUT, Kind.KEEP, Kind.SAME, Kind.LIMIT, Kind.COLORED})


@dataclass(frozen=True, kw_only=True, slots=True)
class Clause:
    """A run of lexemes between two joints; never empty. ``joint`` is how it follows the one before."""

    joint: Kind
    lexemes: tuple[Lexeme, ...]
    only: bool = False

    @property
    def letters(self) -> str:
        """The kinds, one letter each, for patterns."""
        return "".join([lexeme.kind.letter for lexeme in self.lexemes])

    @property
    def span(self) -> tuple[int, int]:
        """Where it stands in the prompt."""
        return self.lexemes[0].start, self.lexemes[-1].end

    @property
    def kinds(self) -> frozenset[Kind]:
        """Every kind that is there."""
        return frozenset(lexeme.kind for lexeme in self.lexemes)

    @property
    def limits(self) -> bool:
        """Whether it says, or may say, what the other clauses are not to touch."""
        return self.only or self.joint is Kind.BUT or not self.kinds.isdisjoint(_LIMITS)

    def meanings(self, *kinds: Kind) -> tuple[Meaning, ...]:
        """Return the meanings of all words of these kinds, in their order."""
        return tuple(
            meaning for lexeme in self.lexemes if lexeme.kind in kinds for meaning in lexeme.meanings
        )

    def part(self, start: int, end: int) -> "Clause":
        """Return some of its lexemes as a clause."""
        return Clause(joint=self.joint, lexemes=self.lexemes[start:end])


def divide(lexemes: Iterable[Lexeme]) -> Iterator[Clause]:
    """Return the clauses of a prompt, in order."""
    words = [lexeme for lexeme in lexemes if lexeme.kind is not Kind.FILLER]
    for pattern, change in _CHANGES:
        words = _rewritten(words, pattern, change)
    joint, run = Kind.STOP, list[Lexeme]()
    for word in words:
        if word.kind not in _JOINTS and word.kind is not Kind.WITHOUT:
            run.append(word)
            continue
        yield from _clause(joint, run)
        joint = _stronger(word.kind, Kind.COMMA if run else joint)
        run = [word] if word.kind is Kind.WITHOUT else []
    yield from _clause(joint, run)


def _clause(joint: Kind, run: list[Lexeme]) -> Iterator[Clause]:
    said = tuple(word for word in run if word.kind is not Kind.ONLY)
    if said:
        yield Clause(joint=joint, lexemes=said, only=len(said) < len(run))


def _stronger(joint: Kind, before: Kind) -> Kind:
    """Of two joints that follow each other, ``, but``, the one that says more."""
    weak = (Kind.COMMA, Kind.WITHOUT) if before is not Kind.STOP else (*_JOINTS - {Kind.BUT}, Kind.WITHOUT)
    return before if joint in weak else joint


Change = Callable[[list[Lexeme]], list[Lexeme]]


def _rewritten(words: list[Lexeme], pattern: re.Pattern[str], change: Change) -> list[Lexeme]:
    """Change what ``pattern`` finds, in its group if it has one."""
    letters = "".join([word.kind.letter for word in words])
    result: list[Lexeme] = []
    done = 0
    for match in pattern.finditer(letters):
        if pattern.groups and match[1] is None:
            continue
        start, end = match.span(pattern.groups)
        result += words[done:start]
        result += change(words[start:end])
        done = end
    return result + words[done:]


def _listed(words: list[Lexeme]) -> list[Lexeme]:
    """Make one lexeme of a list of words of one part."""
    said = [word for word in words if word.kind not in (*_JOINTS, Kind.THE)]
    meanings = tuple(meaning for word in said for meaning in word.meanings)
    return [Lexeme(said[0].kind, meanings, words[0].start, words[-1].end)]


def _unclear(words: list[Lexeme]) -> list[Lexeme]:
    return [Lexeme(Kind.UNKNOWN, (), words[0].start, words[-1].end)]


def _described(words: list[Lexeme]) -> list[Lexeme]:
    """Make one lexeme of a noun and what describes it, which asks for nothing."""
    noun = words[-1]
    meanings = tuple(
        meaning for word in words[:-1] if word.kind not in (Kind.THE, Kind.THIS) for meaning in word.meanings
    )
    return [Lexeme(noun.kind, meanings, words[0].start, noun.end)]


def _without_colon(words: list[Lexeme]) -> list[Lexeme]:
    return [word for word in words if word.kind is not Kind.COLON]


def _comma(words: list[Lexeme]) -> list[Lexeme]:
    return [word._replace(kind=Kind.COMMA) for word in words]


def _plus(words: list[Lexeme]) -> list[Lexeme]:
    return [word._replace(kind=Kind.PLUS) for word in words]


_CHANGES: tuple[tuple[re.Pattern[str], Change], ...] = (
    (compiled("NAMED COLON"), _without_colon),
    (compiled("COLON"), _comma),
    (compiled("WITH(?=(?:THE|AMOUNT|COMPARED)* (?:WORDS_ADJ|WORDS_NOUN|QUANTITY))"), _plus),
    (compiled("COLOR (?:(?:COMMA|AND|OR)+ THE? COLOR)+"), _unclear),
    (compiled("WORDS_ADJ (?:COMMA? AND WORDS_ADJ)+"), _listed),
    (compiled("WORDS_VERB (?:COMMA? AND WORDS_VERB)+"), _listed),
    (compiled("(?:QUALITY|HUES) (?:(?:COMMA|AND)+ THE* (?:QUALITY|HUES))+"), _listed),
    (compiled("THING (?:(?:COMMA|AND)+ THE* THING)+"), _listed),
    (compiled("REGION (?:COMMA? AND THE* REGION)+"), _listed),
    (compiled("RESULT DESCRIPTION+ PICTURE|((?:THE|THIS)* DESCRIPTION+ PICTURE)"), _described),
    (compiled("(?:THE|THIS)* (?:COLOR|WORDS_ADJ|BAD|AGED|DESCRIBING|COLORED|STRENGTH)+ THING"), _described),
)
"""What is rewritten before the clauses are divided, in this order."""
