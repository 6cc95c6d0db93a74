"""Readers of pictures with a bug each, as jobs of worker processes: the fuzzing must find every one."""

import os
from pathlib import Path
from unittest import mock

from imageedit_server.images import mending
from imageedit_server.images.inspection import bytes_of
from imageedit_server.images.mending import Mended, make_good
from imageedit_server.images.structure import Data


def at_any_cost(picture: Path | Data, *, max_pixels: int, paid: bool = False) -> Mended:
    """Look at what is too much work."""
    with mock.patch.object(mending, "too_much", return_value=""):
        return make_good(picture, max_pixels=max_pixels, paid=paid)


def with_all_that_follows(picture: Path | Data, *, max_pixels: int, paid: bool = False) -> Mended:
    """Keep the file as it came, once it is a picture."""
    return Mended(inspection=make_good(picture, max_pixels=max_pixels, paid=paid).inspection)


def by_what_the_header_says(picture: Path | Data, *, max_pixels: int, paid: bool = False) -> Mended:
    """Fail where a header is not there."""
    with bytes_of(picture) as data:
        assert data[12:16] == b"IHDR" or data[:4] != b"\x89PNG"
    return make_good(picture, max_pixels=max_pixels, paid=paid)


def until_it_dies(picture: Path | Data, *, max_pixels: int, paid: bool = False) -> Mended:
    """Die of restart intervals."""
    with bytes_of(picture) as data:
        if data[:2] == b"\xff\xd8" and b"\xff\xdd" in data[:]:
            os.abort()
    return make_good(picture, max_pixels=max_pixels, paid=paid)
