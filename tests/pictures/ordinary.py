"""Ordinary photos and files: what phones, cameras, editors, scanners and presses write; and a viewer's eye.

The viewer goes by Pillow and ImageCms alone, with the profile out of the file, and shares no code with the
product.
"""

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from PIL import Image, ImageChops, ImageCms, ImageFilter, ImageStat

from tests.images.pictures import PHOTO, PNG_SIGNATURE, chunk, encoded
from tests.pictures import profiles

Size = tuple[int, int]

GROUND = 118
"""The gray under what is transparent."""

P3 = profiles.rgb(profiles.DISPLAY_P3, 2.2, "Display P3")
ADOBE = profiles.rgb(profiles.ADOBE_RGB, 2.2, "Adobe RGB (1998)")
PROPHOTO = profiles.rgb(profiles.PROPHOTO, 1.8, "ProPhoto RGB")
MISNAMED = profiles.rgb(profiles.DISPLAY_P3, 2.2, "sRGB IEC61966-2.1")
LINEAR = profiles.gray(1.0, "Linear gray")
DOT_GAIN = profiles.gray(1.6, "Dot Gain 20%")
PRESS = profiles.cmyk()

_SHOWN = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""How a viewer shows each value of the EXIF tag."""

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'


@dataclass(frozen=True, kw_only=True, slots=True)
class Photo:
    """A file. ``plain`` is one of the same look that Pillow reads right, where it does not read this one."""

    name: str
    content: bytes
    plain: bytes = b""
    orientation: int = 1

    @property
    def is_upright(self) -> bool:
        """Whether no viewer turns it."""
        return self.orientation not in _SHOWN

    def seen(self) -> Image.Image:
        """Return what a viewer shows."""
        shown = seen(self.plain or self.content)
        return shown if self.is_upright else shown.transpose(_SHOWN[self.orientation])


def seen(content: bytes) -> Image.Image:
    """Return what a viewer that knows profiles shows of an upright picture, in sRGB, on gray ground."""
    with Image.open(io.BytesIO(content)) as image:
        image.load()
    alpha = image.convert("RGBA").getchannel("A")
    colors = image.convert({"LA": "L", "RGBA": "RGB", "P": "RGBA", "1": "L"}.get(image.mode, image.mode))
    if colors.mode == "RGBA":
        colors = colors.convert("RGB")
    shown = _through(colors, image.info.get("icc_profile"))
    return Image.composite(shown, Image.new("RGB", image.size, (GROUND,) * 3), alpha)


def _through(colors: Image.Image, profile: bytes | None) -> Image.Image:
    if not profile:
        return colors.convert("RGB")
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        shown = ImageCms.profileToProfile(colors, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):
        return colors.convert("RGB")
    assert shown is not None
    return shown


def unlike(one: Image.Image, other: Image.Image) -> float:
    """Return by how much of 255 two pictures differ, in the mean of the worst channel."""
    assert one.size == other.size
    return max(ImageStat.Stat(ImageChops.difference(one, other)).mean)


def exif(orientation: int) -> bytes:
    """EXIF that says this alone, and may say what is no orientation."""
    return b"Exif\0\0MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def deep_png(image: Image.Image, depth: int, color: int, *chunks: bytes) -> bytes:
    """A PNG of 2, 4 or 16 bits a sample; in 16 each sample is 257 times as much."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *image.size, depth, color, 0, 0, 0))
    step = len(image.getbands()) * image.width
    data = image.tobytes()
    rows = (data[start : start + step] for start in range(0, len(data), step))
    pixels = zlib.compress(b"".join(b"\0" + _packed(row, depth) for row in rows))
    return PNG_SIGNATURE + header + b"".join(chunks) + chunk(b"IDAT", pixels) + chunk(b"IEND")


def _packed(row: bytes, depth: int) -> bytes:
    if depth == 16:
        return bytes(sample for sample in row for _ in (0, 1))
    each = 8 // depth
    levels = [sample >> (8 - depth) for sample in row]
    places = range(0, len(levels), each)
    return bytes(
        sum(level << (8 - depth * (at + 1)) for at, level in enumerate(levels[start : start + each]))
        for start in places
    )


def within(photo: Image.Image, profile: bytes) -> Image.Image:
    """Return a photo with the values that it has within a profile's space, as a camera writes it."""
    target = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    mode = {b"GRAY": "L", b"CMYK": "CMYK"}.get(profile[16:20], "RGB")
    converted = ImageCms.profileToProfile(photo, ImageCms.createProfile("sRGB"), target, outputMode=mode)
    assert converted is not None
    return converted


def profile_chunk(profile: bytes) -> bytes:
    """A PNG's iCCP."""
    return chunk(b"iCCP", b"profile\0\0" + zlib.compress(profile))


@cache
def photos(size: Size) -> list[Photo]:
    """Make every file around one photo of this size; the width must be a multiple of 4."""
    return list(_photos(size))


