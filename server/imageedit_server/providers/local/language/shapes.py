"""What a clause asks of the picture's shape: turns, flips, crops and sizes. None where it cannot be."""

from imageedit_server.core.sizes import ANY_PIXELS, ANY_RATIO, MAX_SIDE, accepts
from imageedit_server.providers.local.language.clauses import Clause
from imageedit_server.providers.local.language.steps import Steps
from imageedit_server.providers.local.language.words import LITTLE, Kind
from imageedit_server.providers.local.plan import Axis, Operation, Step

_BACK = {"left": True, "counterclockwise": True, "right": False, "clockwise": False}
_AXES = {"horizontal": Axis.HORIZONTAL, "vertical": Axis.VERTICAL}
_A_LITTLE_DEGREES = 5.0
_LEAST_SHARE, _MOST_SHARE = 0.01, 10.0


def flipped(clause: Clause) -> Steps:
    """``flip``, ``mirror it vertically``."""
    (said,) = clause.meanings(Kind.FLIP)
    axes = {_AXES.get(way.text) for way in clause.meanings(Kind.WAY)} | ({said.axis} if said.axis else set())
    if len(axes) > 1 or None in axes:
        return None
    return (Step(operation=Operation.FLIP, axis=axes.pop() if axes else Axis.HORIZONTAL),)


def rotated(clause: Clause) -> Steps:
    """``rotate left``, ``turn it 90 degrees``, ``upside down``; a little is a few degrees."""
    size = _degrees(clause)
    ways = {_BACK.get(way.text) for way in clause.meanings(Kind.WAY)}
    if size is None or len(ways) > 1 or None in ways:
        return None
    degrees = (-size if True in ways else size) % 360
    return (Step(operation=Operation.ROTATE, degrees=degrees),) if degrees else None


def _degrees(clause: Clause) -> float | None:
    said = [
        meaning.number for meaning in clause.meanings(Kind.DEGREES, Kind.NUMBER, Kind.SIGNED, Kind.TURNED)
    ]
    strengths = [meaning.number for meaning in clause.meanings(Kind.STRENGTH, Kind.STATE)]
    if said:
        return said[0] if len(said) == 1 and not strengths else None
    if strengths:
        return _A_LITTLE_DEGREES if max(strengths) <= LITTLE else None
    usual = [meaning.number for meaning in clause.meanings(Kind.ROTATE) if meaning.number]
    return usual[0] if usual else 90.0 if clause.meanings(Kind.TURN) else None


def cropped(clause: Clause) -> Steps:
    """``crop to 4:3``, ``make it square``, ``resize to 800x600``."""
    (said,) = clause.meanings(Kind.SIZE)
    allowed = accepts((ANY_PIXELS, ANY_RATIO), said.text)
    return (Step(operation=Operation.CROP, size=said.text),) if allowed else None


def scaled(clause: Clause) -> Steps:
    """``resize to 50%``, ``enlarge it by a third``, 缩小一半."""
    share = _scale(clause)
    if share is None or not _LEAST_SHARE <= share <= _MOST_SHARE:
        return None
    return (Step(operation=Operation.SCALE, size=f"{100 * share:g}%"),)


def _scale(clause: Clause) -> float | None:
    """Return the factor. ``by 30%`` without a direction could be either, and is left."""
    sizes = clause.meanings(Kind.RESIZE)
    ready = [said.number for said in sizes if said.number]
    if len(sizes) > 1 and (len(ready) != 1 or sizes[0].number or (ready[0] - 1) * sizes[0].sign < 0):
        return None
    said = clause.meanings(Kind.PERCENT, Kind.TIMES, Kind.NUMBER)
    if ready or not said:
        return ready[0] if ready and not said else None
    way = _way(clause)
    number, is_share = said[0].number, said[0].kind is Kind.PERCENT
    if way == 0 or Kind.INTO in clause.kinds:
        fits = way == 0 or (number - 1) * way > 0
        return number if fits and not (way == 0 and Kind.BY in clause.kinds and is_share) else None
    if is_share:
        return 1 + way * number
    return number**way if number > 1 else None


def _way(clause: Clause) -> int:
    """Return -1 for smaller, 1 for larger, 0 where neither is said."""
    for said in clause.meanings(Kind.RESIZE):
        if said.sign:
            return said.sign
    if clause.kinds & {Kind.LESS, Kind.DOWN}:
        return -1
    return 1 if clause.kinds & {Kind.MORE, Kind.UP} else 0


def sided(clause: Clause) -> Steps:
    """``make it 1024 pixels wide``: the other side follows."""
    (side,) = clause.meanings(Kind.SIDE)
    (said,) = clause.meanings(Kind.PIXELS, Kind.NUMBER)
    if not 1 <= said.number <= MAX_SIDE or said.number != int(said.number):
        return None
    pixels = int(said.number)
    return (Step(operation=Operation.SCALE, size=f"{pixels}x" if side.text == "width" else f"x{pixels}"),)
