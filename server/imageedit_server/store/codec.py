"""Requests and statuses as the JSON text that the tables hold."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Generic, TypeVar

from pydantic import TypeAdapter

from imageedit_server.core.answer import AnswerHead
from imageedit_server.core.failure import Failure
from imageedit_server.core.image import Image
from imageedit_server.core.request import Request
from imageedit_server.core.task import Status

T = TypeVar("T")

REQUESTS_AT_HAND = 256


class Codec(Generic[T]):
    """Turns one kind of noun into JSON text and back, leaving defaults out unless told to keep them.

    What it read last, up to ``at_hand`` nouns, it returns again for the same text: nobody changes a noun.
    """

    def __init__(self, type_: type[T], *, keep_defaults: bool = False, at_hand: int = 0) -> None:
        self._adapter = TypeAdapter(type_)
        self._exclude_defaults = not keep_defaults
        self._read = lru_cache(at_hand)(self._adapter.validate_json)

    def dump(self, value: T) -> str:
        """Return the JSON text of ``value``."""
        return self._adapter.dump_json(value, exclude_defaults=self._exclude_defaults).decode()

    def load(self, text: str) -> T:
        """Return the noun that ``dump`` wrote."""
        return self._read(text)


# Options are told apart by their family, a default. Each step of a task begins with reading its request.
REQUEST = Codec(Request, keep_defaults=True, at_hand=REQUESTS_AT_HAND)
STATUS = Codec(Status)
ERROR = Codec(Failure)
IMAGES = Codec(tuple[Image, ...])
URLS = Codec(tuple[str, ...])
ANSWER = Codec(AnswerHead)
USAGE: Codec[Mapping[str, str]] = Codec(dict[str, str])
