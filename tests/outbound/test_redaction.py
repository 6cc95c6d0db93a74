"""Foreign text is fit to be shown and stored (P26, F90)."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageedit_server.outbound.redaction import MAX_CHARS, redact

KEY = "canary-0123456789abcdef"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("The size 1024x1024 is not supported.", "The size 1024x1024 is not supported."),
        ("提示词太长（5001 > 5000）", "提示词太长（5001 > 5000）"),
        ("basic quality only", "basic quality only"),
        ("token limit exceeded", "token limit exceeded"),
        ("a\r\nb\tc\0d\x1b[31me\u202ef\ud83dg", "a b c d [31me f g"),
        (f"Incorrect key {KEY}!", "Incorrect key [redacted]!"),
        (f"x?k={KEY.replace('-', '%2D')}", "x?k=canary%2D0123456789abcdef"),
        ("Incorrect API key provided: sk-abc***xyz123.", "Incorrect API key provided: [redacted]"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: [redacted]"),
        ("got 'Bearer abcdefgh'", "got '[redacted]'"),
        ("Basic dXNlcjpwYXNzd29yZA==", "[redacted]"),
        ('{"api_key": "abc", "n": 1}', '{"api_key": "[redacted]", "n": 1}'),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "[redacted]"),
        ("key 0123456789abcdef0123456789abcdef refused", "key [redacted] refused"),
        ("see https://u:p@h.example/a/b.png?X-Sig=1&e=2#f now", "see https://h.example/a/b.png now"),
        ('"https:\\/\\/h.example\\/a.png?sig=1"', '"https://h.example/a.png"'),
        ("//h.example/a?x", "//h.example/a"),
        ("1http://u@h.example/?x", "1http://h.example/"),
        ("h.example/a?X-Amz-Signature=1a2b&x=1", "h.example/a?X-Amz-Signature=[redacted]&x=1"),
    ],
    ids=ascii,
)
def test_what_is_shown(text: str, shown: str) -> None:
    assert redact(text, [KEY, ""]) == shown


def test_a_long_text_is_cut() -> None:
    text = redact("word " * 1000)
    assert len(text) == MAX_CHARS
    assert text.endswith("…")


@given(st.text(max_size=300), st.text(max_size=300))
def test_no_secret_comes_through(before: str, after: str) -> None:
    shown = redact(f"{before}{KEY}{after}", [KEY])
    assert KEY not in shown
    assert "0123456789abcdef" not in shown


@given(st.integers(0, 5000))
def test_nor_at_any_cut(length: int) -> None:
    shown = redact(f"{'x ' * (length // 2)}{KEY} {KEY}", [KEY])
    assert "canary-0" not in shown


@given(st.text(), st.lists(st.text(), max_size=3))
def test_every_text_becomes_one_short_printable_line(text: str, secrets: list[str]) -> None:
    shown = redact(text, secrets)
    assert shown.isprintable()
    assert len(shown) <= MAX_CHARS
    shown.encode()


@given(
    st.from_regex(
        r"https://[a-z]{1,8}:[a-z0-9]{8}@[a-z]{1,8}\.example/[a-z]{0,5}\?[A-Za-z0-9=&%]{1,40}canary"
    )
)
def test_no_url_keeps_its_query_or_user(text: str) -> None:
    assert "canary" not in redact(text)


@pytest.mark.parametrize(
    "unit",
    ["a", "-a", "a:", "//@", "token ", "token-", "sk", "sk-", "bearer ", "+/", "eyJ", "1a", "https://", '"'],
)
def test_no_text_makes_it_slow(unit: str) -> None:
    text = unit * 100_000
    started = time.thread_time()
    redact(text)
    redact(f"{text[:4000]} {text}")
    assert time.thread_time() - started < 5  # some ms; hours if it were not linear
