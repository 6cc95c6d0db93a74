"""What kie.ai takes, as its pages say: every field, its wire type and its limits.

Written from the vendor's pages 2 and 4 and VENDORS §2.1; shares nothing with the adapter.
"""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image

MIB = 1024 * 1024
MAX_FILE_BYTES = 10 * MIB
MEDIA_TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}

Files = Mapping[str, bytes]
"""What was uploaded, by its download URL."""


class Invalid(Exception):
    """The request breaks a rule. ``code`` is what the body says; the HTTP status is 200 (VENDORS §2.3)."""

    def __init__(self, msg: str, code: int = 422) -> None:
        super().__init__(msg)
        self.code = code
        self.msg = msg


@dataclass(frozen=True, slots=True)
class Rule:
    """One field of ``input``: what its value must be, and whether it may be left out."""

    check: Callable[[str, Any, Files], None]
    required: bool = True


def _require(condition: bool, msg: str) -> None:
    if not condition:
        raise Invalid(msg)


def text(most: int) -> Rule:
    """Take 1 to ``most`` characters."""

    def check(name: str, value: Any, _files: Files) -> None:
        _require(isinstance(value, str) and value != "", f"{name} must be a string.")
        _require(len(value) <= most, f"{name} exceeds {most} characters.")

    return Rule(check)


def one_of(*values: str, required: bool = True) -> Rule:
    """Take one of these strings."""

    def check(name: str, value: Any, _files: Files) -> None:
        _require(isinstance(value, str) and value in values, f"{name} is not within the range of options.")

    return Rule(check, required)


def flag() -> Rule:
    """Take true or false."""

    def check(name: str, value: Any, _files: Files) -> None:
        _require(value is True or value is False, f"{name} must be a boolean.")

    return Rule(check, required=False)


def integer() -> Rule:
    """Take an integer."""

    def check(name: str, value: Any, _files: Files) -> None:
        _require(isinstance(value, int) and not isinstance(value, bool), f"{name} must be an integer.")

    return Rule(check, required=False)


def picture() -> Rule:
    """Take the URL of an uploaded picture."""

    def check(name: str, value: Any, files: Files) -> None:
        open_upload(name, value, files)

    return Rule(check)


def pictures(most: int, most_bytes: int | None = None) -> Rule:
    """Take 1 to ``most`` URLs of uploaded pictures, of ``most_bytes`` in all."""

    def check(name: str, value: Any, files: Files) -> None:
        _require(isinstance(value, list), f"{name} must be an array.")
        _require(1 <= len(value) <= most, f"{name} must hold 1 to {most} items.")
        for url in value:
            open_upload(name, url, files)
        if most_bytes is not None:
            _require(sum(len(files[url]) for url in value) <= most_bytes, f"{name} is too large.")

    return Rule(check)


def open_upload(name: str, url: Any, files: Files) -> Image.Image:
    """Decode an upload without applying its orientation, as an image model would."""
    _require(isinstance(url, str) and url in files, f"{name}: url is wrong")
    content = files[url]
    _require(len(content) <= MAX_FILE_BYTES, f"{name}: File size exceeds 10MB.")
    try:
        image = Image.open(io.BytesIO(content), formats=tuple(MEDIA_TYPES))
        image.load()
    except Exception as error:
        raise Invalid(f"{name}: file type not supported") from error
    return image


MODELS: dict[str, dict[str, Rule]] = {
    "seedream/4.5-edit": {
        "prompt": text(3000),
        "image_urls": pictures(14),
        "aspect_ratio": one_of("1:1", "4:3", "3:4", "16:9", "9:16", "2:3", "3:2", "21:9"),
        "quality": one_of("basic", "high"),
        "nsfw_checker": flag(),
    },
    "seedream/5-lite-image-to-image": {
        "prompt": text(3000),
        "image_urls": pictures(14),
        "aspect_ratio": one_of("1:1", "4:3", "3:4", "16:9", "9:16", "2:3", "3:2", "21:9"),
        "quality": one_of("basic", "high", "ultra"),
        "output_format": one_of("png", "jpeg", required=False),
        "nsfw_checker": flag(),
    },
    "ideogram/v3-edit": {
        "prompt": text(5000),
        "image_url": picture(),
        "mask_url": picture(),
        "rendering_speed": one_of("TURBO", "BALANCED", "QUALITY", required=False),
        "expand_prompt": flag(),
        "seed": integer(),
    },
    "ideogram/character-edit": {
        "prompt": text(5000),
        "image_url": picture(),
        "mask_url": picture(),
        "reference_image_urls": pictures(1_000, MAX_FILE_BYTES),
        "rendering_speed": one_of("TURBO", "BALANCED", "QUALITY", required=False),
        "style": one_of("AUTO", "REALISTIC", "FICTION", required=False),
        "expand_prompt": flag(),
        "num_images": one_of("1", "2", "3", "4", required=False),
        "seed": integer(),
    },
}


def check_create(body: Any, files: Files) -> None:
    """Hold a createTask body against every rule. Raises ``Invalid``."""
    _require(isinstance(body, dict), "The body must be an object.")
    _known_only("", body, {"model", "callBackUrl", "input"})
    _require(body.get("model") in MODELS, "The model name you specified is not supported.")
    if "callBackUrl" in body:
        url = body["callBackUrl"]
        _require(isinstance(url, str) and url.startswith(("http://", "https://")), "callBackUrl is wrong.")
    given = body.get("input")
    _require(isinstance(given, dict), "input cannot be null.")
    _check_input(given, MODELS[body["model"]], files)


def _check_input(given: dict[str, Any], rules: Mapping[str, Rule], files: Files) -> None:
    _known_only("input.", given, set(rules))
    for name, rule in rules.items():
        if name in given:
            rule.check(f"input.{name}", given[name], files)
        elif rule.required:
            raise Invalid("This field is required", code=500)  # a validation error in disguise (VENDORS §2.3)
    if "mask_url" in rules:
        _check_mask(given, files)


def _check_mask(given: dict[str, Any], files: Files) -> None:
    base = open_upload("image_url", given["image_url"], files)
    mask = open_upload("mask_url", given["mask_url"], files)
    _require(mask.size == base.size, f"mask size {mask.size} does not match the image size {base.size}")
    _require(not mask.has_transparency_data, "mask_url must be black and white, without transparency")


def _known_only(prefix: str, given: dict[str, Any], known: set[str]) -> None:
    unknown = set(given) - known
    _require(not unknown, f"unknown field {prefix}{', '.join(sorted(unknown))}")
