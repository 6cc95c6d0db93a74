"""One clause to one step: which operation it asks for, which way and how strongly."""

from imageedit_server.core.sizes import ANY_PIXELS, ANY_RATIO, accepts
from imageedit_server.providers.local.language.amounts import amount_of, level_of
from imageedit_server.providers.local.language.clauses import Clause
from imageedit_server.providers.local.language.words import Kind, Meaning, Way
from imageedit_server.providers.local.plan import Axis, Operation, Region, Step

_TOWARDS_LESS = {
    Operation.BLUR: Operation.SHARPEN,
    Operation.SHARPEN: Operation.BLUR,
}
_BOTH_WAYS = frozenset({
    Operation.BRIGHTNESS, Operation.CONTRAST, Operation.SATURATION, Operation.WARMTH, Operation.TINT,
})  # fmt: skip
_NEUTRAL_COLORS = {(255, 255, 255): 1, (0, 0, 0): -1}


def step_of(clause: Clause) -> Step | None:
    """Return what the clause asks for, of the whole picture; None where no operation does that."""
    for rule in (_painted, _erased, _turned, _sized, _tinted, _operated):
        step = rule(clause)
        if step:
            return step
    return None


def _painted(clause: Clause) -> Step | None:
    """``fill with blue``; without a color it is an erasure."""
    if not clause.has(Kind.PAINT):
        return None
    if clause.colors:
        return Step(operation=Operation.FILL, color=clause.colors[-1].color)
    return None if clause.has(Kind.UNKNOWN) else Step(operation=Operation.ERASE)


def _erased(clause: Clause) -> Step | None:
    """``remove the logo``; but ``remove the color`` and ``remove the blur`` are adjustments."""
    said = clause.operation
    if said and said.operation is Operation.ERASE:
        return Step(operation=Operation.ERASE)
    adjusts = said or clause.has(Kind.HUES, Kind.TINT) or (clause.colors and not clause.has(Kind.UNKNOWN))
    if not clause.has(Kind.REMOVE) or adjusts:
        return None
    return Step(operation=Operation.ERASE)


def _turned(clause: Clause) -> Step | None:
    """``rotate left``, ``turn it 90 degrees``, ``flip vertically``."""
    said = clause.operation
    if said and said.operation is Operation.FLIP:
        vertical = said.axis is Axis.VERTICAL or any(way.way is Way.VERTICAL for way in clause.ways)
        return Step(operation=Operation.FLIP, axis=Axis.VERTICAL if vertical else Axis.HORIZONTAL)
    rotates = said.operation is Operation.ROTATE if said else clause.has(Kind.TURN) and _says_where(clause)
    if not rotates:
        return None
    degrees = _degrees(clause, said) % 360
    return Step(operation=Operation.ROTATE, degrees=degrees) if degrees else None


def _says_where(clause: Clause) -> bool:
    return clause.has(Kind.DEGREES) or (bool(clause.ways) and not clause.colors)


def _degrees(clause: Clause, said: Meaning | None) -> float:
    number = clause.found.get(Kind.DEGREES)
    bare = clause.found.get(Kind.NUMBER)
    degrees = (
        number.number
        if number
        else bare.number * bare.sign
        if bare
        else (said.number if said else 0.0) or 90.0
    )
    back = any(way.way in (Way.LEFT, Way.COUNTERCLOCKWISE) for way in clause.ways)
    if any(way.way in (Way.CLOCKWISE, Way.COUNTERCLOCKWISE) for way in clause.ways):
        back = any(way.way is Way.COUNTERCLOCKWISE for way in clause.ways)
    return -degrees if back else degrees


def _sized(clause: Clause) -> Step | None:
    """``crop to 4:3``, ``make it square``."""
    said = clause.operation
    size = clause.found.get(Kind.SIZE)
    if size is None or (said and said.operation is not Operation.CROP):
        return None
    allowed = accepts((ANY_PIXELS, ANY_RATIO), size.text)
    return Step(operation=Operation.CROP, size=size.text) if allowed else None


def _tinted(clause: Clause) -> Step | None:
    """``a blue tint``, ``make it blue``; ``it looks blue`` complains; on skin, white means brighter."""
    if not clause.colors or (clause.operation and not clause.has(Kind.TINT)):
        return None
    color = clause.colors[-1].color
    assert color is not None
    stated = clause.has(Kind.STATE) and not clause.has(Kind.DO, Kind.TOO, Kind.STRENGTH)
    sign = -_direction(clause) if stated else _direction(clause)
    region = clause.found.get(Kind.REGION)
    if region and region.region is Region.SKIN and color in _NEUTRAL_COLORS:
        lighter = Operation.BRIGHTNESS
        return Step(operation=lighter, amount=amount_of(lighter, clause) * sign * _NEUTRAL_COLORS[color])
    amount = amount_of(Operation.TINT, clause)
    if clause.has(Kind.DO, Kind.TURN) and not clause.has(Kind.TINT):
        amount = min(1.0, amount * 1.5)  # "make it blue" is more than "a blue tint"
    return Step(operation=Operation.TINT, amount=amount * sign, color=color)


def _operated(clause: Clause) -> Step | None:
    """Everything else: an operation with its direction and strength."""
    said = clause.operation
    if said is None:
        said = _implied(clause)
    if said is None or said.operation is None or said.operation is Operation.CROP or clause.colors:
        return None
    level = level_of(clause)
    if level and said.operation in _BOTH_WAYS:
        return Step(operation=said.operation, amount=level)
    sign = said.sign * _direction(clause)
    if said.complaint and clause.has(Kind.STATE) and not clause.has(Kind.DO, Kind.TOO):
        sign = -sign
    return _signed(said, sign, clause)


def _implied(clause: Clause) -> Meaning | None:
    """``more color`` is saturation; ``lift the shadows`` is brightness."""
    if clause.has(Kind.HUES) and (clause.sign or clause.measure or clause.has(Kind.TOO)):
        gone = clause.has(Kind.REMOVE)
        return Meaning(kind=Kind.ACT, operation=Operation.GRAYSCALE, sign=-1) if gone else _SATURATION
    region = clause.found.get(Kind.REGION)
    toned = region is not None and region.region is not Region.SKIN
    return _BRIGHTNESS if toned and clause.has(Kind.DIRECTION) else None


_SATURATION = Meaning(kind=Kind.QUALITY, operation=Operation.SATURATION)
_BRIGHTNESS = Meaning(kind=Kind.QUALITY, operation=Operation.BRIGHTNESS)


def _direction(clause: Clause) -> int:
    """Return 1 or -1: less turns an operation round, and so does too much of it."""
    sign = clause.sign or 1
    return -sign if clause.has(Kind.TOO) else sign


def _signed(said: Meaning, sign: int, clause: Clause) -> Step | None:
    """Return the operation in its direction, or the one that undoes it where there is no less of it."""
    operation = said.operation
    assert operation is not None
    if operation in _BOTH_WAYS:
        return Step(operation=operation, amount=amount_of(operation, clause) * sign, region=said.region)
    if sign < 0:
        if operation not in _TOWARDS_LESS:
            return None
        operation = _TOWARDS_LESS[operation]
    return Step(
        operation=operation, amount=amount_of(operation, clause), region=said.region, color=said.color
    )
