"""What Suitme takes, field by field, and how it says what is wrong (VENDORS §1.2, §1.3, §1.6).

Stricter than the vendor in one thing: a field that it does not know is an error here, where it would be
ignored. Shares nothing with the adapter.
"""

import base64
import binascii
import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image

SIZES = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
DATA_URI = re.compile(r"data:image/(jpeg|jpg|png|gif|webp|bmp);base64,([A-Za-z0-9+/]+=*)")
FORMATS = {"jpeg": "JPEG", "jpg": "JPEG", "png": "PNG", "gif": "GIF", "webp": "WEBP", "bmp": "BMP"}

Problem = dict[str, Any]
Check = Callable[[Any], str]
"""Says what is wrong with a value, empty when nothing is."""


@dataclass(frozen=True, slots=True)
class Field:
    """One member of a body."""

    check: Check
    required: bool = True


def _text(value: Any) -> str:
    if not isinstance(value, str):
        return "Input should be a valid string"
    return "" if value else "String should have at least 1 character"


def _size(value: Any) -> str:
    return "" if value in SIZES else f"Input should be {', '.join(map(repr, SIZES))}"


def _gender(value: Any) -> str:
    return "" if value in ("男", "女") else "Input should be '男' or '女'"


def _number(most: float, *, whole: bool = False) -> Check:
    def check(value: Any) -> str:
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
            return f"Input should be a valid {'integer' if whole else 'number'}"
        if value <= 0:
            return "Input should be greater than 0"
        return "" if value <= most else f"Input should be less than or equal to {most:g}"

    return check


def _picture(value: Any) -> str:
    if not isinstance(value, str):
        return "Input should be a valid string"
    if re.match(r"https?://", value) or read_picture(value) is not None:
        return ""
    return "Value error, 图片必须是有效的 URL (http/https) 或 Data URI 格式 (data:image/<type>;base64,<data>)"


def _object(value: Any) -> str:
    return "" if isinstance(value, dict) else "Input should be a valid dictionary"


def read_picture(value: str) -> Image.Image | None:
    """Decode a data URI whose bytes are of the type that it names."""
    match = DATA_URI.fullmatch(value)
    if match is None:
        return None
    try:
        content = base64.b64decode(match[2], validate=True)
        image = Image.open(io.BytesIO(content), formats=(FORMATS[match[1]],))
        image.load()
    except (binascii.Error, OSError, ValueError):
        return None
    return image


PROFILE = {
    "gender": Field(_gender, required=False),
    "height": Field(_number(300), required=False),
    "weight": Field(_number(500), required=False),
    "age": Field(_number(150, whole=True), required=False),
    "skin_color": Field(_text, required=False),
    "body_type": Field(_text, required=False),
}
BODIES: Mapping[str, Mapping[str, Field]] = {
    "/models/default": {
        "user_id": Field(_text),
        "picture_url": Field(_picture),
        "body_profile": Field(_object),
        "size": Field(_size, required=False),
    },
    "/models/edit": {
        "user_id": Field(_text),
        "base_model_task_id": Field(_text),
        "edit_instructions": Field(_text),
        "size": Field(_size, required=False),
    },
}


def problems_of(path: str, body: Any) -> list[Problem]:
    """Hold a body against every rule; return what FastAPI would put under ``detail``."""
    if not isinstance(body, dict):
        return [_problem([], "Input should be a valid dictionary or object to extract fields from", body)]
    problems = _members([], BODIES[path], body)
    profile = body.get("body_profile")
    if path == "/models/default" and isinstance(profile, dict):
        problems += _members(["body_profile"], PROFILE, profile)
    return problems


def _members(where: list[str], fields: Mapping[str, Field], given: dict[str, Any]) -> list[Problem]:
    problems = [
        _problem([*where, name], "Extra inputs are not permitted", given[name])
        for name in given
        if name not in fields
    ]
    for name, field in fields.items():
        if name not in given and field.required:
            problems.append(_problem([*where, name], "Field required", given))
        elif name in given and (msg := field.check(given[name])):
            problems.append(_problem([*where, name], msg, given[name]))
    return problems


def _problem(where: list[str], msg: str, value: Any) -> Problem:
    """FastAPI repeats what it was given: whoever shows the whole problem shows the picture too."""
    return {"type": "value_error", "loc": ["body", *where], "msg": msg, "input": value}
