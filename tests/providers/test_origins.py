"""Addresses of results as vendors write them, and what is made of those without a host."""

import pytest

from imageedit_server.core.failure import Failure
from imageedit_server.outbound.addresses import parse_allow, refuse_url
from imageedit_server.providers.base import Finished, InProgress, Output
from imageedit_server.providers.origins import address_in, at_origin

BASE = "https://relay.example.com/openai"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("/images/2026/x.png", "https://relay.example.com/images/2026/x.png"),
        ("/结果 1.png?Signature=s", "https://relay.example.com/结果 1.png?Signature=s"),
        ("//cdn.example.com/x.png", "https://cdn.example.com/x.png"),
        ("https://cdn.example.com/x.png", "https://cdn.example.com/x.png"),
        ("HTTP://cdn.example.com/x.png", "HTTP://cdn.example.com/x.png"),
        ("/../../x.png", "https://relay.example.com/x.png"),
        ("//[::1", "//[::1"),
    ],
)
def test_an_address_without_a_host_is_meant_against_the_vendor_s(written: str, meant: str) -> None:
    assert address_in(written) == written
    answer = Finished(outputs=(Output(url=written), Output(content=b"x")), warnings=("w",))
    outputs = (Output(url=meant), Output(content=b"x"))
    assert at_origin(answer, BASE) == Finished(outputs=outputs, warnings=("w",))


@pytest.mark.parametrize(
    "value", ["", None, 7, ["/x"], "x.png", "ftp://x/y", "data:image/png;base64,", "https://x/\n", "/" * 9000]
)
def test_what_can_be_no_address_is_none(value: object) -> None:
    assert address_in(value) == ""


@pytest.mark.parametrize("answer", [InProgress(), Failure.__new__(Failure)], ids=["running", "failed"])
def test_other_answers_stay_as_they_are(answer: object) -> None:
    assert at_origin(answer, BASE) is answer


@pytest.mark.parametrize(
    ("base_url", "written"),
    [
        ("http://127.0.0.1:8000", "/x.png"),
        ("http://localhost:8000", "/x.png"),
        (BASE, "//127.0.0.1/x.png"),
        (BASE, "//169.254.169.254/latest/meta-data"),
        (BASE, "//metadata.internal/x"),
        (BASE, "//user:password@cdn.example.com/x"),
        (BASE, "/\\127.0.0.1/x.png"),
    ],
)
def test_an_address_of_ours_is_refused_whoever_wrote_it(base_url: str, written: str) -> None:
    """An API on this machine may be called; what it gives out meets the rule all the same (P17)."""
    [output] = at_origin(Finished(outputs=(Output(url=written),)), base_url).outputs
    reason = refuse_url(output.url)
    assert reason is not None or output.url.startswith("https://relay.example.com/")
    assert refuse_url("http://127.0.0.1:8000/x.png", parse_allow(["127.0.0.1:8000"])) is None
