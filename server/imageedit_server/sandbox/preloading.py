"""Imports that jobs would make late: made before a worker is forked, since after that no file opens (P34).

An import that fails in a worker is never the picture's fault, so nothing may be missing here: a test reads
Pillow for the imports in its functions.
"""

import codecs
import importlib
import sys
from collections.abc import Iterable
from contextlib import suppress

LATE = (
    "colorsys",
    "copy",
    "linecache",
    "tracemalloc",
    "PIL.BmpImagePlugin",
    "PIL.GifImagePlugin",
    "PIL.ImageCms",
    "PIL.ImageColor",
    "PIL.ImageFile",
    "PIL.ImageFilter",
    "PIL.ImageOps",
    "PIL.ImagePalette",
    "PIL.JpegImagePlugin",
    "PIL.MpoImagePlugin",
    "PIL.PngImagePlugin",
    "PIL.PpmImagePlugin",
    "PIL.TiffImagePlugin",
    "PIL.WebPImagePlugin",
)
"""What Pillow and the interpreter import when they first need it; nothing of a package that no job uses."""

ENCODINGS = ("ascii", "latin_1", "utf_8", "utf_16", "utf_16_be", "utf_16_le", "utf_32", "cp1252", "idna")
"""Encodings of text are modules too, and one that is not there is an unknown encoding."""


def load(modules: Iterable[str]) -> None:
    """Import ``modules`` and what they import late. One that fails is told by the job that needs it."""
    for module in modules:
        with suppress(Exception):
            importlib.import_module(module)
    for module in LATE:
        package, _, _ = module.rpartition(".")
        if module not in sys.modules and (not package or package in sys.modules):
            with suppress(ImportError):  # a Pillow that was built without it does not import it late either
                importlib.import_module(module)
    for encoding in ENCODINGS:
        codecs.lookup(encoding)
    if pillow := sys.modules.get("PIL.Image"):
        pillow.preinit()