def _photos(size: Size) -> Iterator[Photo]:
    with Image.open(io.BytesIO(PHOTO)) as whole:
        photo = whole.convert("RGB").crop((60, 60, 60 + 6 * size[0], 60 + 6 * size[1])).resize(size)
    photo = photo.filter(ImageFilter.GaussianBlur(0.6))  # as sharp as a large photo is within so few pixels
    yield from _turned(photo)
    yield from _phones(photo)
    yield from _cameras(photo)
    yield from _editors(photo)
    yield from _grays(photo)
    yield from _transparent(photo)
    yield from _deep(photo)
    yield from _broken(photo)


def _turned(photo: Image.Image) -> Iterator[Photo]:
    for orientation in range(10):
        content = encoded(photo, "JPEG", quality=90, exif=exif(orientation))
        yield Photo(name=f"JPEG, orientation {orientation}", content=content, orientation=orientation)


def _phones(photo: Image.Image) -> Iterator[Photo]:
    """Containers with more in them than a picture, of which one is shown."""
    gain_map = photo.convert("L").reduce(4)
    others = {"save_all": True, "append_images": [gain_map, gain_map.convert("RGB")]}
    for orientation in (1, 6):
        plain = encoded(photo, "JPEG", quality=90)
        content = encoded(photo, "MPO", quality=90, exif=exif(orientation), **others)
        name = f"JPEG with a gain map and a preview, orientation {orientation}"
        yield Photo(name=name, content=content, plain=plain, orientation=orientation)
    still = encoded(photo, "JPEG", quality=90, exif=exif(8))
    motion = b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 20
    yield Photo(name="JPEG with a film behind it, turned", content=still + motion, orientation=8)
    depth = encoded(photo, "PNG", exif=exif(6)) + b"depth" * 100
    yield Photo(name="PNG with bytes behind it, turned", content=depth, orientation=6)
    padded = encoded(photo, "WEBP", lossless=True, exif=exif(3)) + bytes(100)
    yield Photo(name="WebP with bytes behind it, turned", content=padded, orientation=3)


def _cameras(photo: Image.Image) -> Iterator[Photo]:
    in_passes = encoded(photo, "JPEG", quality=85, progressive=True, exif=exif(6))
    yield Photo(name="progressive JPEG, turned", content=in_passes, orientation=6)
    half = encoded(photo, "JPEG", quality=92, subsampling=1, exif=exif(8))
    yield Photo(name="JPEG 4:2:2, turned", content=half, orientation=8)
    full = encoded(within(photo, P3), "JPEG", quality=98, subsampling=0, exif=exif(3), icc_profile=P3)
    yield Photo(name="JPEG 4:4:4 in Display P3, turned", content=full, orientation=3)
    yield Photo(
        name="JPEG in Adobe RGB", content=encoded(within(photo, ADOBE), "JPEG", quality=95, icc_profile=ADOBE)
    )
    lossy = encoded(within(photo, P3), "WEBP", quality=85, icc_profile=P3, exif=exif(6))
    yield Photo(name="WebP in Display P3, turned", content=lossy, orientation=6)
    lossless = encoded(photo, "WEBP", lossless=True, exif=exif(5))
    yield Photo(name="lossless WebP, turned", content=lossless, orientation=5)


def _editors(photo: Image.Image) -> Iterator[Photo]:
    cmyk = ImageChops.invert(photo).convert("CMYK")
    cmyk = Image.merge("CMYK", (*photo.point(lambda level: (255 - level) * 0.7).split(), cmyk.split()[0]))
    for profile, orientation in ((PRESS, 1), (PRESS, 6), (b"", 1)):
        content = encoded(cmyk, "JPEG", quality=95, icc_profile=profile or None, exif=exif(orientation))
        name = f"CMYK JPEG, {len(profile)} bytes of profile, orientation {orientation}"
        yield Photo(name=name, content=content, orientation=orientation)
    yield Photo(name="PNG in ProPhoto", content=encoded(within(photo, PROPHOTO), "PNG", icc_profile=PROPHOTO))
    misnamed = encoded(photo, "PNG", icc_profile=MISNAMED, exif=exif(7))
    yield Photo(name="PNG in another profile that is called sRGB, turned", content=misnamed, orientation=7)
    palette = photo.quantize(64)
    content = encoded(palette, "PNG", icc_profile=P3, exif=exif(6))
    yield Photo(name="palette PNG in Display P3, turned", content=content, orientation=6)
    yield Photo(name="palette PNG", content=encoded(palette, "PNG"))


