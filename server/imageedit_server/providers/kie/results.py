"""What a successful record holds: addresses of pictures, in the shapes of the vendor's model families."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from imageedit_server.outbound.client import BadBody, read_json
from imageedit_server.providers.echoes import is_echo
from imageedit_server.providers.kie.envelope import is_number
from imageedit_server.providers.origins import address_in

_PLACES = ("resultJson", "resultInfoJson", "response", "result", "output")
_LISTS = (
    "resultUrls",
    "result_urls",
    "resultImageUrls",
    "imageUrls",
    "image_urls",
    "images",
    "urls",
    "outputs",
)
_SINGLE = ("resultUrl", "result_url", "resultImageUrl", "imageUrl", "image_url", "url")
_CREDITS = ("creditsConsumed", "consumeCredits", "credits_consumed")
_MAX_DEPTH = 8


def result_urls(record: dict[str, Any]) -> list[str]:
    """Return the addresses in a record: JSON inside a string, once or twice, an object, a list, one text.

    Empty or null until there is a result. Each address comes once, in its order. Where no member has a known
    name, any but those of what was sent may hold it.
    """
    found = [url for name in _PLACES for url in _urls(record.get(name), _MAX_DEPTH)]
    named = [url for name in (*_LISTS, *_SINGLE) for url in _urls(record.get(name), _MAX_DEPTH)]
    return list(dict.fromkeys(found or named))


def usage_of(record: dict[str, Any]) -> dict[str, str]:
    """Return the credits that a record says were consumed, as a decimal; empty where it does not say."""
    given = next((record[name] for name in _CREDITS if is_number(record.get(name))), None)
    return {} if given is None or given < 0 else {"credits": format(Decimal(str(given)), "f")}


def _urls(value: Any, depth: int) -> Iterator[str]:
    if depth == 0:
        return
    match value:
        case str() if address_in(value):
            yield value
        case str() if value.lstrip()[:1] in ("{", "[", '"'):
            yield from _urls(_inner(value), depth - 1)
        case list():
            for each in value:
                yield from _urls(each, depth - 1)
        case dict():
            named = [url for name in (*_LISTS, *_SINGLE) for url in _urls(value.get(name), depth - 1)]
            others = (each for name, each in value.items() if not is_echo(name))
            yield from named or (url for each in others for url in _urls(each, depth - 1))


def _inner(text: str) -> Any:
    try:
        return read_json(text)
    except BadBody:
        return None
