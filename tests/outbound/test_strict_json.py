"""JSON of vendors (F45): whatever comes, a value without surprises or BadBody."""

import json
from typing import Any
from unittest.mock import patch

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageedit_server.outbound.client import BadBody, read_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


NUMBERS = (
    *(
        "0",
        "-0",
        "-0.0",
        "1E5",
        "1.0",
        "0.04",
        "1e-400",
        "5e-324",
        "2.4703282292062327e-324",
        "1e400",
        "-1e400",
    ),
    *(
        "1.7976931348623157e308",
        "1.7976931348623159e308",
        "NaN",
        "-Infinity",
        "01",
        "1.",
        ".5",
        "+1",
        "-",
        "1e",
    ),
    *("9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809"),
    *("18446744073709551615", "18446744073709551616", "123456789012345678901234567890", "9" * 64, "9" * 65),
    *("0." + "3" * 62, "0." + "3" * 63, "1" * 310, "1e" + "0" * 62 + "1", "1e" + "0" * 63 + "1"),
)
TEXTS = (
    *(
        '""',
        '"a\\/b\\u00e9\\ud83d\\ude00"',
        '"\\ud800"',
        '"\\udc00\\ud83d"',
        '"\\u0000"',
        '"\x00"',
        '"\n"',
        '"\x7f"',
    ),
    *('"\\x"', '"\\u12"', "'a'", '"\u2028"', '"\ufeff"', '"', '"\ud800"', '"\U0001f600"'),
)
ODD = (
    *("[1,]", "[,]", "[1 2]", '{"a":1,}', '{"a"}', "{1:2}", '{"a":1,"b":2,"a":3}', "[1]//c", "/**/1", "[1]x"),
    *(
        "",
        " ",
        "\x0b1",
        "1\x0c",
        "\xa01",
        " \t\r\n1\n",
        "\ufeff1",
        "\ufeff\ufeff1",
        "1\ufeff",
        "1\x00",
        "\x001",
    ),
    *("tru", "True", "null", "nul", "[" * 64 + "]" * 64, "[" * 65 + "]" * 65, "[" * 1025 + "]" * 1025),
    *(
        "[" * 65 + "9" * 65 + "]" * 65,
        "[" * 100_000,
        '{"a":' * 64 + "1" + "}" * 64,
        '{"a":' * 63 + "1" + "}" * 63,
    ),
)
SCRAPS = st.recursive(
    st.sampled_from(NUMBERS + TEXTS)
    | st.integers().map(str)
    | st.floats().map(str)
    | st.text().map(json.dumps),
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda each: f"[{', '.join(each)}]")
        | st.lists(st.tuples(st.sampled_from(TEXTS), inner), max_size=4).map(
            lambda each: "{" + ",".join(f"{name}:\t{value}" for name, value in each) + "}"
        )
    ),
    max_leaves=12,
)
"""JSON of the kind that is nearly right."""


def outcome(body: bytes | str) -> str:
    """What is read, with the kinds of its numbers and the order of its keys, or what is said of it."""
    try:
        return repr(read_json(body))
    except BadBody as error:
        return f"refused: {error}"


def outcome_without_orjson(body: bytes | str) -> str:
    with patch.object(orjson, "loads", side_effect=ValueError):
        return outcome(body)


def same_with_and_without_orjson(text: str) -> None:
    assert outcome(text) == outcome_without_orjson(text)
    raw = text.encode("utf-8", "surrogatepass")
    assert outcome(raw) == outcome_without_orjson(raw)


@pytest.mark.parametrize("text", NUMBERS + TEXTS + ODD, ids=lambda text: f"{len(text)} of {text[:24]!r}")
def test_orjson_decides_nothing_by_itself(text: str) -> None:
    for each in (text, f" [{text}, 0.5]", f'{{"a": {text}}}', text + "}"):
        same_with_and_without_orjson(each)


@given(SCRAPS, st.integers(0, 200), st.sampled_from(["", "\\", '"', "]", "e", "0" * 60, "\ud800", "\x01"]))
def test_orjson_reads_the_same_or_is_not_asked(text: str, place: int, wound: str) -> None:
    same_with_and_without_orjson(text)
    same_with_and_without_orjson(text[:place] + wound + text[place:])


@given(st.binary())
def test_bytes_of_any_kind_are_read_the_same_without_orjson(body: bytes) -> None:
    assert outcome(body) == outcome_without_orjson(body)
    quoted = b'{"a":"' + body + b'"}'
    assert outcome(quoted) == outcome_without_orjson(quoted)


@pytest.mark.parametrize("body", [b'{"a": [1, "\\u00e9", 0.04]}', b'\xef\xbb\xbf{"cost": 0.0}', '["x"]'])
def test_ordinary_answers_are_read_by_orjson_alone(body: bytes | str) -> None:
    with patch.object(json, "loads", side_effect=AssertionError):
        read_json(body)


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
