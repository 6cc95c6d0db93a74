"""JSON from a vendor, read so that nothing odd gets further than this page (F45)."""

import json
import math
from collections.abc import Iterator
from typing import Any

import orjson

from imageedit_server.outbound.errors import BadBody

MAX_DEPTH = 64
MAX_NUMBER_CHARS = 64

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_NOT_READ = object()
_MOST_EXACT = 2.0**63
"""From here on orjson may make a float of an integer."""
_EACH = 4
_TOO_LONG = b"0" * (MAX_NUMBER_CHARS // _EACH)
"""What each fourth byte of a number that is too long becomes by ``_AS_ZEROS``."""
_AS_ZEROS = bytes(ord("0") if byte in b"0123456789+-.eE" else 0 for byte in range(256))


def read_json(body: bytes | str, *, liberal: bool = False) -> Any:
    """Read one JSON value of any type. Raises ``BadBody`` and nothing else.

    Refused: what is not UTF-8, NaN and Infinity (also by overflow), numbers of more than
    ``MAX_NUMBER_CHARS``, nesting deeper than ``MAX_DEPTH``. Forgiven: one byte order mark; a key that comes
    twice, of which the last counts, as with every vendor's own client; half a surrogate pair, which
    becomes U+FFFD. Takes text too, for JSON inside a string.

    ``liberal``, of an answer that was paid for, takes bytes of other encodings as U+FFFD, control characters
    inside a text as they are, and for a number that is none, null.
    """
    value = _NOT_READ if liberal else _read_fast(body)
    if value is _NOT_READ:
        value = _read_closely(body, liberal=liberal)
    return value


def _read_fast(body: bytes | str) -> Any:
    """Return what orjson reads where ``_read_closely`` surely reads the same.

    Most of what is odd orjson refuses too. It takes more depth and longer numbers.
    """
    try:
        raw = (body.encode() if isinstance(body, str) else body).removeprefix(_BYTE_ORDER_MARK)
        value = orjson.loads(raw)
    except ValueError:
        return _NOT_READ
    layers = _layers(value)
    fractions = [each for layer in layers for each in layer if type(each) is float]
    is_odd = len(layers) > MAX_DEPTH or (fractions and _may_differ(fractions, raw))
    return _NOT_READ if is_odd else value


def _may_differ(fractions: list[float], raw: bytes) -> bool:
    """Whether one of them may have been an integer, or a number in ``raw`` be too long."""
    is_large = any(abs(each) >= _MOST_EXACT for each in fractions)
    return is_large or _TOO_LONG in raw[::_EACH].translate(_AS_ZEROS)


def _read_closely(body: bytes | str, *, liberal: bool) -> Any:
    try:
        text = body.decode("utf-8", "replace" if liberal else "strict") if isinstance(body, bytes) else body
        value = json.loads(
            text.removeprefix("\ufeff"),
            strict=not liberal,
            parse_constant=_nothing if liberal else _refuse,
            parse_int=_int,
            parse_float=_float,
        )
    except (ValueError, RecursionError):
        raise BadBody("The reply is not proper JSON.") from None
    if len(_layers(value)) > MAX_DEPTH:
        raise BadBody("The reply's JSON is nested too deeply.")
    # One character is found many times faster than two, and hardly an answer with a picture has it.
    may_escape = isinstance(body, str) or ("\\" in text and "\\u" in text)
    return _without_surrogates(value) if may_escape else value


def _refuse(constant: str) -> float:
    raise ValueError(constant)


def _nothing(constant: str) -> None:
    return None


def _int(text: str) -> int:
    if len(text) > MAX_NUMBER_CHARS:
        raise ValueError("number too long")
    return int(text)


def _float(text: str) -> float:
    number = float(text) if len(text) <= MAX_NUMBER_CHARS else math.inf
    if not math.isfinite(number):
        raise ValueError("number too large")
    return number


def _layers(value: Any) -> list[list[Any]]:
    """Return what stands at each depth, at most one deeper than ``MAX_DEPTH``."""
    layers: list[list[Any]] = []
    layer = [value]
    while layer and len(layers) <= MAX_DEPTH:
        layers.append(layer)
        layer = [inner for outer in layer for inner in _inside(outer)]
    return layers


def _inside(value: Any) -> Iterator[Any]:
    match value:
        case dict():
            yield from value.values()
        case list():
            yield from value


def _without_surrogates(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case dict():
            return {_without_surrogates(key): _without_surrogates(inner) for key, inner in value.items()}
        case list():
            return [_without_surrogates(inner) for inner in value]
    return value
