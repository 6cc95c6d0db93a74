"""No secret of a call reaches the disk, and what is no secret stays as it came."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from imageedit_server.answers.masking import Mask

KEY = "sk-abcabcabcabd0123456789"
TOKEN = "tok en/of+the=callback!x"
QUOTED = b"tok%20en%2Fof%2Bthe%3Dcallback%21x"
STARS = b"*" * len(KEY)

PARTS = st.sampled_from(
    [
        KEY.encode(),
        TOKEN.encode(),
        QUOTED,
        KEY[:9].encode(),
        KEY[:12].encode(),
        b"sk-abcabc",
        b"a",
        b'{"b":"',
        b"\0",
    ]
)


def masked(mask: Mask, pieces: list[bytes]) -> bytes:
    return b"".join([*map(mask.piece, pieces), mask.rest()])


def covered(text: bytes) -> bytes:
    for secret in (KEY.encode(), TOKEN.encode(), QUOTED):
        text = text.replace(secret, b"*" * len(secret))
    return text


@settings(max_examples=300, deadline=None)
@given(parts=st.lists(PARTS, max_size=12), cuts=st.lists(st.integers(0, 300), max_size=20))
def test_secrets_are_covered_wherever_the_pieces_end(parts: list[bytes], cuts: list[int]) -> None:
    text = b"".join(parts)
    ends = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    pieces = [text[start:end] for start, end in pairwise(ends)]
    assert masked(Mask([KEY, TOKEN]), pieces) == covered(text)


def test_byte_by_byte() -> None:
    text = b"x" + KEY.encode() + KEY[:20].encode() + KEY.encode()
    assert masked(Mask([KEY]), [bytes([byte]) for byte in text]) == b"x" + STARS + KEY[:20].encode() + STARS


def test_what_cannot_become_a_secret_does_not_wait() -> None:
    assert Mask([KEY]).piece(b"a picture") == b"a picture"


def test_a_short_secret_may_be_a_part_of_a_picture() -> None:
    assert masked(Mask(["EMPTY", "test" * 4]), [b"EMPTY", b"test" * 9]) == b"EMPTY" + b"test" * 9


def test_heads_are_masked_and_lose_their_credentials() -> None:
    headers = {
        "set-cookie": "session=1",
        "authorization": f"Bearer {KEY}",
        "www-authenticate": "Bearer",
        "x-said": f"your key {KEY} is wrong",
        "content-type": "text/html; charset=é",
    }
    assert Mask([KEY]).headers(headers) == {
        "x-said": f"your key {STARS.decode()} is wrong",
        "content-type": "text/html; charset=é",
    }