def _grays(photo: Image.Image) -> Iterator[Photo]:
    gray = photo.convert("L")
    yield Photo(name="gray JPEG", content=encoded(gray, "JPEG", quality=90))
    turned = encoded(gray, "JPEG", quality=90, icc_profile=DOT_GAIN, exif=exif(6))
    yield Photo(name="gray JPEG with a profile of gray, turned", content=turned, orientation=6)
    yield Photo(name="gray PNG with a profile of color", content=encoded(gray, "PNG", icc_profile=P3))
    yield Photo(name="scan of 1 bit", content=encoded(photo.convert("1"), "PNG"))
    for depth in (2, 4):
        levels = gray.point([(level >> 8 - depth) * 255 // (2**depth - 1) for level in range(256)])
        key = struct.pack(">H", 1)
        content = deep_png(gray, depth, 0, profile_chunk(LINEAR), chunk(b"tRNS", key))
        alpha = gray.point([0 if level >> 8 - depth == 1 else 255 for level in range(256)])
        plain = encoded(Image.merge("LA", (levels, alpha)), "PNG", icc_profile=LINEAR)
        yield Photo(name=f"gray PNG of {depth} bits with a transparent tone", content=content, plain=plain)


def _transparent(photo: Image.Image) -> Iterator[Photo]:
    alpha = Image.linear_gradient("L").resize(photo.size)
    with_alpha = photo.copy()
    with_alpha.putalpha(alpha)
    turned = encoded(with_alpha, "PNG", icc_profile=P3, exif=exif(8))
    yield Photo(name="RGBA PNG in Display P3, turned", content=turned, orientation=8)
    yield Photo(name="WebP with alpha", content=encoded(with_alpha, "WEBP", quality=95, exact=True))
    gray = Image.merge("LA", (photo.convert("L"), alpha))
    yield Photo(name="gray PNG with alpha and a profile", content=encoded(gray, "PNG", icc_profile=LINEAR))
    palette = photo.quantize(32)
    tones = bytes(range(0, 256, 8))
    content = encoded(palette, "PNG", transparency=tones, icc_profile=ADOBE, exif=exif(6))
    yield Photo(name="palette PNG with alpha in Adobe RGB, turned", content=content, orientation=6)
    key = photo.getpixel((0, 0))
    keyed = encoded(photo, "PNG", transparency=key, icc_profile=P3)
    yield Photo(name="RGB PNG with a transparent color", content=keyed)


def _deep(photo: Image.Image) -> Iterator[Photo]:
    gray = photo.convert("L")
    alpha = Image.linear_gradient("L").resize(photo.size)
    with_alpha = Image.merge("RGBA", (*photo.split(), alpha))
    for color, image in ((0, gray), (2, photo), (4, Image.merge("LA", (gray, alpha))), (6, with_alpha)):
        profile = LINEAR if color in (0, 4) else P3
        content = deep_png(image, 16, color, profile_chunk(profile))
        plain = encoded(image, "PNG", icc_profile=profile)
        yield Photo(name=f"{image.mode} PNG of 16 bits", content=content, plain=plain)
    tone = gray.getpixel((0, 0))
    assert isinstance(tone, int)
    content = deep_png(
        gray, 16, 0, chunk(b"tRNS", struct.pack(">H", tone * 257)), chunk(b"eXIf", exif(6)[6:])
    )
    hole = gray.point([0 if level == tone else 255 for level in range(256)])
    plain = encoded(Image.merge("LA", (gray, hole)), "PNG")
    yield Photo(
        name="gray PNG of 16 bits, a tone transparent, turned", content=content, plain=plain, orientation=6
    )


def _broken(photo: Image.Image) -> Iterator[Photo]:
    plain = encoded(photo, "JPEG", quality=90)
    content = encoded(photo, "JPEG", quality=90, xmp=XMP)
    yield Photo(name="JPEG with an orientation in XMP alone", content=content, plain=plain)
    nonsense = encoded(photo, "JPEG", quality=90, icc_profile=b"no profile" * 20, exif=exif(6))
    yield Photo(name="JPEG with nonsense for a profile, turned", content=nonsense, plain=plain, orientation=6)
    plain = encoded(photo, "PNG")
    cut = PROPHOTO[:200]
    content = encoded(photo, "PNG", icc_profile=cut, exif=exif(3))
    yield Photo(name="PNG with a profile cut short, turned", content=content, plain=plain, orientation=3)
    long_text = chunk(b"tEXt", b"workflow\0" + b"{}" * 700_000)
    zipped = chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b"history " * 200_000))
    turned = chunk(b"eXIf", exif(6)[6:])
    content = plain[:33] + long_text + zipped + turned + plain[33:]
    yield Photo(name="PNG with long texts, turned", content=content, plain=plain, orientation=6)
    large = PROPHOTO + bytes(1_600_000)
    content = encoded(within(photo, PROPHOTO), "PNG")
    content = content[:33] + profile_chunk(large) + turned + content[33:]
    plain = encoded(within(photo, PROPHOTO), "PNG", icc_profile=PROPHOTO)
    yield Photo(name="PNG with a profile of 1.6 MB, turned", content=content, plain=plain, orientation=6)
    plain = encoded(photo, "JPEG", quality=90)
    cut_short = exif(6)[:-4].replace(b"\0\1\x01\x12", b"\0\2\x01\x12", 1) + b"\xff" * 7
    content = plain[:2] + b"\xff\xe1" + struct.pack(">H", len(cut_short) + 2) + cut_short + plain[2:]
    yield Photo(
        name="JPEG with EXIF that breaks off behind the tag", content=content, plain=plain, orientation=6
    )
