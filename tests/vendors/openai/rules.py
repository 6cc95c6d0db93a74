"""What POST /v1/images/edits takes at three vendors: every field, its type and its limits.

Written from the vendor's pages 1 and 3 and VENDORS §3.1; shares nothing with the adapter.
"""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from PIL import Image

from tests.vendors.serving import FormPart

MB = 1024 * 1024
FORMATS = {"png": "PNG", "jpg": "JPEG", "jpeg": "JPEG", "webp": "WEBP"}
MEDIA_TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}


class Invalid(Exception):
    """The request breaks a rule; ``param`` is the field that it names."""

    def __init__(self, message: str, param: str, code: str = "invalid_value") -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A request that keeps every rule. ``fields`` are as sent; pictures are as the model sees them."""

    fields: Mapping[str, str]
    images: Sequence[Image.Image]
    mask: Image.Image | None

    @property
    def n(self) -> int:
        return int(self.fields.get("n", "1"))

    @property
    def streams(self) -> bool:
        return self.fields.get("stream") == "true"


Check = Callable[[str, str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """One vendor's form: a check for each field, and what its files must be."""

    fields: Mapping[str, Check]
    max_images: int = 16
    formats: frozenset[str] = frozenset(MEDIA_TYPES)
    modes: tuple[str, ...] = ("L", "LA", "RGB", "RGBA")
    max_image_bytes: int = 50 * MB
    square: bool = False
    alpha_or_mask: bool = False
    also: Callable[[Mapping[str, str]], None] = field(default=lambda fields: None)
    """The rules between fields."""


def _require(condition: bool, message: str, param: str, code: str = "invalid_value") -> None:
    if not condition:
        raise Invalid(message, param, code)


# Fields


def text(most: int) -> Check:
    """Take 1 to ``most`` characters."""

    def check(name: str, value: str) -> None:
        _require(value != "", f"You must provide a {name}.", name, "missing_required_parameter")
        _require(
            len(value) <= most, f"{name} is too long: {len(value)} > {most}", name, "string_above_max_length"
        )

    return check


def one_of(*words: str) -> Check:
    """Take one of these words."""

    def check(name: str, value: str) -> None:
        _require(value in words, f"Invalid value: {value!r}. Supported values are: {', '.join(words)}.", name)

    return check


def integer(least: int, most: int) -> Check:
    """Take a whole number in plain digits."""

    def check(name: str, value: str) -> None:
        good = re.fullmatch(r"0|[1-9][0-9]{0,5}", value, re.ASCII) and least <= int(value) <= most
        _require(bool(good), f"Invalid value for {name}: {value!r}, not {least} to {most}.", name)

    return check


def flexible_size(name: str, value: str) -> None:
    """Take ``auto`` and any size by the rules of gpt-image-2."""
    if value == "auto":
        return
    match = re.fullmatch(r"([1-9][0-9]{1,4})x([1-9][0-9]{1,4})", value, re.ASCII)
    _require(match is not None, f"Invalid size {value!r}.", name)
    assert match is not None
    width, height = int(match[1]), int(match[2])
    _require(
        width % 16 == 0 == height % 16,
        f"Invalid size {value!r}. Width and height must both be divisible by 16.",
        name,
    )
    _require(max(width, height) <= 3 * min(width, height), f"Invalid size {value!r}: beyond 3:1.", name)
    _require(
        max(width, height) <= 3840 and width * height <= 3840 * 2160, f"Invalid size {value!r}: 4K.", name
    )
    _require(width * height >= 655_360, f"Invalid size {value!r}: below the minimum pixel budget.", name)


def any_size(name: str, value: str) -> None:
    """Take any width and height."""
    _require(re.fullmatch(r"[1-9]\d*x[1-9]\d*", value, re.ASCII) is not None, f"size {value!r}", name)


def _gpt_image_rules(fields: Mapping[str, str]) -> None:
    transparent = fields.get("background") == "transparent"
    _require(
        not (transparent and fields.get("output_format") == "jpeg"),
        "Transparent background is not supported for JPEG output format.",
        "background",
    )
    _require(
        "output_compression" not in fields or fields.get("output_format") in ("jpeg", "webp"),
        "Compression is for jpeg and webp.",
        "output_compression",
    )
    if fields.get("stream") != "true":
        _require("partial_images" not in fields, "partial_images needs stream.", "partial_images")
    else:
        _require(fields.get("n", "1") == "1", "Streaming is only supported with n=1.", "n")


def no_input_fidelity(name: str, _value: str) -> None:
    """Take none, as gpt-image-2 and later do."""
    _require(
        False, f"The model does not support the '{name}' parameter.", name, "invalid_input_fidelity_model"
    )


_QUALITIES = ("auto", "low", "medium", "high")

GPT_IMAGE_FIELDS: Mapping[str, Check] = {
    "prompt": text(32_000),
    "model": text(100),
    "n": integer(1, 10),
    "size": flexible_size,
    "quality": one_of(*_QUALITIES),
    "background": one_of("transparent", "opaque", "auto"),
    "input_fidelity": no_input_fidelity,
    "moderation": one_of("auto", "low"),
    "output_format": one_of("png", "jpeg", "webp"),
    "output_compression": integer(0, 100),
    "partial_images": integer(0, 3),
    "stream": one_of("true", "false"),
    "user": text(512),
}

