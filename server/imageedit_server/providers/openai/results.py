"""The result of a paid call: its pictures, and what else in the answer the caller should know.

Written for answers that are nearly right (F45, F47, F53): what the vendor was paid for is not lost to a stray
line break, and what it did otherwise is named.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urljoin

from imageedit_server.providers.base import Finished, Output
from imageedit_server.providers.openai.asks import COMPARED, Ask
from imageedit_server.providers.openai.finding import entries_anywhere, entries_of, read_picture
from imageedit_server.providers.openai.rules import MAX_N
from imageedit_server.providers.openai.usage import usage_of

_WORD = re.compile(r"[\w.:-]{1,40}", re.ASCII)
_OPEN = ("", "auto")


class NoPicture(Exception):
    """The reply is no success: nothing in it could be a picture."""


def read_result(value: Any, ask: Ask, vendor_request_id: str, *, is_error: bool = False) -> Finished:
    """Read a JSON value. Raises ``NoPicture`` when it holds nothing that was meant as a picture.

    Pictures that cannot be read are named in the warnings; the result may then have none. Of a value that is
    an error, only the known places are looked into.
    """
    entries = entries_of(value)[:MAX_N]
    outputs = _read(entries)
    if not outputs and not is_error and (found := entries_anywhere(value)[:MAX_N]):
        entries, outputs = found, _read(found)
    if not entries:
        raise NoPicture
    return finished(outputs, ask, vendor_request_id, given=len(entries), value=value)


def _read(entries: Sequence[Any]) -> list[Output]:
    return [output for entry in entries if (output := read_picture(entry))]


def finished(
    outputs: Sequence[Output], ask: Ask, vendor_request_id: str, *, given: int, value: Any
) -> Finished:
    """Return a result of ``outputs``, what could be read of the ``given`` pictures of ``value``."""
    return Finished(
        outputs=tuple(_absolute(output, ask.base_url) for output in outputs),
        warnings=(*_count_warnings(given, len(outputs), ask.n), *differences(value, ask)),
        vendor_request_id=vendor_request_id,
        usage=usage_of(value),
    )


def _absolute(output: Output, base_url: str) -> Output:
    """Give a URL without a host that of the vendor."""
    return replace(output, url=urljoin(base_url, output.url)) if output.url.startswith("/") else output


def _count_warnings(given: int, usable: int, wanted: int) -> tuple[str, ...]:
    warnings = []
    if given != wanted:
        warnings.append(f"The provider sent {_pictures(given)} where {wanted} {_was(wanted)} asked for.")
    if usable < given:
        warnings.append(f"{_pictures(given - usable).capitalize()} that the provider sent cannot be read.")
    return tuple(warnings)


def _pictures(count: int) -> str:
    return "1 picture" if count == 1 else f"{count} pictures"


def _was(count: int) -> str:
    return "was" if count == 1 else "were"


def differences(value: Any, ask: Ask) -> tuple[str, ...]:
    """Return a sentence for each word in which the vendor says that it did something else."""
    made = {name: value.get(name) for name in COMPARED} if isinstance(value, dict) else {}
    return tuple(
        f"The provider made {name} {word!r} where {ask.words[name]!r} was asked for."
        for name, word in made.items()
        if ask.words.get(name, "") not in _OPEN and _is_other(word, ask.words[name])
    )


def _is_other(word: Any, wanted: str) -> bool:
    return isinstance(word, str) and word != wanted and _WORD.fullmatch(word) is not None
