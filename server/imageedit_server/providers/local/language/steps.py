"""What a clause asks for, once a pattern has accounted for its words: its steps, or None.

Each function is named in ``grammar.txt`` beside the patterns that lead to it.
"""

from collections.abc import Iterable
from dataclasses import replace

from imageedit_server.providers.local.language.amounts import amount_of, factor_of, level_of
from imageedit_server.providers.local.language.clauses import Clause
from imageedit_server.providers.local.language.words import Kind, Meaning, act
from imageedit_server.providers.local.plan import Operation, Region, Step

Steps = tuple[Step, ...] | None

WHITE, BLACK = (255, 255, 255), (0, 0, 0)

_ACTS = (Kind.ADJ, Kind.VERB, Kind.NOUN, Kind.ADJ_NOUN, Kind.VERB_ADJ, Kind.VERB_NOUN, Kind.BAD, Kind.AGED)
_TAKES = (Kind.LESS, Kind.DOWN, Kind.REMOVE)
_GIVES = (Kind.MORE, Kind.UP, Kind.LIFT, Kind.ADD, Kind.LACK)
_INSTEAD = {Operation.BLUR: Operation.SHARPEN, Operation.SHARPEN: Operation.BLUR}
"""What less of an operation is, where there is no less of it."""
_BOTH_WAYS = frozenset({
    Operation.BRIGHTNESS, Operation.CONTRAST, Operation.SATURATION, Operation.WARMTH, Operation.TINT,
})  # fmt: skip
_AROUND_A_COLOR = frozenset({
    Kind.PICTURE, Kind.IT, Kind.THIS, Kind.REGION, Kind.THING, Kind.MASKED, Kind.TINT, Kind.TINTING,
    Kind.LOOK, Kind.HUES, Kind.ADD,
})  # fmt: skip
_TINTS = frozenset({Kind.TINT, Kind.TINTING})
_BECOMING = frozenset({Kind.DO, Kind.TURN, Kind.INTO})
_NUANCES = frozenset({Kind.THING, Kind.OWNER, Kind.STRENGTH, Kind.PERCENT, Kind.MORE, Kind.LESS})
_COLORED_THINGS = frozenset({Kind.THING, Kind.OWNER, Kind.BACKGROUND})
_OF_A_QUANTITY = {
    (Operation.SATURATION, Operation.BRIGHTNESS, 1): (Operation.SATURATION, 1),
    (Operation.SATURATION, Operation.WARMTH, 1): (Operation.WARMTH, 1),
    (Operation.SATURATION, Operation.WARMTH, -1): (Operation.WARMTH, -1),
    (Operation.SATURATION, Operation.INVERT, 1): (Operation.INVERT, 1),
    (Operation.BRIGHTNESS, Operation.WARMTH, 1): (Operation.WARMTH, 1),
    (Operation.BRIGHTNESS, Operation.WARMTH, -1): (Operation.WARMTH, -1),
    (Operation.BRIGHTNESS, Operation.BLUR, 1): (Operation.CONTRAST, -1),
    (Operation.BRIGHTNESS, Operation.CONTRAST, -1): (Operation.CONTRAST, -1),
    (Operation.CONTRAST, Operation.SHARPEN, 1): (Operation.CONTRAST, 1),
    (Operation.CONTRAST, Operation.BLUR, 1): (Operation.CONTRAST, -1),
}
"""What an act does to a quantity that is not its own: bright colors are saturated, soft light is contrast."""


def acted(clause: Clause) -> Steps:
    """``make it a bit brighter``, ``a vignette``, ``less blur``."""
    sign = _direction(clause)
    acts = clause.meanings(*_ACTS)
    if Kind.TINT in clause.kinds and any(said.operation is not Operation.WARMTH for said in acts):
        return None
    return _changed(clause, ((said, said.sign * sign) for said in acts))


def done(clause: Clause) -> Steps:
    """``brighten the skin``: a verb knows its direction; ``up`` and ``down`` only go with it."""
    acts = clause.meanings(*_ACTS)
    ways = clause.meanings(Kind.LESS)
    if any(way.text != "down" for way in ways) or (ways and any(said.sign > 0 for said in acts)):
        return None
    return _changed(clause, ((said, said.sign) for said in acts))


def quantified(clause: Clause) -> Steps:
    """``reduce the contrast by 20%``, ``more color``."""
    sign = _direction(clause)
    return _changed(clause, ((said, sign) for said in _quantities(clause)))


