"""JSON of vendors (F45): whatever comes, a value without surprises or BadBody."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageedit_server.outbound.client import BadBody, read_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"<html><body>200 OK</body></html>",
        b'{"code": 200',
        b'{"code": 200} trailing',
        b"{'code': 200}",
        b'{"code": NaN}',
        b'{"code": Infinity}',
        b'{"code": -Infinity}',
        b'{"code": 1e400}',
        b'{"code": -1e400}',
        b'{"code": ' + b"9" * 5000 + b"}",
        b"9" * 65,
        b'{"code": 0.' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100 + b"1" + b"}" * 100,
        b"[" * 65 + b"]" * 65,
        b'{"code": "\xff\xfe"}',
        b'{"code": "\xed\xa0\x80"}',
        '{"code": 200}'.encode("utf-16"),
        b'{"code": "line\nend"}',
        b"\x00",
    ],
    ids=lambda body: f"{len(body)} of {body[:16]!r}",
)
def test_odd_bodies_are_refused(body: bytes) -> None:
    with pytest.raises(BadBody):
        read_json(body)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"{}", {}),
        (b"[]", []),
        (b"null", None),
        (b'"200"', "200"),
        (b'\xef\xbb\xbf{"code": 200}', {"code": 200}),
        (b'{"code": 500, "code": 200}', {"code": 200}),
        (b'{"msg": "half \\ud83d"}', {"msg": "half �"}),
        (b'{"half \\uDE00": ["\\ud83d\\ude00", "\\udc00\\ud83d"]}', {"half �": ["😀", "��"]}),
        (b'{"msg": "\\u0000"}', {"msg": "\0"}),
        (b"9" * 64, int("9" * 64)),
        (b"[" * 64 + b"]" * 64, json.loads("[" * 64 + "]" * 64)),
    ],
    ids=lambda value: f"{len(repr(value))} of {repr(value)[:16]}",
)
def test_what_is_forgiven(body: bytes, value: Any) -> None:
    assert read_json(body) == value


def test_json_inside_a_string_is_read_by_the_same_rules() -> None:
    outer = read_json(b'{"resultJson": "{\\"resultUrls\\": [\\"https://a.example/1.png\\"]}"}')
    assert read_json(outer["resultJson"]) == {"resultUrls": ["https://a.example/1.png"]}
    with pytest.raises(BadBody):
        read_json("NaN")


@given(VALUES)
def test_proper_json_comes_back_equal(value: Any) -> None:
    text = json.dumps(value)
    if all(len(number) <= 64 for number in text.replace("-", "").split()):
        assert read_json(text.encode()) == value


@given(st.binary() | st.text().map(lambda text: json.dumps(text).encode()[:-1]))
def test_no_bytes_raise_anything_else(body: bytes) -> None:
    try:
        read_json(body)
    except BadBody as error:
        assert str(error).startswith("The reply")  # noqa: PT017


@given(st.text(alphabet=st.characters(categories=["Cs", "Ll"])))
def test_nothing_read_is_half_a_character(text: str) -> None:
    read_json(json.dumps(text).encode()).encode("utf-8")
