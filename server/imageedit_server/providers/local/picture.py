"""Pictures in memory: from bytes to colors and alpha, and back to bytes. Runs in a worker process."""

from dataclasses import dataclass, replace

from PIL import Image, ImageOps

from imageedit_server.images.decoding import plain
from imageedit_server.pictures.colors import in_color, is_of, to_srgb
from imageedit_server.pictures.encoding import JPEG_BEST, WEBP_BEST, saved
from imageedit_server.pictures.reading import Source, alpha_of, read
from imageedit_server.providers.local.plan import PictureError

_ENCODINGS = {"PNG": {"compress_level": 3}, "JPEG": JPEG_BEST, "WEBP": WEBP_BEST}


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
    lossless: bool = False
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

    Colors become sRGB; with ``exact`` they keep their values and their profile instead, for pixels that have
    to stay as they are, unless they are printing colors. Raises ``PictureError``.
    """
    source = _read(content)
    image = plain(source.image)
    alpha = image.getchannel("A") if "A" in image.getbands() else None
    colors, profile = image.convert(image.mode.removesuffix("A")), source.profile
    kept = exact and colors.mode != "CMYK"
    return Picture(
        colors=colors.convert("RGB") if kept else to_srgb(colors, profile),
        alpha=alpha,
        format=source.form,
        lossless=source.lossless,
        gray=colors.mode == "L",
        deep=source.deep,
        profile=profile if kept and is_of(profile, colors.mode) else b"",
    )


def load_mask(content: bytes, size: tuple[int, int]) -> Image.Image:
    """Read a mask upright; return how much each pixel is edited (255: wholly). Raises ``PictureError``."""
    alpha = alpha_of(_read(content))
    if alpha.size != size:
        raise PictureError(f"The mask is {alpha.width}x{alpha.height}, the image {size[0]}x{size[1]}.")
    return ImageOps.invert(alpha)


def encode(picture: Picture, *, lossless: bool) -> bytes:
    """Return the bytes: PNG where ``lossless`` or with alpha, else in the picture's own format."""
    image, profile = picture.flattened(), picture.profile
    if _is_gray(picture):
        image = image.convert("L" if picture.alpha is None else "LA")
    elif is_of(profile, "L"):
        image, profile = in_color(image, profile), b""
    form = "PNG" if lossless or picture.alpha is not None else picture.format
    options = {"lossless": True} if form == "WEBP" and picture.lossless else _ENCODINGS[form]
    return saved(image, form, profile=profile, **options)


def _is_gray(picture: Picture) -> bool:
    """Whether a picture that came without color is still without."""
    if not picture.gray:
        return False
    red, green, blue = picture.colors.split()
    return red.tobytes() == green.tobytes() == blue.tobytes()


def _read(content: bytes) -> Source:
    try:
        return read(content)
    except Exception as error:  # Pillow raises many kinds for broken files, SyntaxError too
        raise PictureError("The picture cannot be read.") from error
