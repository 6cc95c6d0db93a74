"""Forms: every byte on the wire, against httpx's own and a strict parser's reading."""

import email.policy
from email.parser import BytesParser

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageedit_server.outbound.client import Part
from imageedit_server.outbound.multipart import LARGE_BYTES, Form


async def written(form: Form) -> bytes:
    return b"".join([piece async for piece in form])


async def test_a_form_is_these_bytes() -> None:
    form = Form([Part("prompt", "一只猫".encode()), Part("image[]", b"\x89PNG\r\n", "照片.png", "image/png")])
    boundary = form.headers["Content-Type"].removeprefix("multipart/form-data; boundary=")
    expected = (
        f"--{boundary}\r\n"
        'Content-Disposition: form-data; name="prompt"\r\n'
        "\r\n"
        "一只猫\r\n"
        f"--{boundary}\r\n"
        'Content-Disposition: form-data; name="image[]"; filename="照片.png"\r\n'
        "Content-Type: image/png\r\n"
        "\r\n"
    ).encode() + f"\x89PNG\r\n\r\n--{boundary}--\r\n".encode("latin-1")
    assert await written(form) == expected
    assert form.headers["Content-Length"] == str(len(expected))


async def test_it_is_what_httpx_writes() -> None:
    parts = [Part("model", b"dall-e-2"), Part("n", b"2"), Part("image", b"\x00\xff", "a.png", "image/png")]
    form = Form(parts)
    boundary = form.headers["Content-Type"].rpartition("=")[2]
    theirs = httpx.Request(
        "POST",
        "https://good.example",
        data={"model": "dall-e-2", "n": "2"},
        files={"image": ("a.png", b"\x00\xff", "image/png")},
        headers={"Content-Type": f"multipart/form-data; boundary={boundary}"},
    )
    assert await written(form) == theirs.read()


async def test_it_can_be_sent_twice() -> None:
    form = Form([Part("a", b"1")])
    assert await written(form) == await written(form)


async def test_no_name_can_write_a_header() -> None:
    body = await written(Form([Part('a"\r\nX: 1', b"", 'b"\r\n\r\n.png', "image/png")]))
    assert b'name="a%22%0D%0AX: 1"; filename="b%22%0D%0A%0D%0A.png"\r\n' in body


async def test_what_is_small_is_sent_together_and_what_is_large_is_not_copied() -> None:
    large = bytes(LARGE_BYTES)
    small = [Part(f"field{number}", b"value") for number in range(5)]
    pieces = [piece async for piece in Form([*small, Part("image", large, "a.png", "image/png"), *small])]
    assert [piece is large for piece in pieces] == [False, True, False]


def test_every_form_has_a_boundary_of_its_own() -> None:
    assert Form([]).headers["Content-Type"] != Form([]).headers["Content-Type"]


NAMES = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1)


@pytest.mark.filterwarnings("ignore")
@given(st.lists(st.tuples(NAMES, st.binary(), NAMES), min_size=1, max_size=4))
async def test_a_parser_reads_back_what_was_given(parts: list[tuple[str, bytes, str]]) -> None:
    form = Form([Part(name, content, f"{file}.png", "image/png") for name, content, file in parts])
    raw = f"Content-Type: {form.headers['Content-Type']}\r\n\r\n".encode() + await written(form)
    message = BytesParser(policy=email.policy.HTTP).parsebytes(raw)
    read = [
        (part.get_param("name", header="content-disposition"), part.get_filename())
        for part in message.walk()
        if not part.is_multipart()
    ]
    assert read == [(name, f"{file}.png") for name, _, file in parts]
    assert all(content in raw for _, content, _ in parts)
