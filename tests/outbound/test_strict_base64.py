"""Base64 of vendors (F53): what is read, and what is refused, is what the standard library says."""

import binascii
from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from imageedit_server.outbound.strict_base64 import read_base64

ODD = "AQR/+= \n-_\0é"
"""Letters whose last bits are zero or not, padding, white space, the other alphabet, and what is in none."""


def outcome(text: str) -> bytes | None:
    try:
        return read_base64(text)
    except ValueError:
        return None


def outcome_of_the_standard_library(text: str) -> bytes | None:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        return None


def test_every_short_text_is_read_as_the_standard_library_reads_it() -> None:
    for text in map("".join, (letters for length in range(5) for letters in product(ODD, repeat=length))):
        assert outcome(text) == outcome_of_the_standard_library(text), repr(text)


@given(st.binary(max_size=300), st.integers(0, 400), st.text(alphabet=ODD, max_size=3), st.integers(0, 3))
@example(b"\x89PNG", 8, "====", 0)
def test_a_wound_anywhere_is_seen(content: bytes, place: int, wound: str, missing: int) -> None:
    text = binascii.b2a_base64(content, newline=False).decode()
    assert read_base64(text) == content
    wounded = text[:place] + wound + text[place + missing :]
    assert outcome(wounded) == outcome_of_the_standard_library(wounded)


@pytest.mark.parametrize("wound", ["\n", "=", "-", "\0", "é", "\ud800"])
@pytest.mark.parametrize("place", [0, 1, 4095, 65_536, -1])
def test_one_in_a_long_text_is_seen(place: int, wound: str) -> None:
    text = binascii.b2a_base64(bytes(range(256)) * 300, newline=False).decode()
    wounded = text[:place] + wound + text[place:]
    assert outcome(wounded) == outcome_of_the_standard_library(wounded)
