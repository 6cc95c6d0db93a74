"""What a list says once for all its members, handed on from clause to clause."""

from itertools import pairwise

from imageedit_server.providers.local.language.clauses import Clause
from imageedit_server.providers.local.language.words import Kind


def hand_on(clauses: list[Clause]) -> None:
    """Hand on what a list says once: ``don't blur or sharpen``, ``reduce contrast and saturation by 20%``."""
    for before, clause in pairwise(clauses):
        if _negation_goes_on(before, clause):
            _give(clause, before, Kind.NOT, Kind.KEEP)
        elif _direction_goes_on(before, clause):
            _give(clause, before, Kind.DIRECTION, Kind.ADD, Kind.REMOVE, Kind.LACKING, Kind.TOO)
            _share_amount(before, clause)
        if clause.joint == "and" and _is_bare(clause) and not clause.has(Kind.NOT):
            _give(clause, before, Kind.REGION)
    for clause, behind in reversed(list(pairwise(clauses))):
        if behind.joint == "and" and _is_open(clause) and behind.operation and not _is_open(behind):
            _give(clause, behind, Kind.DIRECTION, Kind.ADD, Kind.NOT, Kind.KEEP, Kind.PERCENT, Kind.NUMBER)
            clause.strengths = clause.strengths or list(behind.strengths)


def _negation_goes_on(before: Clause, clause: Clause) -> bool:
    if (
        clause.joint not in ("or", "and")
        or not before.has(Kind.NOT, Kind.KEEP)
        or clause.has(Kind.NOT, Kind.KEEP)
    ):
        return False
    if clause.has(Kind.DO, Kind.DIRECTION, Kind.ADD, Kind.PICTURE, Kind.STRENGTH) or clause.colors:
        return clause.joint == "or" and not clause.has(Kind.DO)
    if before.has(Kind.KEEP):
        return not clause.complete
    return clause.joint == "or" or not before.has(Kind.PICTURE, Kind.UNKNOWN)


def _direction_goes_on(before: Clause, clause: Clause) -> bool:
    said = before.operation
    of_quality = (said is not None and said.kind is Kind.QUALITY) or before.has(Kind.HUES)
    return (
        clause.joint in ("and", ",", "or")
        and of_quality
        and before.sign != 0
        and _is_open(clause, measured=True)
    )


def _is_open(clause: Clause, *, measured: bool = False) -> bool:
    """Whether a clause names a quality and leaves to its neighbour what to do with it."""
    said = clause.operation
    named = said.kind is Kind.QUALITY if said else clause.has(Kind.HUES) and not clause.colors
    said_how = clause.has(Kind.DIRECTION, Kind.ADD, Kind.REMOVE, Kind.NOT, Kind.KEEP, Kind.LACKING)
    return named and not said_how and (measured or not clause.measure)


def _is_bare(clause: Clause) -> bool:
    """Whether a clause is an operation without a verb or an object of its own: ``and warmer``."""
    objects = (
        Kind.DO,
        Kind.ADD,
        Kind.PICTURE,
        Kind.REGION,
        Kind.UNKNOWN,
        Kind.QUALITY,
        Kind.REMOVE,
        Kind.MASKED,
    )
    said = clause.operation
    return said is not None and said.kind is Kind.ACT and not clause.has(*objects)


def _give(clause: Clause, giver: Clause, *kinds: Kind) -> None:
    for kind in kinds:
        if kind in giver.found:
            clause.found.setdefault(kind, giver.found[kind])


def _share_amount(before: Clause, clause: Clause) -> None:
    """Let one amount count for both: ``contrast and saturation by 20%``."""
    if not before.measure and not before.strengths:
        _give(before, clause, Kind.PERCENT, Kind.NUMBER)
    elif not clause.measure and not clause.strengths:
        _give(clause, before, Kind.PERCENT, Kind.NUMBER)
        clause.strengths = list(before.strengths)