GPT_IMAGE = Form(fields=GPT_IMAGE_FIELDS, also=_gpt_image_rules)
GPT_IMAGE_2_5 = Form(
    fields={**GPT_IMAGE_FIELDS, "quality": one_of(*_QUALITIES, "xhigh", "max")}, also=_gpt_image_rules
)
GPT_IMAGE_1_5 = Form(
    fields={
        **GPT_IMAGE_FIELDS,
        "size": one_of("auto", "1024x1024", "1536x1024", "1024x1536"),
        "input_fidelity": one_of("high", "low"),
    },
    also=_gpt_image_rules,
)

RELAY = Form(
    fields={
        "prompt": text(32_000),
        "model": text(100),
        "n": integer(1, 10),
        "size": any_size,
        "response_format": one_of("url", "b64_json"),
    },
    max_image_bytes=20 * MB,
)
"""Vendor page 1."""

DALL_E_2 = Form(
    fields={
        "prompt": text(1000),
        "model": text(100),
        "n": integer(1, 10),
        "size": one_of("256x256", "512x512", "1024x1024"),
        "response_format": one_of("url", "b64_json"),
        "user": text(512),
    },
    max_images=1,
    formats=frozenset({"PNG"}),
    modes=("RGBA", "LA", "L"),
    max_image_bytes=4 * MB - 1,
    square=True,
    alpha_or_mask=True,
)
"""Vendor page 3."""


# The whole form


def check(parts: Sequence[FormPart], form: Form) -> Asked:
    """Hold a form against every rule. Raises ``Invalid``."""
    fields = _fields([part for part in parts if part.file_name is None], form)
    files = [part for part in parts if part.file_name is not None]
    images = _images([part for part in files if part.name != "mask"], form)
    mask = _mask([part for part in files if part.name == "mask"], images[0])
    if form.alpha_or_mask and mask is None:
        lowest, _ = images[0].convert("RGBA").getchannel("A").getextrema()
        _require(lowest == 0, "The image has no transparency, and there is no mask.", "image")
    return Asked(fields=fields, images=images, mask=mask)


def _fields(parts: Sequence[FormPart], form: Form) -> dict[str, str]:
    fields: dict[str, str] = {}
    for part in parts:
        _require(
            part.name in form.fields, f"Unknown parameter: '{part.name}'.", part.name, "unknown_parameter"
        )
        _require(part.name not in fields, f"Duplicate parameter: '{part.name}'.", part.name)
        _require(part.media_type == "", f"'{part.name}' is typed {part.media_type}.", part.name)
        fields[part.name] = part.content.decode("utf-8")
        form.fields[part.name](part.name, fields[part.name])
    for name in ("prompt", "model"):
        _require(name in fields, f"Missing required parameter: '{name}'.", name, "missing_required_parameter")
    form.also(fields)
    return fields


def _images(parts: Sequence[FormPart], form: Form) -> list[Image.Image]:
    """Take one ``image`` or any number of ``image[]``, never both: a relay would drop one kind."""
    names = [part.name for part in parts]
    _require(names == ["image"] or set(names) == {"image[]"}, f"The files are named {names}.", "image")
    _require(len(parts) <= form.max_images, f"{len(parts)} images, at most {form.max_images}.", "image")
    return [_image(part, form) for part in parts]


def _image(part: FormPart, form: Form) -> Image.Image:
    image = _open(part)
    _require(image.format in form.formats, f"unsupported format {image.format}", part.name)
    _require(image.mode in form.modes, f"format must be in {form.modes}, got {image.mode}.", part.name)
    _require(len(part.content) <= form.max_image_bytes, f"{len(part.content)} bytes are too many", part.name)
    if form.square:
        _require(image.width == image.height, "Uploaded image must be square.", part.name)
    return image


def _mask(parts: Sequence[FormPart], image: Image.Image) -> Image.Image | None:
    if not parts:
        return None
    _require(len(parts) == 1, "There are several masks.", "mask")
    mask = _open(parts[0])
    _require(mask.format == "PNG", f"the mask is {mask.format}", "mask")
    _require(len(parts[0].content) < 4 * MB, "the mask is too large", "mask")
    _require("A" in mask.getbands(), "Invalid mask image format - mask image missing alpha channel", "mask")
    _require(
        mask.size == image.size, "Invalid mask image format - mask size does not match image size", "mask"
    )
    return mask


def _open(part: FormPart) -> Image.Image:
    """Decode a file as it lies. Its name's extension, its type and its bytes must agree."""
    _require(bool(part.content), "the file is empty", part.name)
    extension = (part.file_name or "").rpartition(".")[2].lower()
    try:
        image = Image.open(io.BytesIO(part.content), formats=tuple(MEDIA_TYPES))
        image.load()
    except Exception as error:
        raise Invalid("Invalid image file or mode.", part.name, "invalid_image_file") from error
    _require(FORMATS.get(extension) == image.format, f"the name is {part.file_name!r}", part.name)
    _require(part.media_type == MEDIA_TYPES[str(image.format)], f"the type is {part.media_type}", part.name)
    return image
