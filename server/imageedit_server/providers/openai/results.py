"""The pictures in a successful reply, and what else in it the caller should know.

Written for replies that are nearly right (F45, F47, F53): what the vendor was paid for is not lost to a stray
line break, and nothing that is not a picture passes for one, since every picture is decoded later (P19).
"""

import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from imageedit_server.providers.base import Finished, Output
from imageedit_server.providers.openai.rules import KIB, MAX_N, MIB

MAX_PICTURE_BYTES = 40 * MIB
"""No picture of 3840x2160 is larger, even uncompressed."""
MAX_BASE64_CHARS = MAX_PICTURE_BYTES * 4 // 3 + 64 * KIB
_MAX_URL_CHARS = 8192
_MAX_REVISED_PROMPT_CHARS = 32_000
_DATA_URL = re.compile(r"data:[a-z0-9.+-]{1,40}/[a-z0-9.+-]{1,40};base64,", re.IGNORECASE)
_WORD = re.compile(r"[\w.:-]{1,40}", re.ASCII)

COMPARED = ("size", "quality", "background", "output_format")
_OPEN = ("", "auto")


class NoPicture(Exception):
    """The reply is no success: nothing in it could be a picture."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    """What the vendor was asked for, to hold its reply against. ``words`` are by field name."""

    n: int
    words: dict[str, str]


def read_result(value: Any, ask: Ask, vendor_request_id: str) -> Finished:
    """Read an ``ImagesResponse``. Raises ``NoPicture`` when it holds nothing that was meant as a picture.

    Pictures that cannot be read are named in the warnings; the result may then have none.
    """
    entries = _entries(value)
    outputs = [output for entry in entries if (output := read_picture(entry))]
    return Finished(
        outputs=tuple(outputs),
        warnings=(*_count_warnings(len(entries), len(outputs), ask.n), *differences(value, ask)),
        vendor_request_id=vendor_request_id,
    )


def _entries(value: Any) -> Sequence[dict[str, Any]]:
    data = value.get("data") if isinstance(value, dict) else None
    found = [entry for entry in data if isinstance(entry, dict)] if isinstance(data, list) else []
    meant = [entry for entry in found if entry.get("b64_json") or entry.get("url")]
    if not meant:
        raise NoPicture
    return meant[:MAX_N]


def read_picture(entry: dict[str, Any]) -> Output | None:
    """Read one entry: its bytes, or its URL. An empty text is as good as none (VENDORS §3.2)."""
    text, url = entry.get("b64_json"), entry.get("url")
    if isinstance(url, str) and not text and _DATA_URL.match(url):
        text, url = url, ""
    content = decode_base64(text) if isinstance(text, str) else b""
    if content:
        return Output(content=content, revised_prompt=_revised_prompt(entry))
    if isinstance(url, str) and 0 < len(url) <= _MAX_URL_CHARS:
        return Output(url=url, revised_prompt=_revised_prompt(entry))
    return None


def decode_base64(text: str) -> bytes:
    """Decode strictly; empty when too long or not Base64. A data URL's head and white space do no harm."""
    head = _DATA_URL.match(text)
    start = head.end() if head else 0
    if len(text) - start > MAX_BASE64_CHARS:
        return b""
    try:
        return binascii.a2b_base64("".join(text[start:].split()), strict_mode=True)
    except ValueError:
        return b""


def _revised_prompt(entry: dict[str, Any]) -> str:
    text = entry.get("revised_prompt")
    return text.replace("\0", "")[:_MAX_REVISED_PROMPT_CHARS] if isinstance(text, str) else ""


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
