"""Results that are made good: what is around the pixels must not cost a picture that is paid for (P19)."""

import io
import zlib
from base64 import b64encode

import pytest
from PIL import Image as Pillow
from PIL import ImageCms

from imageedit_server.core.errors import Reason
from imageedit_server.images.inspection import InspectionFailed, inspect
from imageedit_server.images.mending import Mended, make_good
from imageedit_server.images.naming import HEAD_BYTES, named
from tests.images.pictures import MIB, PHOTO, chunk, encoded, png, zeros

MAX_PIXELS = 1_000_000
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def good(came: bytes) -> Mended:
    return make_good(came, max_pixels=MAX_PIXELS, paid=True)


def photo() -> Pillow.Image:
    with Pillow.open(io.BytesIO(PHOTO)) as image:
        return image.copy()


def pixels(content: bytes) -> bytes:
    with Pillow.open(io.BytesIO(content)) as image:
        return image.tobytes()


def profile(content: bytes) -> bytes | None:
    with Pillow.open(io.BytesIO(content)) as image:
        found: bytes | None = image.info.get("icc_profile")
        return found


def with_chunks(*chunks: bytes) -> bytes:
    """A PNG with a profile, and ``chunks`` behind its header."""
    whole = encoded(photo(), "PNG", icc_profile=PROFILE)
    return whole[:33] + b"".join(chunks) + whole[33:]


def phone(*further: Pillow.Image) -> bytes:
    """A JPEG with further pictures behind it and an index of them, as phones make."""
    return encoded(photo(), "MPO", save_all=True, append_images=list(further), icc_profile=PROFILE)


MEDALLION = photo().resize((60, 70))
LONG_TEXT = b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b"history " * 200_000)
JPEG, PROGRESSIVE = (encoded(photo(), "JPEG", progressive=progressive) for progressive in (False, True))
PNG, WEBP = encoded(photo(), "PNG"), encoded(photo(), "WEBP", lossless=True)

MENDED: dict[str, tuple[bytes, bytes]] = {
    "a PNG and a line": (PNG + b"\n\n", PNG),
    "a PNG and a page": (PNG + b"<html>" * 1000, PNG),
    "a PNG without its end": (PNG[:-12], PNG),
    "a JPEG and zeros": (JPEG + bytes(400), JPEG),
    "a JPEG and a JPEG": (JPEG + PROGRESSIVE, JPEG),
    "a JPEG without its end": (JPEG[:-2], JPEG),
    "a JPEG with half its end": (JPEG[:-1], JPEG),
    "a progressive JPEG without its end": (PROGRESSIVE[:-2], PROGRESSIVE),
    "a WebP and XMP behind it": (WEBP + b"XMP \x10\0\0\0<x:xmpmeta/>    ", WEBP),
    "a long text": (with_chunks(chunk(b"iTXt", LONG_TEXT)), PNG),
    "a broken EXIF in a PNG": (with_chunks(chunk(b"eXIf", b"garbage")), PNG),
    "an animated PNG": (encoded(photo(), "PNG", save_all=True, append_images=[photo().rotate(180)]), PNG),
    "a phone's JPEG": (phone(MEDALLION), JPEG),
    "three pictures in one": (phone(MEDALLION, MEDALLION), JPEG),
    "a broken EXIF in a JPEG": (JPEG[:2] + b"\xff\xe1\0\x09Exif\0\0?" + JPEG[2:], JPEG),
    "a broken EXIF in a WebP": (encoded(photo(), "WEBP", lossless=True, exif=b"Exif\0\0garbage"), WEBP),
}


@pytest.mark.parametrize("name", MENDED)
def test_what_is_around_the_pixels_is_made_good(name: str) -> None:
    """Without the loss of one, and into a file that is taken everywhere."""
    came, meant = MENDED[name]
    mended = good(came)
    assert pixels(mended.content) == pixels(meant)
    assert inspect(mended.content, max_pixels=MAX_PIXELS) == mended.inspection
    assert good(mended.content).content == b""
    assert not mended.content.endswith((b"\n", b"\0", b">"))


