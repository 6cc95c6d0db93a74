"""Numbers with their units: 20%, 90 degrees, 三成, 百分之三十."""

import re

from imageedit_server.providers.local.language.words import Kind, Meaning

UNITS = {"percent", "pct", "per", "degrees", "degree", "deg", "x", "times", "%", "°", "‰", "points", "point"}
"""What may follow a number in figures; 度, 成 and 倍 too."""

_NUMERAL = re.compile(r"[一二两三四五六七八九十百零半]{1,6}(?=成|度|倍|%)")
_SHARE = re.compile(r"百分之([一二两三四五六七八九十百零]{1,6}|[0-9]{1,3})")
_DIGITS = {digit: value for value, digit in enumerate("零一二三四五六七八九")} | {"两": 2}


def measured(value: float, unit: str) -> Meaning:
    """Return the meaning of a number with its unit, or with none."""
    sign = -1 if value < 0 else 1
    if unit in ("%", "percent", "pct", "per", "points", "point"):
        return Meaning(kind=Kind.PERCENT, sign=sign, number=abs(value) / 100)
    if unit == "成":
        return Meaning(kind=Kind.PERCENT, sign=sign, number=abs(value) / 10)
    if unit in ("x", "times", "倍"):
        return Meaning(kind=Kind.PERCENT, sign=-1 if value < 1 else 1, number=abs(value - 1) or 1.0)
    if unit in ("degrees", "degree", "deg", "°", "度"):
        return Meaning(kind=Kind.DEGREES, number=value)
    return Meaning(kind=Kind.NUMBER, sign=sign, number=abs(value))


def written(text: str, start: int) -> tuple[Meaning, int] | None:
    """Read 三成, 九十度, 两倍 or 百分之三十 at ``start``; return it and where it ends."""
    if text[start] == "百" and (share := _SHARE.match(text, start)):
        return measured(_integer(share.group(1)), "%"), share.end()
    if text[start] in "一二两三四五六七八九十百零半" and (numeral := _NUMERAL.match(text, start)):
        end = numeral.end() + 1
        return measured(_integer(numeral.group()), text[end - 1]), end
    return None


def _integer(numeral: str) -> float:
    """Read a Chinese number below a thousand, or digits."""
    if numeral.isascii():
        return float(numeral)
    total, digit = 0.0, 0.0
    for character in numeral:
        if character in "十百":
            total += (digit or 1) * (10 if character == "十" else 100)
            digit = 0
        else:
            digit = 0.5 if character == "半" else float(_DIGITS[character])
    return total + digit
