"""What a clause takes from the one before it, and what of it can be done to this picture."""

from dataclasses import replace

from imageedit_server.core.sizes import ANY_PIXELS, accepts
from imageedit_server.providers.local.language.clauses import Clause
from imageedit_server.providers.local.language.grammar import BEGINS, COLOR_ALONE, Request, parse
from imageedit_server.providers.local.language.patterns import compiled
from imageedit_server.providers.local.language.words import Kind
from imageedit_server.providers.local.plan import GEOMETRY, INSIDE_A_MASK, Operation, Region, Step

CANNOT = "{model} cannot do that"
NEEDS_MASK = "that needs a mask"
NEEDS_NO_MASK = "with a mask the picture keeps its shape"

_BARE = compiled("(?:AMOUNT|COMPARED|THE)* (?:WORDS_ADJ|WORDS_VERB|COLOR) (?:HUE|LOOK|AMOUNT)*")
_OPEN = compiled("THE* (?:QUALITY|HUES|NOUN|VERB_NOUN) AMOUNT*|AMOUNT (?:QUALITY|HUES)")
_NAMES = compiled("THE* (?:NOUN|VERB_NOUN|QUALITY|HUES)")
_SAYS = compiled("WORDS_ADJ|WORDS_VERB|COLOR")
_DIRECTS = compiled("DIRECTION|COMPARED|ADD")
_INDEPENDENT = compiled("VERBAL|OTHER|NOT|KEEP")
_PARTS = frozenset({Kind.THING, Kind.MASKED, Kind.BACKGROUND})
_COLORLESS = frozenset({Operation.GRAYSCALE, Operation.SEPIA})


def is_bound(clause: Clause) -> bool:
    """Whether a clause may be half of the one before: behind ``with``, or ``and`` without its own verb."""
    alone = clause.joint is Kind.AND and not _INDEPENDENT.match(clause.letters)
    return alone or clause.joint is Kind.PLUS


def continued(clause: Clause) -> bool:
    """Whether a negation goes on in this clause: ``or sharpen it``, ``no blur, vignette``."""
    return clause.joint is Kind.OR or bool(_NAMES.fullmatch(clause.letters))


def leans(clause: Clause, before: Clause) -> bool:
    """Whether a clause lives on the one before: ``make the sky darker and bluer``."""
    if not _BARE.fullmatch(clause.letters):
        return False
    verbal = clause.joint is not Kind.COMMA and BEGINS.search(before.letters)
    return bool(verbal or _SAYS.search(before.letters))


def excepts(clause: Clause) -> bool:
    """Whether a clause is an exception: ``but red``."""
    return clause.joint is Kind.BUT and bool(COLOR_ALONE.fullmatch(clause.letters))


def completed(clause: Clause, before: Clause) -> list[Request] | None:
    """Give a quality the direction of the one before: ``raise contrast by 10% and warmth by 5%``."""
    directions = [word for word in before.lexemes if _DIRECTS.match(word.kind.letter)]
    if len(directions) != 1 or not _OPEN.fullmatch(clause.letters):
        return None
    whole = parse(replace(clause, lexemes=(directions[0], *clause.lexemes)))
    return whole and [request._replace(clause=clause) for request in whole]


def inherited(
    clause: Clause, steps: tuple[Step, ...], before: Clause, made: tuple[Step, ...]
) -> tuple[Step, ...]:
    """Return the steps, for the part of the picture that the clause before is about: ``and warmer``."""
    goes_on = clause.joint is Kind.AND or (clause.joint is Kind.COMMA and Kind.DO in before.kinds)
    regions = {step.region for step in made}
    fixed = any(step.region or step.operation in _WHOLE for step in steps)
    if fixed or not goes_on or len(regions) != 1 or not _BARE.fullmatch(clause.letters):
        return steps
    return tuple(replace(step, region=region) for region in regions for step in steps)


_WHOLE = frozenset({Operation.VIGNETTE, *GEOMETRY})


def impossible(clause: Clause, steps: tuple[Step, ...], *, masked: bool) -> str:
    """Say why these steps cannot be made of this picture; empty when they can."""
    operations = {step.operation for step in steps}
    pointed = clause.kinds & _PARTS or (Kind.OWNER in clause.kinds and Kind.REGION not in clause.kinds)
    if operations & GEOMETRY and (pointed or Kind.REGION in clause.kinds) and not masked:
        return CANNOT
    if Operation.SATURATION in operations and _lacks_colors(clause):
        return CANNOT
    if masked:
        return NEEDS_NO_MASK if operations & GEOMETRY else ""
    if operations & INSIDE_A_MASK and Kind.BACKGROUND not in clause.kinds:
        return NEEDS_MASK
    return CANNOT if pointed else ""


def _lacks_colors(clause: Clause) -> bool:
    """Whether the picture is said to be without the colors that are to be changed."""
    return any(said.operation in _COLORLESS for said in clause.meanings(Kind.PICTURE))


def way(step: Step) -> tuple[Operation, bool, Region | None]:
    """Return what a step does, whatever its strength."""
    return step.operation, step.amount > 0, step.region


def merged(steps: list[Step]) -> list[Step]:
    """Leave out what is said twice, and make one size of a width and a height."""
    made: list[Step] = []
    for step in steps:
        before = made[-1] if made else None
        same = before and replace(before, clause="") == replace(step, clause="")
        if same and step.operation is not Operation.ROTATE:
            continue
        both = _both_sides(before, step) if before else ""
        if both:
            made[-1] = replace(step, operation=Operation.CROP, size=both)
        else:
            made.append(step)
    return made


def _both_sides(one: Step, other: Step) -> str:
    """Return ``800x600`` for ``800x`` and ``x600``, in either order."""
    wide, high = sorted((one.size, other.size), key=lambda size: size.startswith("x"))
    sided = one.operation is other.operation is Operation.SCALE
    whole = f"{wide}{high[1:]}" if sided and wide.endswith("x") and high.startswith("x") else ""
    return whole if whole and accepts((ANY_PIXELS,), whole) else ""
