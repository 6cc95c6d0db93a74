"""Pictures in memory: from bytes to colors and alpha, and back to bytes. Runs in a worker process."""

from dataclasses import dataclass, replace
from io import BytesIO

from PIL import Image, ImageCms, ImageOps

from imageedit_server.providers.local.plan import PictureError

FORMATS = ("PNG", "JPEG", "WEBP")
_DEEP = ("I;16", "I;16B", "I;16L", "I;16N", "I")
_GRAY = ("1", "L", "LA", "La", *_DEEP)
_JPEG_QUALITY = 95
_WEBP_QUALITY = 95
_PNG_LEVEL = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A picture as the edits see it.

    ``colors`` is RGB; ``alpha`` is L or None, and both have one size. ``gray`` says that the file had no
    color. ``profile`` is what the colors still need to be shown right.
    """

    colors: Image.Image
    alpha: Image.Image | None
    format: str
    gray: bool = False
    deep: bool = False
    profile: bytes = b""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.colors.size

    def with_colors(self, colors: Image.Image) -> "Picture":
        """Return this picture with other colors."""
        return replace(self, colors=colors)

    def flattened(self) -> Image.Image:
        """Return colors and alpha as one image, RGB or RGBA."""
        if self.alpha is None:
            return self.colors
        whole = self.colors.convert("RGBA")
        whole.putalpha(self.alpha)
        return whole

    def with_flattened(self, whole: Image.Image) -> "Picture":
        """Return this picture with the colors and alpha of ``whole``."""
        alpha = whole.getchannel("A") if self.alpha is not None else None
        return replace(self, colors=whole.convert("RGB"), alpha=alpha)


def load(content: bytes, *, exact: bool) -> Picture:
    """Read a picture upright, as its owner sees it.

    Colors become sRGB; with ``exact`` an RGB picture keeps its values and its profile instead, for pixels
    that have to stay as they are. Raises ``PictureError``.
    """
    image = _open(content)
    form, deep, gray, cmyk = (
        image.format or "PNG",
        image.mode in _DEEP,
        image.mode in _GRAY,
        image.mode == "CMYK",
    )
    profile = image.info.get("icc_profile") or b""
    image = _eight_bits(ImageOps.exif_transpose(image))
    alpha = None
    if image.has_transparency_data:
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
    keeps = exact and not cmyk
    colors = image.convert("RGB") if keeps or not profile else _to_srgb(image, profile)
    kept = profile if keeps and not gray and profile[16:20] == b"RGB " else b""
    return Picture(colors=colors, alpha=alpha, format=form, gray=gray, deep=deep, profile=kept)


def load_mask(content: bytes, size: tuple[int, int]) -> Image.Image:
    """Read a mask upright; return how much each pixel is edited (255: wholly). Raises ``PictureError``."""
    image = ImageOps.exif_transpose(_open(content))
    if image.size != size:
        raise PictureError(f"The mask is {image.width}x{image.height}, the image {size[0]}x{size[1]}.")
    return ImageOps.invert(image.convert("RGBA").getchannel("A"))


def encode(picture: Picture, *, lossless: bool) -> bytes:
    """Return the bytes: PNG where ``lossless`` or with alpha, else in the picture's own format."""
    image = picture.flattened()
    image.info = {"icc_profile": picture.profile} if picture.profile else {}
    if lossless or picture.alpha is not None or picture.format == "PNG":
        return _encode_png(image, picture)
    if picture.format == "WEBP":
        return _saved(image, "WEBP", quality=_WEBP_QUALITY, method=2)
    plain = image.convert("L") if _is_gray(picture) else image
    return _saved(plain, "JPEG", quality=_JPEG_QUALITY, subsampling=0)


def _encode_png(image: Image.Image, picture: Picture) -> bytes:
    if _is_gray(picture):
        image = image.convert("L" if picture.alpha is None else "LA")
    return _saved(image, "PNG", compress_level=_PNG_LEVEL)


def _is_gray(picture: Picture) -> bool:
    """Whether a picture that came without color is still without."""
    if not picture.gray:
        return False
    red, green, blue = picture.colors.split()
    return red.tobytes() == green.tobytes() == blue.tobytes()


def _saved(image: Image.Image, form: str, **options: int) -> bytes:
    buffer = BytesIO()
    image.save(buffer, form, icc_profile=image.info.get("icc_profile"), **options)
    return buffer.getvalue()


def _open(content: bytes) -> Image.Image:
    try:
        with Image.open(BytesIO(content), formats=FORMATS) as image:
            image.load()
            return image
    except Exception as error:  # Pillow raises many kinds for broken files, SyntaxError too
        raise PictureError("The picture cannot be read.") from error


def _eight_bits(image: Image.Image) -> Image.Image:
    """Return a picture of 16 bits a channel with 8: Pillow's own ``convert`` would clip it."""
    if image.mode not in _DEEP:
        return image
    image.info.pop("transparency", None)  # a tone in 16 bits, which would hit many tones in 8
    return image.convert("I").point(lambda value: value * (1 / 256)).convert("L")


def _to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Return ``image`` in sRGB, by its profile where that can be read and fits."""
    if image.mode not in ("RGB", "CMYK", "L"):
        image = image.convert("RGB")
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        if "sRGB" in ImageCms.getProfileDescription(source) and image.mode == "RGB":
            return image
        target = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image.convert("RGB")
    assert converted is not None
    return converted
