"""Numbers with their units: 20%, 90 degrees, 1024 pixels, 三成, 百分之三十."""

import re

from imageedit_server.providers.local.language.words import Kind, Meaning, just

_UNITS = {
    **dict.fromkeys(("%", "percent", "pct", "percentage"), "%"),
    **dict.fromkeys(("x", "times", "倍"), "x"),
    **dict.fromkeys(("°", "degree", "degrees", "deg", "度"), "°"),
    **dict.fromkeys(("px", "pixel", "pixels", "像素"), "px"),
    "成": "成",
}
NUMBER = re.compile(
    r"(?P<sign>(?<![0-9])[+\-−])?(?P<value>[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]{1,6}(?:\.[0-9]{1,4})?)"
    r"(?: ?(?P<unit>%|°|(?:per ?cent|pct|percentage|degrees?|deg|times|px|pixels?|x)(?![a-z])"
    r"|[倍度成]|像素))?"
)
_NUMERAL = re.compile(r"([一二两三四五六七八九十百零]{1,6})(成|度|倍|%|像素)")
_SHARE = re.compile(r"百分之(?:([一二两三四五六七八九十百零]{1,6})|([0-9]{1,3}))")
_DIGITS = {digit: value for value, digit in enumerate("零一二三四五六七八九")} | {"两": 2}


def measured(match: re.Match[str]) -> Meaning:
    """Return the meaning of a number in figures: what ``NUMBER`` found."""
    value = float(match["value"].replace(",", ""))
    unit = _UNITS.get((match["unit"] or "").replace(" ", ""), "")
    if match["sign"] is None or unit == "°":
        return _plain(-value if match["sign"] in ("-", "−") else value, unit)
    share = _share(value, unit, whole="." not in match["value"])
    if share is None:
        return just(Kind.UNKNOWN)
    return just(Kind.SIGNED, sign=1 if match["sign"] == "+" else -1, number=share)


def _plain(value: float, unit: str) -> Meaning:
    kind = {"%": Kind.PERCENT, "成": Kind.PERCENT, "x": Kind.TIMES, "°": Kind.DEGREES, "px": Kind.PIXELS}
    part = {"%": 100, "成": 10}.get(unit, 1)
    return just(kind.get(unit, Kind.NUMBER), number=value / part)


def _share(value: float, unit: str, *, whole: bool) -> float | None:
    """Return what is added: points without a unit, where they are whole and cannot be meant as a factor."""
    if unit in ("%", "成"):
        return value / (100 if unit == "%" else 10)
    return value / 100 if not unit and whole and value > 1 else None


def written(text: str, start: int) -> tuple[Meaning, int] | None:
    """Read 三成, 九十度, 两倍 or 百分之三十 at ``start``; return it and where it ends."""
    share = _SHARE.match(text, start)
    if share:
        number = _integer(share[1]) if share[1] else float(share[2])
        return just(Kind.PERCENT, number=number / 100), share.end()
    numeral = _NUMERAL.match(text, start)
    if numeral and numeral.group() != "一倍":  # 提高一倍 adds what is there, and so stands among the words
        return _plain(_integer(numeral[1]), _UNITS[numeral[2]]), numeral.end()
    return None


def _integer(numeral: str) -> float:
    """Read a Chinese number below a thousand."""
    total, digit = 0.0, 0.0
    for character in numeral:
        if character in "十百":
            total += (digit or 1) * (10 if character == "十" else 100)
            digit = 0
        else:
            digit = float(_DIGITS[character])
    return total + digit