@pytest.mark.parametrize("name", ["a long text", "a broken EXIF in a PNG", "a phone's JPEG"])
def test_the_profile_is_kept(name: str) -> None:
    came, _ = MENDED[name]
    assert profile(good(came).content) == PROFILE


@pytest.mark.parametrize("length", [1_200_000, 16 * MIB])
def test_a_long_profile_is_kept(length: int) -> None:
    """Those of printers and scanners have some megabytes."""
    body = bytes(length - 4) + b"last"
    whole = encoded(photo(), "PNG")
    long = whole[:33] + chunk(b"iCCP", b"x\0\0" + zlib.compress(body)) + whole[33:]
    assert good(long).content == b""
    assert profile(long) == body


def test_a_profile_that_is_too_long_costs_only_itself() -> None:
    whole = encoded(photo(), "PNG")
    long = whole[:33] + chunk(b"iCCP", b"x\0\0" + zeros(16 * MIB + 1)) + whole[33:]
    assert good(long).content == whole


def test_orientation_is_lost_only_where_it_cannot_be_read() -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6
    turned = encoded(photo(), "PNG", exif=exif)
    long = turned[:33] + chunk(b"iTXt", LONG_TEXT) + turned[33:]
    mended = make_good(long, max_pixels=MAX_PIXELS, paid=True)
    assert not mended.inspection.upright
    assert mended.content == turned


@pytest.mark.parametrize("came", [PNG, JPEG, PROGRESSIVE, WEBP, with_chunks()], ids=range(5))
def test_a_sound_picture_stays_byte_for_byte(came: bytes) -> None:
    mended = good(came)
    assert mended.content == b""
    assert mended.inspection == inspect(came, max_pixels=MAX_PIXELS)