def leveled(clause: Clause) -> Steps:
    """``set contrast to 80%``, ``brightness +20``, ``contrast: 1.5``."""
    factor = _level(clause)
    if factor is None:
        return None
    made = _made(clause, ((said, 1) for said in _quantities(clause))) or ()
    steps = tuple(replace(step, amount=level_of(step.operation, factor)) for step in made)
    directed = not clause.kinds.isdisjoint({*_GIVES, *_TAKES})
    wrong = any(directed and step.amount * _direction(clause) < 0 for step in steps)
    idle = any(step.amount <= 0 and (step.amount == 0 or step.operation not in _BOTH_WAYS) for step in steps)
    return None if wrong or idle else steps or None


def attributed(clause: Clause) -> Steps:
    """``brighter colors``, ``make the light softer``, ``cool down the colors``."""
    sign = -1 if Kind.TOO in clause.kinds else _direction(clause)
    said = [_of(quantity, deed) for quantity in _quantities(clause) for deed in clause.meanings(*_ACTS)]
    found = [meaning for meaning in said if meaning]
    return _made(clause, ((one, one.sign * sign) for one in found)) if len(found) == len(said) else None


def decolored(clause: Clause) -> Steps:
    """``remove the color``."""
    return _made(clause, [(act(Kind.VERB, Operation.GRAYSCALE), 1)])


def lit(clause: Clause) -> Steps:
    """``lift the shadows``, ``reduce the highlights``; who reduces shadows may well want them brighter."""
    sign = _direction(clause)
    parts = {said.region for said in clause.meanings(Kind.REGION)}
    if not parts or Region.SKIN in parts or (Region.SHADOWS in parts and Kind.LIFT not in clause.kinds):
        return None
    return _made(clause, [(act(Kind.VERB, Operation.BRIGHTNESS), sign)])


def tinted(clause: Clause) -> Steps:
    """``make it blue``, ``a hint of red``, ``less yellow``; on skin, white means brighter."""
    (said,) = clause.meanings(Kind.COLOR)
    names = Kind.THE in clause.kinds and clause.kinds.isdisjoint(_AROUND_A_COLOR)  # "the sky blue" is no tint
    if names or Kind.BACKGROUND in clause.kinds:
        return None
    if _is_plain(said):
        return _whitened(clause, said)
    made = _made(clause, [(replace(said, operation=Operation.TINT), _direction(clause))]) or ()
    becomes = not clause.kinds.isdisjoint(_BECOMING) and clause.kinds.isdisjoint(_TINTS)
    more = 1.5 if becomes else 1.0  # "make it blue" is more than "a blue tint"
    return tuple(replace(step, amount=max(-1.0, min(1.0, step.amount * more))) for step in made) or None


def _is_plain(color: Meaning) -> bool:
    """Whether it is black, white or a grey: these do not tint."""
    return color.color is not None and len(set(color.color)) == 1


def _whitened(clause: Clause, said: Meaning) -> Steps:
    """On skin, black and white are darker and brighter; else they fill what a mask shows."""
    if clause.meanings(Kind.REGION):
        lighter = {WHITE: 1, BLACK: -1}.get(said.color or BLACK, 0)
        return _made(clause, [(act(Kind.VERB, Operation.BRIGHTNESS), lighter * _direction(clause))])
    fills = (
        said.color in (WHITE, BLACK)
        and clause.kinds.isdisjoint(_NUANCES | _TINTS)
        and not clause.kinds.isdisjoint(_BECOMING)
    )
    return filled(clause) if fills else None


def filled(clause: Clause) -> Steps:
    """``fill it with blue``; a background becomes a color."""
    *_, said = clause.meanings(Kind.COLOR)
    return (Step(operation=Operation.FILL, color=said.color),)


def erased(clause: Clause) -> Steps:
    """``remove the logo``: what the mask shows, if it is a thing; noise, shadows and wrinkles are none."""
    if clause.kinds & {Kind.REGION, Kind.BACKGROUND}:
        return None
    return (Step(operation=Operation.ERASE),)


def complained(clause: Clause) -> Steps:
    """``too dark``, ``it looks yellow``: the opposite is wanted."""
    acts, colors = clause.meanings(*_ACTS), clause.meanings(Kind.COLOR)
    stated = Kind.TOO not in clause.kinds
    if stated and any(not (said.complaint or said.kind is Kind.BAD) for said in acts):
        return None
    if colors and (_is_plain(colors[0]) or not clause.kinds.isdisjoint(_COLORED_THINGS)):
        return None
    tints = [(replace(color, operation=Operation.TINT), -1) for color in colors]
    return _made(clause, [*((said, _remedy(said)) for said in acts), *tints])


