"""How much: the strength of an operation from the words and numbers of its clause."""

from imageedit_server.providers.local.language.clauses import Clause
from imageedit_server.providers.local.language.words import Kind
from imageedit_server.providers.local.plan import Operation

_USUAL: dict[Operation, float] = {
    Operation.BRIGHTNESS: 0.3,
    Operation.CONTRAST: 0.3,
    Operation.SATURATION: 0.35,
    Operation.WARMTH: 0.35,
    Operation.FADE: 0.6,
    Operation.TINT: 0.5,
    Operation.VIGNETTE: 0.5,
    Operation.BLUR: 0.3,
    Operation.SHARPEN: 0.5,
}
"""The amount where none is said; 1 for the others."""

_WHOLE = frozenset({Operation.GRAYSCALE, Operation.SEPIA, Operation.INVERT})
"""What is either done or not: only a weakening word changes it."""

_MOST = {Operation.BRIGHTNESS: 2.0, Operation.CONTRAST: 2.0, Operation.SATURATION: 2.0}
_MOST_FACTOR = 10


def amount_of(operation: Operation, clause: Clause) -> float:
    """Return the size of the change, without its direction: above 0, at most 1, or 2 for the tones."""
    most = _MOST.get(operation, 1.0)
    share = _share(clause)
    if share is not None:
        return max(0.01, min(most, share))
    usual = _USUAL.get(operation, 1.0)
    factor = _factor(
        [meaning.number for meaning in clause.meanings(Kind.STRENGTH, Kind.STATE) if meaning.number]
    )
    return usual * min(factor, 1.0) if operation in _WHOLE else min(most, usual * factor)


def level_of(operation: Operation, factor: float) -> float:
    """Return the change that multiplies a quality: -0.2 for 0.8."""
    return max(-1.0, min(_MOST.get(operation, 1.0), factor - 1))


def factor_of(clause: Clause) -> float | None:
    """Return the level that a number without a unit says; None where it could be points too."""
    (said,) = clause.meanings(Kind.NUMBER)
    return said.number if said.number < _MOST_FACTOR else None


def _share(clause: Clause) -> float | None:
    """Return the change that is said in numbers, as a share of 1."""
    for said in clause.meanings(Kind.PERCENT, Kind.SIGNED):
        return said.number
    for said in clause.meanings(Kind.TIMES):
        return abs(said.number - 1) or 1.0
    for said in clause.meanings(Kind.UP, Kind.DOWN):
        if said.number:
            return said.number
    return None


def _factor(strengths: list[float]) -> float:
    """Return one factor for all words of strength: the weakest, if any weakens."""
    if not strengths:
        return 1.0
    return min(strengths) if min(strengths) < 1 else max(strengths)
