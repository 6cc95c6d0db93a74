"""Lexemes to clauses: where one request ends and the next begins, and what each of them says."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from imageedit_server.providers.local.language.lexer import Lexeme
from imageedit_server.providers.local.language.words import Kind, Meaning

_ASKS = frozenset({
    Kind.QUALITY, Kind.HUES, Kind.COLOR, Kind.TINT, Kind.PAINT, Kind.REMOVE, Kind.ADD, Kind.DIRECTION,
    Kind.TOO, Kind.LACKING, Kind.SIZE, Kind.REGION, Kind.NEUTRAL, Kind.BLOCK, Kind.UNKNOWN, Kind.ACT,
    Kind.DEGREES, Kind.WAY, Kind.KEEP,
})  # fmt: skip
"""What makes a clause ask for something; the rest alone is politeness."""

_BEFORE = frozenset(
    {Kind.STRENGTH, Kind.DIRECTION, Kind.ARTICLE, Kind.FILLER, Kind.PERCENT, Kind.ADD, Kind.TOO, Kind.WAY}
)
"""What goes with the operation that follows it, when a clause is divided between two."""


@dataclass(slots=True)
class Clause:
    """What one clause says. ``joint`` is how it follows the one before; positions are in the prompt."""

    joint: str = ","
    lexemes: list[Lexeme] = field(default_factory=list)
    operation: Meaning | None = None
    colors: list[Meaning] = field(default_factory=list)
    found: dict[Kind, Meaning] = field(default_factory=dict)
    strengths: list[float] = field(default_factory=list)
    ways: list[Meaning] = field(default_factory=list)
    placed: bool = False
    """Whether the picture is only where something else is: ``the hat in the photo``."""
    narrowed: bool = False
    """Whether it is only about a place: ``around the hat``."""

    def has(self, *kinds: Kind) -> bool:
        """Whether a word of one of these kinds is there."""
        return not self.found.keys().isdisjoint(kinds)

    @property
    def sign(self) -> int:
        """The product of the directions said: 0 for none."""
        if Kind.REMOVE in self.found:
            return -1
        if Kind.DIRECTION in self.found:
            return self.found[Kind.DIRECTION].sign
        measure = self.measure
        if measure and measure.sign < 0:
            return -1
        return 1 if self.has(Kind.ADD, Kind.LACKING) or measure else 0

    @property
    def measure(self) -> Meaning | None:
        """How much, where it is said in numbers."""
        return self.found.get(Kind.PERCENT) or self.found.get(Kind.NUMBER)

    @property
    def complete(self) -> bool:
        """Whether the clause has said something that could be done."""
        operation = self.operation
        if operation and operation.kind is Kind.QUALITY:
            return bool(self.sign)
        return bool(operation or self.colors or (Kind.HUES in self.found and self.sign))

    @property
    def asks(self) -> bool:
        """Whether it asks for anything at all."""
        return not self.found.keys().isdisjoint(_ASKS)

    @property
    def span(self) -> tuple[int, int]:
        """Where it stands in the prompt."""
        return self.lexemes[0].start, self.lexemes[-1].end

    def add(self, lexeme: Lexeme) -> None:
        """Take one more word."""
        meaning = lexeme.meaning
        kind = meaning.kind
        self.lexemes.append(lexeme)
        if kind in (Kind.ACT, Kind.QUALITY):
            self._name(meaning)
        elif kind is Kind.COLOR:
            self.colors.append(meaning)
        elif kind is Kind.STRENGTH or (kind is Kind.STATE and meaning.number):
            self.strengths.append(meaning.number)
        elif kind is Kind.WAY:
            self.ways.append(meaning)
        elif kind is Kind.PICTURE:
            self.placed = self.placed or (self.has(Kind.UNKNOWN) and self.has(Kind.INSIDE))
        elif kind is Kind.UNKNOWN:
            self.narrowed = self.narrowed or self.has(Kind.BESIDE)
        if kind is not Kind.DIRECTION or kind not in self.found or meaning.sign < 0:
            self.found[kind] = meaning

    def _name(self, meaning: Meaning) -> None:
        """Take the name of an operation; ``bright contrast`` is more contrast."""
        said = self.operation
        if said is None or said.kind is Kind.QUALITY:
            self.operation = meaning
        elif meaning.kind is Kind.QUALITY and said.operation is not meaning.operation:
            self.operation = meaning
            self.found.setdefault(Kind.DIRECTION, Meaning(kind=Kind.DIRECTION, sign=said.sign))


def divide(lexemes: list[Lexeme]) -> Iterator[Clause]:
    """Return the clauses that ask for something, in order."""
    return (clause for clause in _clauses(_attributes(lexemes)) if clause.asks)


_NOUN_FOLLOWS = frozenset({Kind.UNKNOWN, Kind.REGION, Kind.PICTURE, Kind.COLOR, Kind.MASKED, Kind.QUALITY})
_ATTRIBUTE_FOLLOWS = frozenset(
    {Kind.ARTICLE, Kind.UNKNOWN, Kind.INSIDE, Kind.BESIDE, Kind.SOFT, Kind.ADD, Kind.BLOCK}
)
_UNKNOWN = Meaning(kind=Kind.UNKNOWN)
_ARTICLE = Meaning(kind=Kind.ARTICLE)
_PICTURE = Meaning(kind=Kind.PICTURE)


def _attributes(lexemes: list[Lexeme]) -> list[Lexeme]:
    """Give words that describe an unknown noun to that noun: ``red`` in ``red dress`` asks for nothing."""
    result = list(lexemes)
    behind: Kind | None = None
    for index in range(len(lexemes) - 1, -1, -1):
        meaning = lexemes[index].meaning
        before = lexemes[index - 1].meaning.kind if index else None
        kind = meaning.kind
        if kind is Kind.THIS:
            result[index] = lexemes[index]._replace(meaning=_ARTICLE if behind in _NOUN_FOLLOWS else _PICTURE)
        elif behind is Kind.UNKNOWN and (
            kind in (Kind.COLOR, Kind.SIZE) or (kind is Kind.ACT and before in _ATTRIBUTE_FOLLOWS)
        ):
            result[index] = lexemes[index]._replace(meaning=_UNKNOWN)
        if meaning.kind is not Kind.FILLER:
            behind = result[index].meaning.kind
    return result


def _clauses(lexemes: list[Lexeme]) -> Iterator[Clause]:
    clause = Clause()
    for lexeme in lexemes:
        meaning = lexeme.meaning
        joint = _joint(meaning, clause)
        if joint == "on":
            kept, handed = _parted(clause.lexemes, meaning)
            yield _clause(clause.joint, kept)
            clause = _clause("and", handed)
        elif joint:
            yield clause
            clause = Clause(joint=joint)
        if meaning.kind not in _BORDERS:
            clause.add(lexeme)
    yield clause


def _clause(joint: str, lexemes: list[Lexeme]) -> Clause:
    clause = Clause(joint=joint)
    for lexeme in lexemes:
        clause.add(lexeme)
    return clause


_BORDERS = frozenset({Kind.BREAK, Kind.SOFT, Kind.PURPOSE})
_SELF_CONTAINED = frozenset({Kind.ACT, Kind.QUALITY})


def _joint(meaning: Meaning, clause: Clause) -> str:
    """Return how a clause that begins with this word follows ``clause``; empty when none begins here.

    ``on`` is a clause that begins without a word for it: a second operation, a second verb.
    """
    kind = meaning.kind
    if kind is Kind.BREAK:
        return meaning.text
    if kind is Kind.PURPOSE:
        return "purpose" if clause.lexemes else ""
    if not clause.complete:
        return ""
    if kind is Kind.SOFT:
        return "with"
    if meaning.verb and not (kind is Kind.TINT and clause.colors):
        return "on"
    return "on" if kind in _SELF_CONTAINED and _is_second(meaning, clause) else ""


def _is_second(meaning: Meaning, clause: Clause) -> bool:
    """Whether this operation is another one than what ``clause`` says already."""
    said = clause.operation
    if said is None:
        return bool(clause.colors) and clause.has(Kind.TINT)
    if said.operation is meaning.operation and said.sign == meaning.sign:
        return False
    return not (meaning.kind is Kind.QUALITY and said.kind is Kind.ACT and clause.lexemes[-1].meaning is said)


def _parted(lexemes: list[Lexeme], meaning: Meaning) -> tuple[list[Lexeme], list[Lexeme]]:
    """Divide before the words that go with the operation which begins the next clause."""
    count = len(lexemes)
    if meaning.kind in _SELF_CONTAINED:
        while count > 1 and _goes_before(lexemes[count - 1].meaning):
            count -= 1
    if count < len(lexemes) and not _clause("", lexemes[:count]).complete:
        count = len(lexemes)
    return lexemes[:count], lexemes[count:]


def _goes_before(meaning: Meaning) -> bool:
    return meaning.kind in _BEFORE and not meaning.after