def overdone(clause: Clause) -> Steps:
    """``too much contrast``, ``the colors are too strong``, ``the contrast is too low``."""
    sign = 1 if Kind.LESS in clause.kinds else -1
    return _made(clause, ((said, sign) for said in _quantities(clause)))


def repaired(clause: Clause) -> Steps:
    """``fix the blurry photo``: what is wrong is said before the noun."""
    wrong = [said for said in clause.meanings(Kind.PICTURE) if said.kind is not Kind.STRENGTH]
    if not wrong or any(not (said.complaint or said.kind is Kind.BAD) for said in wrong):
        return None
    return _made(clause, ((said, _remedy(said)) for said in wrong))


def remedies(clause: Clause) -> set[tuple[Operation, bool]]:
    """Return which steps, by operation and direction, answer to what a clause says of the picture."""
    found = set()
    for said in clause.meanings(Kind.PICTURE, *_ACTS):
        if said.operation and (said.complaint or said.kind is Kind.BAD):
            operation, sign = _turned(said.operation, _remedy(said))
            found.add((operation, sign > 0))
    return found


def _remedy(said: Meaning) -> int:
    return said.sign if said.kind is Kind.BAD else -said.sign


def _turned(operation: Operation, sign: int) -> tuple[Operation, int]:
    """Return the operation that does the opposite, where an operation knows one way only."""
    return (_INSTEAD[operation], 1) if sign < 0 and operation in _INSTEAD else (operation, sign)


def _changed(clause: Clause, wanted: Iterable[tuple[Meaning, int]]) -> Steps:
    """Return the steps; none for ``half as`` or ``0.5x`` of what is to become more."""
    shrinks = any(said.number < 1 for said in clause.meanings(Kind.TIMES))
    return None if shrinks else _made(clause, wanted)


def _made(clause: Clause, wanted: Iterable[tuple[Meaning, int]]) -> Steps:
    """Return the steps for every part that the clause is about; None where one cannot be."""
    steps: list[Step] = []
    parts = [said.region for said in clause.meanings(Kind.REGION)]
    for said, direction in wanted:
        assert said.operation is not None
        operation, sign = _turned(said.operation, direction)
        if direction == 0 or (sign < 0 and operation not in _BOTH_WAYS):
            return None
        amount = amount_of(operation, clause) * sign
        regions = parts or [said.region]
        if operation is Operation.VIGNETTE and regions != [None]:
            return None
        steps += [Step(operation=operation, amount=amount, color=said.color, region=part) for part in regions]
    return tuple(steps) or None


def _direction(clause: Clause) -> int:
    """Return 1 or -1 for more or less, 1 where neither is said, 0 for both at once."""
    gives, takes = not clause.kinds.isdisjoint(_GIVES), not clause.kinds.isdisjoint(_TAKES)
    return (0 if gives else -1) if takes else 1


def _quantities(clause: Clause) -> tuple[Meaning, ...]:
    return clause.meanings(Kind.QUALITY, Kind.HUES, Kind.LIGHT)


def _of(quantity: Meaning, deed: Meaning) -> Meaning | None:
    assert quantity.operation is not None
    assert deed.operation is not None
    if quantity.operation is deed.operation:
        return replace(quantity, sign=deed.sign)
    found = _OF_A_QUANTITY.get((quantity.operation, deed.operation, deed.sign))
    fits = found and (quantity.kind is not Kind.QUALITY or quantity.operation is Operation.CONTRAST)
    return act(quantity.kind, *found) if found and fits else None


def _level(clause: Clause) -> float | None:
    """Return the factor that the clause says, by a level or a change; None where it could be either."""
    leads = Kind.INTO in clause.kinds
    directed = clause.kinds & {*_GIVES, *_TAKES}
    for said in clause.meanings(Kind.SIGNED):
        return None if leads or directed else 1 + said.sign * said.number
    for said in clause.meanings(Kind.PERCENT):
        return said.number if leads or (said.number > 1 and not directed) else None
    for said in clause.meanings(Kind.TIMES):
        return said.number if leads or not directed else None
    return factor_of(clause) if leads or not directed else None
