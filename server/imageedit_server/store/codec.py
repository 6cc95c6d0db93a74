"""Requests and statuses as the JSON text that the tables hold."""

from collections.abc import Mapping
from typing import Generic, TypeVar

from pydantic import TypeAdapter

from imageedit_server.core.answer import AnswerHead
from imageedit_server.core.failure import Failure
from imageedit_server.core.image import Image
from imageedit_server.core.request import Request
from imageedit_server.core.task import Status

T = TypeVar("T")


class Codec(Generic[T]):
    """Turns one kind of noun into JSON text and back, leaving defaults out unless told to keep them."""

    def __init__(self, type_: type[T], *, keep_defaults: bool = False) -> None:
        self._adapter = TypeAdapter(type_)
        self._exclude_defaults = not keep_defaults

    def dump(self, value: T) -> str:
        """Return the JSON text of ``value``."""
        return self._adapter.dump_json(value, exclude_defaults=self._exclude_defaults).decode()

    def load(self, text: str) -> T:
        """Return the noun that ``dump`` wrote."""
        return self._adapter.validate_json(text)


REQUEST = Codec(Request, keep_defaults=True)  # options are told apart by their family, a default
STATUS = Codec(Status)
ERROR = Codec(Failure)
IMAGES = Codec(tuple[Image, ...])
URLS = Codec(tuple[str, ...])
ANSWER = Codec(AnswerHead)
USAGE: Codec[Mapping[str, str]] = Codec(dict[str, str])
