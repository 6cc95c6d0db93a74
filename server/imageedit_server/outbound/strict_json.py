"""JSON from a vendor, read so that nothing odd gets further than this page (F45)."""

import json
import math
from collections.abc import Iterator
from typing import Any

from imageedit_server.outbound.errors import BadBody

MAX_DEPTH = 64
MAX_NUMBER_CHARS = 64


def read_json(body: bytes | str, *, liberal: bool = False) -> Any:
    """Read one JSON value of any type. Raises ``BadBody`` and nothing else.

    Refused: what is not UTF-8, NaN and Infinity (also by overflow), numbers of more than
    ``MAX_NUMBER_CHARS``, nesting deeper than ``MAX_DEPTH``. Forgiven: one byte order mark; a key that comes
    twice, of which the last counts, as with every vendor's own client; half a surrogate pair, which
    becomes U+FFFD. Takes text too, for JSON inside a string.

    ``liberal``, of an answer that was paid for, takes bytes of other encodings as U+FFFD, control characters
    inside a text as they are, and for a number that is none, null.
    """
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
    _check_depth(value)
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


def _check_depth(value: Any) -> None:
    layer = [value]
    for _ in range(MAX_DEPTH):
        layer = [inner for outer in layer for inner in _inside(outer)]
        if not layer:
            return
    raise BadBody("The reply's JSON is nested too deeply.")


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