BROKEN: dict[str, bytes] = {
    **{f"{share}/8 of a JPEG": JPEG[: len(JPEG) * share // 8] for share in range(1, 8)},
    **{
        f"{share}/8 of a progressive JPEG": PROGRESSIVE[: len(PROGRESSIVE) * share // 8]
        for share in range(1, 8)
    },
    **{f"{share}/8 of a PNG": PNG[: len(PNG) * share // 8] for share in range(1, 8)},
    **{f"{share}/8 of a WebP": WEBP[: len(WEBP) * share // 8] for share in range(1, 8)},
    "a JPEG without its last pixels": JPEG[:-40],
    "a PNG without its last pixels": PNG[:-120],
}


@pytest.mark.parametrize("name", BROKEN)
def test_nothing_is_made_up_for_pixels_that_are_missing(name: str) -> None:
    with pytest.raises(InspectionFailed, match="is cut short"):
        make_good(BROKEN[name], max_pixels=MAX_PIXELS, paid=True)


def test_what_the_decoder_reads_over_stays() -> None:
    came = JPEG[:2] + b"\xff\xe1\0\x20http://ns.adobe.com/xap/1.0/\0?" + JPEG[2:]
    mended = good(came)
    assert mended.content == b""
    assert pixels(came) == pixels(JPEG)


# Strict in pixels, whatever is around them


@pytest.mark.parametrize("tail", [b"", b"\n"], ids=["whole", "and a line"])
def test_too_many_pixels_are_too_many(tail: bytes) -> None:
    with pytest.raises(InspectionFailed) as failed:
        make_good(PNG + tail, max_pixels=512 * 600 - 1, paid=True)
    assert failed.value.reason in (Reason.IMAGE_TOO_LARGE, Reason.IMAGE_UNDECODABLE)


def test_a_bomb_that_lacks_its_end_is_not_decoded() -> None:
    bomb = png(zeros(50_000 * 50), (50_000, 50_000))
    with pytest.raises(InspectionFailed):
        make_good(bomb[:-12], max_pixels=MAX_PIXELS, paid=True)


@pytest.mark.parametrize("data", [PNG, JPEG, WEBP], ids=["PNG", "JPEG", "WebP"])
def test_any_damage_is_mended_or_refused(data: bytes) -> None:
    """No error but the refusal comes of a byte that is another."""
    small = data[:200] + data[-200:]
    for position in range(0, len(small), 7):
        damaged = small[:position] + bytes([small[position] ^ 0xFF]) + small[position + 1 :]
        with pytest.raises(InspectionFailed):
            make_good(damaged, max_pixels=MAX_PIXELS, paid=True)


# What is not taken is named


def test_an_animation_of_another_format_is_named() -> None:
    moving = encoded(photo(), "WEBP", save_all=True, append_images=[photo().rotate(180)])
    with pytest.raises(InspectionFailed, match="is an animated WebP picture, which is not taken"):
        make_good(moving, max_pixels=MAX_PIXELS, paid=True)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"", "empty"),
        (b" \r\n", "white space"),
        (encoded(MEDALLION, "GIF"), "a GIF picture"),
        (
            encoded(MEDALLION, "GIF", save_all=True, append_images=[MEDALLION.rotate(180)], loop=0),
            "an animated GIF picture",
        ),
        (encoded(MEDALLION, "BMP"), "a BMP picture"),
        (encoded(MEDALLION, "TIFF"), "a TIFF picture"),
        (encoded(MEDALLION, "ICO"), "an icon"),
        (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf", "an AVIF picture"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", "an AVIF picture"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "an HEIC picture"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1miaf", "an HEIF picture"),
        (b"\0\0\0\x18ftypmsf1\0\0\0\0msf1hevc", "an HEIF animation"),
        (b"\0\0\0\x18ftypheix\0\0\0\0mif1heix", "an HEIC picture"),
        (b"\0\0\0\x18ftypMiHE\0\0\0\0mif1heic", "an HEIC picture"),
        (b"II*\0\x10\0\0\0CR\2\0", "a raw photograph"),
        (b"RIFF\4\0\0\0AVI LIST", "a video"),
        (JPEG[:40].decode("utf-8", "replace").encode(), "a picture that was read as text"),
        (PNG[:40].decode("utf-8", "replace").encode(), "a picture that was read as text"),
        (PNG.replace(b"\r\n", b"\n"), "a PNG picture that was sent as text"),
        (b64encode(JPEG), "a picture in Base64"),
        (b64encode(WEBP), "a picture in Base64"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp42", "a video"),
        (b"\x1aE\xdf\xa3\x01\0\0\0", "a video"),
        (b"\xff\x0a\xfa\x7f", "a JPEG XL picture"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 picture"),
        (b"8BPS\0\1", "a Photoshop file"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"PK\x03\x04\x14", "a compressed file"),
        (b"<!DOCTYPE html>\n<title>Just a moment...</title>", "a web page"),
        (b"\xef\xbb\xbf\n<html lang=en>", "a web page"),
        (b'<svg xmlns="http://www.w3.org/2000/svg">', "an SVG drawing"),
        (b"<?xml version='1.0'?>\n<!-- made -->\n<svg viewBox='0 0 1 1'/>", "an SVG drawing"),
        (b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>", "an XML document"),
        (b'{"error": "not ready"}', "JSON text"),
        ("还没有".encode(), "text"),
        (b"data:image/png;base64,iVBORw0KGgo=", "a data URL"),
        (b"\x00\x01\x02\x03", "no picture"),
        (b"\xfe\xfd\xfc", "no picture"),
    ],
    ids=ascii,
)
def test_a_file_is_named_for_what_it_is(content: bytes, name: str) -> None:
    assert named(content[:HEAD_BYTES]) == name
    with pytest.raises(InspectionFailed) as failed:
        make_good(content, max_pixels=MAX_PIXELS, paid=True)
    assert failed.value.description == f"is {name}, not a PNG, JPEG or WebP picture"
