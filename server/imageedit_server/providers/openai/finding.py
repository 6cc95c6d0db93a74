"""Where the pictures are in a JSON value: OpenAI's own place, and those of relays and other vendors.

Looked for liberally and in a fixed order. A text counts as Base64 of a picture by its first bytes, and as a
URL by how it begins, whichever member it stands in.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from imageedit_server.outbound.client import BadBody, read_json
from imageedit_server.providers.base import Output
from imageedit_server.providers.echoes import is_echo
from imageedit_server.providers.openai.decoding import decode_base64, holds_picture, is_data_url

PLACES = (
    *("data", "images", "output", "outputs", "result", "results", "response", "image", "item"),
    *("image_urls", "urls", "resultUrls", "resultJson"),
    *("artifacts", "predictions", "generations", "generated_images", "generatedImages"),
    *("choices", "message", "candidates", "content", "parts", "text", "inline_data"),
    "inlineData",
)
"""Members that hold entries, a list of them or one: of image APIs first, then of chat APIs."""
PICTURES = (
    *("b64_json", "url", "image_url", "image", "b64", "base64", "image_base64", "result", "output"),
    *("imageUrl", "image_b64", "imageBase64", "bytesBase64Encoded", "imageBytes", "uri", "data", "text"),
)
"""Members of an entry that hold its picture: a text, or an object that has one."""
MAX_DEPTH = 12

_MAX_URL_CHARS = 8192
_MAX_REVISED_PROMPT_CHARS = 32_000
_MARKDOWN = re.compile(r"!\[[^\]]{0,200}\]\(\s*(https?://[^)\s]+|data:[^)\s]+)")
_PICTURE_URL = re.compile(r"https?://[^)\s?#]+\.(?:png|jpe?g|webp)(?:[?#][^)\s]*)?", re.IGNORECASE)
_MARKDOWN_LINK = re.compile(rf"\[[^\]]{{0,200}}\]\(\s*({_PICTURE_URL.pattern})", re.IGNORECASE)
_QUOTED = re.compile(r"""\s*b?(["'])(.*)\1\s*""", re.DOTALL)
_URL = re.compile(r"(https?:)?//[^\s]|/[^\s/]", re.IGNORECASE)
_LISTS = ("data", "images")
_MEANT = ("b64_json", "url", "image_url")


def entries_of(value: Any, depth: int = MAX_DEPTH) -> list[Any]:
    """Return what was meant as a picture, in order: of the first place that has any."""
    if depth == 0:
        return []
    match value:
        case list():
            return [found for entry in value for found in entries_of(entry, depth - 1)]
        case str():
            return _entries_of_text(value, depth)
        case dict():
            return _entries_of_object(value, depth)
    return []


def _entries_of_text(text: str, depth: int) -> list[Any]:
    """Read a text that is a picture, JSON once more, or one of a chat with pictures in Markdown."""
    if _is_plainly_one(text):
        return [text]
    if text.lstrip()[:1] in ("{", "[") and (found := entries_of(_json_in(text), depth - 1)):
        return found
    if "](" not in text:
        return []
    return list(_MARKDOWN.findall(text)) or list(_MARKDOWN_LINK.findall(text))


def _json_in(text: str) -> Any:
    try:
        return read_json(text)
    except BadBody:
        return None


def _entries_of_object(value: dict[str, Any], depth: int) -> list[Any]:
    if any(value.get(name) for name in _MEANT) and not any(value.get(name) for name in _LISTS):
        return [value]
    for name in PLACES:
        if found := entries_of(value.get(name), depth - 1):
            is_own = name in PICTURES and found == [value[name]]
            return [value] if is_own else found
    return [value] if any(_is_plain(value.get(name)) for name in PICTURES) else []


def entries_anywhere(value: Any, depth: int = MAX_DEPTH) -> list[str]:
    """Return the texts that are pictures by themselves, whatever they are called.

    That is Base64 that begins as a picture does, or a whole URL that ends as a picture's file name does.
    """
    match value:
        case str():
            text = _bare(value)
            is_one = is_data_url(text) or holds_picture(text) or _PICTURE_URL.fullmatch(text)
            return [text] if is_one else []
        case list() if depth:
            return [found for entry in value for found in entries_anywhere(entry, depth - 1)]
        case dict() if depth:
            inner = (each for name, each in value.items() if not is_echo(name))
            return [found for each in inner for found in entries_anywhere(each, depth - 1)]
    return []


def _bare(text: str) -> str:
    """Return a text without what a relay left around it: white space, quotes, Python's ``b'…'``."""
    quoted = _QUOTED.fullmatch(text)
    return (quoted[2] if quoted else text).strip()


def _is_plain(value: Any) -> bool:
    return isinstance(value, str) and _is_plainly_one(value)


def _is_plainly_one(text: str) -> bool:
    """Whether a text with no name of its own is a picture: a whole URL, or Base64 that begins as one."""
    return text.startswith(("https://", "http://")) or is_data_url(text) or holds_picture(text)


def read_picture(entry: Any) -> Output | None:
    """Read an entry: its bytes, or its URL, whichever it has first."""
    fields = entry if isinstance(entry, dict) else {"url": entry}
    texts = [text for name in PICTURES for text in _texts_in(fields.get(name))]
    content = next(filter(None, map(_content, texts)), b"")
    if not content and isinstance(text := fields.get("b64_json"), str):
        content = decode_base64(_bare(text))  # named as one: the decoder says what it is
    url = "" if content else next(filter(_is_url, texts), "")
    if not content and not url:
        return None
    return Output(content=content, url=url, revised_prompt=_revised_prompt(fields))


def _texts_in(value: Any) -> Iterator[str]:
    """Yield the texts of a member: itself, or those of the object that stands in its place."""
    match value:
        case str() if value:
            yield _bare(value)
        case list():
            yield from (_bare(text) for text in value if isinstance(text, str) and text)
        case dict():
            for name in (*PICTURES, *PLACES):
                if isinstance(text := value.get(name), str) and text:
                    yield _bare(text)


def _content(text: str) -> bytes:
    return decode_base64(text) if is_data_url(text) or holds_picture(text) else b""


def _is_url(text: str) -> bool:
    return len(text) <= _MAX_URL_CHARS and _URL.match(text) is not None


def _revised_prompt(fields: Mapping[str, Any]) -> str:
    text = fields.get("revised_prompt")
    return text.replace("\0", "")[:_MAX_REVISED_PROMPT_CHARS] if isinstance(text, str) else ""
