"""The grammar: which sequences of words ask for something, and what makes steps of them.

A clause is understood when one pattern matches all of it, or when it divides into parts that are each
understood (``brighten it sharpen it``, 亮一点暖一点). There is no pattern for the rest of the language.
"""

import re
from collections.abc import Callable
from itertools import combinations
from typing import NamedTuple

from imageedit_server.providers.local.language import shapes, steps
from imageedit_server.providers.local.language.clauses import Clause
from imageedit_server.providers.local.language.patterns import GRAMMAR, compiled
from imageedit_server.providers.local.language.steps import Steps
from imageedit_server.providers.local.language.words import Kind
from imageedit_server.providers.local.plan import Operation, Step

_MOST_WORDS = 30


class Rule(NamedTuple):
    """A pattern, and what makes steps of a clause that it matches. A complaint yields to a request."""

    pattern: re.Pattern[str]
    build: Callable[[Clause], Steps]
    complaint: bool


class Request(NamedTuple):
    """What a clause, or one part of it, asks for."""

    clause: Clause
    steps: tuple[Step, ...]
    complaint: bool


def parse(clause: Clause) -> list[Request] | None:
    """Return what the clause asks for; None unless all its words are accounted for."""
    if len(clause.lexemes) > _MOST_WORDS or not clause.kinds.isdisjoint({Kind.UNKNOWN, Kind.OTHER}):
        return None
    requests = _divided(clause) or []
    exchange = len(requests) > 1 and any(COLOR_ALONE.fullmatch(part.clause.letters) for part in requests)
    if exchange or opposed([step for part in requests for step in part.steps]):  # 红色变蓝色 is no two wishes
        return None
    return requests or None


def opposed(taken: list[Step]) -> bool:
    """Whether two of the steps undo each other; a long list says few things."""
    kinds = [step.operation for step in taken]
    twice = any(kinds.count(operation) > 1 for operation in (Operation.FLIP, Operation.INVERT))
    return twice or any(_undoes(one, other) for one, other in combinations(dict.fromkeys(taken), 2))


def _undoes(one: Step, other: Step) -> bool:
    if one.region is not other.region:
        return False
    sharpness = {one.operation, other.operation} == {Operation.BLUR, Operation.SHARPEN}
    turns = one.operation is other.operation is Operation.ROTATE and (one.degrees + other.degrees) % 360 == 0
    return sharpness or turns or (one.operation is other.operation and one.amount * other.amount < 0)


def _divided(clause: Clause) -> list[Request] | None:
    """Take the longest beginning that is understood, then what follows; None where something is left."""
    letters, requests, start = clause.letters, list[Request](), 0
    while start < len(letters):
        ends = (end for end in range(len(letters), start, -1) if _may_end(clause, letters, end))
        parts = (_whole(clause.part(start, end), letters[start:end]) for end in ends)
        request = next((part for part in parts if part), None)
        if request is None:
            return None
        requests.append(request)
        start += len(request.clause.lexemes)
    return requests


def _may_end(clause: Clause, letters: str, end: int) -> bool:
    """Whether a part may end here: at the end, before a verb, or between Chinese words."""
    if end == len(letters) or BEGINS.match(letters, end):
        return True
    close = clause.lexemes[end - 1].end == clause.lexemes[end].start
    return close and bool(_CHINESE_BORDER.match(letters, end - 1))


def _whole(part: Clause, letters: str) -> Request | None:
    for rule in _RULES:
        if rule.pattern.fullmatch(letters):
            found = rule.build(part)
            if found:
                return Request(part, found, rule.complaint)
    return None


BEGINS = compiled("VERBAL")
"""What begins a part of a clause, or a clause of its own."""

COLOR_ALONE = compiled("THE* COLOR (?:HUE|AMOUNT)*")
_CHINESE_BORDER = compiled("(?:STRENGTH|PERCENT|TIMES|DIRECTION|COMPARED) (?:ADJ|ADJ_NOUN|QUALITY)")


def _rules() -> tuple[Rule, ...]:
    rules = (line.split(": ") for line in GRAMMAR if ": " in line)
    return tuple(
        Rule(compiled(pattern), _BUILDERS[name.lstrip("-")], name.startswith("-")) for name, pattern in rules
    )


_BUILDERS: dict[str, Callable[[Clause], Steps]] = {
    build.__name__: build
    for build in (
        *(steps.acted, steps.done, steps.quantified, steps.leveled, steps.attributed, steps.decolored),
        *(steps.lit, steps.tinted, steps.filled, steps.erased),
        *(steps.complained, steps.overdone, steps.repaired),
        *(shapes.flipped, shapes.rotated, shapes.cropped, shapes.scaled, shapes.sided),
    )
}
_RULES = _rules()
