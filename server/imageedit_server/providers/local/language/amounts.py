"""How much: the strength of an operation from the words and numbers of its clause."""

from imageedit_server.providers.local.language.clauses import Clause
from imageedit_server.providers.local.language.words import Kind, Meaning
from imageedit_server.providers.local.plan import Operation

_USUAL: dict[Operation, float] = {
    Operation.BRIGHTNESS: 0.3,
    Operation.CONTRAST: 0.3,
    Operation.SATURATION: 0.35,
    Operation.WARMTH: 0.35,
    Operation.FADE: 0.6,
    Operation.GRAYSCALE: 1.0,
    Operation.SEPIA: 1.0,
    Operation.INVERT: 1.0,
    Operation.TINT: 0.5,
    Operation.VIGNETTE: 0.5,
    Operation.BLUR: 0.3,
    Operation.SHARPEN: 0.5,
    Operation.FILL: 1.0,
    Operation.ERASE: 1.0,
}
"""The amount where none is said."""

_WHOLE = frozenset({Operation.GRAYSCALE, Operation.SEPIA, Operation.INVERT})
"""What is either done or not: only a weakening word changes it."""

_MOST = {Operation.BRIGHTNESS: 2.0, Operation.CONTRAST: 2.0, Operation.SATURATION: 2.0}


def amount_of(operation: Operation, clause: Clause) -> float:
    """Return the size of the change, without its direction: above 0, at most 1, or 2 for the tones."""
    most = _MOST.get(operation, 1.0)
    said = clause.measure
    if said is not None and not _is_list_number(said, clause):
        share = said.number if said.kind is Kind.PERCENT else said.number / 100
        return max(0.01, min(most, share))
    direction = clause.found.get(Kind.DIRECTION)
    if direction and direction.number:
        return min(most, direction.number)
    usual = _USUAL.get(operation, 1.0)
    factor = _factor(clause.strengths)
    return usual * min(factor, 1.0) if operation in _WHOLE else min(most, usual * factor)


def level_of(clause: Clause) -> float:
    """Return the change up or down to a level: -0.2 for ``contrast to 80%``; 0 where no level is said."""
    said, operation = clause.measure, clause.operation
    if said is None or operation is None or operation.kind is not Kind.QUALITY or said.sign < 0:
        return 0.0
    share = said.number if said.kind is Kind.PERCENT else said.number / 100
    direction = clause.found.get(Kind.DIRECTION)
    if not (clause.has(Kind.LEVEL) or (share > 1 and not clause.has(Kind.DIRECTION, Kind.ADD, Kind.REMOVE))):
        return 0.0
    change = max(-1.0, min(_MOST.get(operation.operation, 1.0) if operation.operation else 1.0, share - 1))
    return change if direction is None or change * direction.sign > 0 else 0.0


def _is_list_number(said: Meaning, clause: Clause) -> bool:
    """Whether a number only counts the clauses: ``1. brighter 2. warmer``."""
    names = clause.operation is not None and clause.operation.kind is Kind.QUALITY
    return said.kind is Kind.NUMBER and said.number < 10 and not names


def _factor(strengths: list[float]) -> float:
    """Return one factor for all words of strength: the weakest, if any weakens."""
    if not strengths:
        return 1.0
    return min(strengths) if min(strengths) < 1 else max(strengths)
