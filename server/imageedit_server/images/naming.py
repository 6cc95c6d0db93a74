"""What a file is, in words, when it is no picture that is taken, and what its owner can do."""

import re

HEAD_BYTES = 1024
"""How much of a file is looked at."""

_ISO_BRANDS = {
    b"avif": "an AVIF picture",
    b"avis": "an AVIF animation",
    b"heic": "an HEIC picture",
    b"heix": "an HEIC picture",
    b"heim": "an HEIC picture",
    b"heis": "an HEIC picture",
    b"hevc": "an HEIC animation",
    b"hevx": "an HEIC animation",
    b"heif": "an HEIF picture",
    b"mif1": "an HEIF picture",
    b"msf1": "an HEIF animation",
    b"crx ": "a raw photograph",
}
_SIGNATURES = (
    (rb"GIF8[79]a.*NETSCAPE2\.0", "an animated GIF picture"),
    (rb"GIF8[79]a", "a GIF picture"),
    (rb"BM.{12}", "a BMP picture"),
    (rb"II\*\x00.{4}CR|IIRO|IIRS|IIU\x00|FUJIFILMCCD-RAW", "a raw photograph"),
    (rb"II\*\x00|MM\x00\*", "a TIFF picture"),
    (rb"\xff\x0a|\x00\x00\x00\x0cJXL ", "a JPEG XL picture"),
    (rb"\x00\x00\x00\x0cjP  |\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (rb"\x00\x00\x01\x00", "an icon"),
    (rb"8BPS", "a Photoshop file"),
    (rb"%PDF-", "a PDF document"),
    (rb"\x1f\x8b|\x28\xb5\x2f\xfd|PK\x03\x04", "a compressed file"),
    (rb"\x1aE\xdf\xa3|....ftyp|RIFF....AVI ", "a video"),
    (
        rb"(\xef\xbf\xbd){3,4}..JFIF|(\xef\xbf\xbd){3,4}..Exif|\xef\xbf\xbdPNG",
        "a picture that was read as text",
    ),
    (rb"\x89PNG(\n|\r\r)", "a PNG picture that was sent as text"),
)
_TEXTS = (
    (r"<\?xml[^>]*>\s*(<!--.*?-->\s*|<!doctype svg[^>]*>\s*)*<svg[\s>/]|<svg[\s>/]", "an SVG drawing"),
    (r"<!doctype html|<html[\s>]|<head[\s>]|<body[\s>]", "a web page"),
    (r"<\?xml|<[a-z]", "an XML document"),
    (r"[{\[]", "JSON text"),
    (r"data:image/", "a data URL"),
    (r"/9j/[A-Za-z0-9+/]|iVBORw0KG|UklGR", "a picture in Base64"),
)

_SAVED_AS = "save it as PNG or JPEG"
_ON_A_PHONE = (
    "convert it to JPEG, or let the phone make JPEGs "
    "(on an iPhone: Settings, Camera, Formats, Most Compatible)"
)
_ADVICE = {
    "an HEIC picture": _ON_A_PHONE,
    "an HEIF picture": _ON_A_PHONE,
    "an HEIC animation": "send one frame of it as PNG or JPEG",
    "an HEIF animation": "send one frame of it as PNG or JPEG",
    "an AVIF picture": "convert it to PNG or JPEG",
    "an AVIF animation": "send one frame of it as PNG or JPEG",
    "a raw photograph": "develop it to JPEG",
    "a GIF picture": "save it as PNG",
    "an animated GIF picture": "send one frame of it as PNG or JPEG",
    "an SVG drawing": "export it as PNG",
    "a PDF document": "export the page as PNG or JPEG",
    "a Photoshop file": "export it as PNG or JPEG",
    "a video": "send one frame of it as PNG or JPEG",
    "a compressed file": "unpack it",
    "a web page": "send the picture itself, not the page that shows it",
    "an XML document": "",
    "JSON text": "",
    "text": "",
    "white space": "",
    "a data URL": "send the bytes that it holds",
    "a picture in Base64": "send the bytes that it holds",
    "a picture that was read as text": "send the file's bytes as they are",
    "a PNG picture that was sent as text": "send the file's bytes as they are",
}


def advised(head: bytes) -> str:
    """Say what a file is and what to do, as the rest of a sentence: "is an AVIF picture, not a PNG, …"."""
    name = named(head)
    if name in ("empty", "no picture"):
        return "is empty" if name == "empty" else "is not a PNG, JPEG or WebP picture"
    advice = _ADVICE.get(name, _SAVED_AS)
    return f"is {name}, not a PNG, JPEG or WebP picture{f': {advice}' if advice else ''}"


def named(head: bytes) -> str:
    """Name a file by its first ``HEAD_BYTES``, with its article: "an AVIF picture", "a web page"."""
    return _named_as_iso(head) or _named_as_binary(head) or _named_as_text(head) or "no picture"


def _named_as_iso(head: bytes) -> str:
    """Tell AVIF, HEIF and videos by the brands of the container they share; the first is the main one."""
    if head[4:8] != b"ftyp":
        return ""
    end = min(int.from_bytes(head[:4]), len(head))
    brands = (head[8:12], *(head[at : at + 4] for at in range(16, end, 4)))
    telling = [brand for brand in (b"avif", b"heic", *brands) if brand in brands and brand in _ISO_BRANDS]
    return _ISO_BRANDS[telling[0]] if telling else ""


def _named_as_binary(head: bytes) -> str:
    found = (words for signature, words in _SIGNATURES if re.match(signature, head, re.DOTALL))
    return next(found, "")


def _named_as_text(head: bytes) -> str:
    if not head.strip():
        return "white space" if head else "empty"
    try:
        text = head.decode("utf-8", "strict" if len(head) < HEAD_BYTES else "ignore").lstrip("\ufeff \t\r\n")
    except UnicodeDecodeError:
        return ""
    if "\0" in text:
        return ""
    found = (words for start, words in _TEXTS if re.match(start, text, re.IGNORECASE | re.DOTALL))
    return next(found, "text")
