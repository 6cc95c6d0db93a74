"""What is taken from a successful reply, and what is said of it (F47, F52, F53)."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageedit_server.core.options import OpenaiOptions
from imageedit_server.providers.base import Finished, Output
from imageedit_server.providers.openai import OpenaiAdapter
from imageedit_server.providers.openai.asks import Ask
from imageedit_server.providers.openai.decoding import MAX_BASE64_CHARS, decode_base64
from imageedit_server.providers.openai.results import NoPicture, read_result
from tests.providers.adapters import Reports, finished_by
from tests.providers.openai.conftest import MakeAdapter
from tests.providers.openai.jobs import Jobs, picture
from tests.vendors.openai.behaviours import Behaviour, coded, each, pictures, rewrites
from tests.vendors.openai.server import OpenaiVendor

CONTENT = picture()
TEXT = base64.b64encode(CONTENT).decode()
SIZE = "1024x640"


def read(*entries: Any, n: int = 1, words: dict[str, str] | None = None, **more: Any) -> Finished:
    return read_result(
        {"created": 1, "data": list(entries), **more}, Ask(n=n, words=words or {}), "request-1"
    )


@pytest.mark.parametrize(
    "entry",
    [
        {"b64_json": TEXT},
        {"b64_json": TEXT, "url": "", "revised_prompt": ""},
        {"b64_json": TEXT, "url": None},
        {"b64_json": TEXT, "url": "https://files.example/1.png"},
        {"b64_json": f"data:image/png;base64,{TEXT}"},
        {"b64_json": f" {TEXT[:20]}\r\n{TEXT[20:]}\n"},
        {"url": f"data:image/png;base64,{TEXT}"},
        {"b64_json": "", "url": f"data:image/png;base64,{TEXT}"},
    ],
    ids=[
        "plain",
        "empty texts",
        "null",
        "both",
        "data URL",
        "white space",
        "url is one",
        "empty and url is one",
    ],
)
def test_a_picture_in_place(entry: dict[str, Any]) -> None:
    assert read(entry).outputs == (Output(content=CONTENT),)


@pytest.mark.parametrize(
    "entry",
    [
        {"url": "https://files.example/1.png?sig=x"},
        {"url": "https://files.example/1.png?sig=x", "b64_json": ""},
        {"url": "https://files.example/1.png?sig=x", "b64_json": "not base64!"},
    ],
    ids=["plain", "empty text", "broken text"],
)
def test_a_picture_to_fetch(entry: dict[str, Any]) -> None:
    assert read(entry).outputs == (Output(url="https://files.example/1.png?sig=x"),)


UNREADABLE = {
    "a character too many": TEXT.rstrip("=") + "A" * (1 + -len(TEXT.rstrip("=")) % 4),
    "another alphabet": "." + TEXT[1:],
    "not ASCII": "图片" * 8,
    "text after the end": TEXT + "!",
    "too long": "A" * (MAX_BASE64_CHARS + 1),
    "another data URL": f"data:image/png,{TEXT}",
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_what_is_not_base64_is_no_picture(case: str) -> None:
    """The vendor reported success and may bill it, so this is a bad result and not an open question."""
    finished = read({"b64_json": UNREADABLE[case]})
    assert finished.outputs == ()
    assert finished.warnings == ("1 picture that the provider sent cannot be read.",)


@pytest.mark.parametrize(
    "value",
    [
        {"data": []},
        {"data": [{}]},
        {"data": [{"b64_json": "", "url": ""}]},
        {"data": [None, 1, "x", []]},
        {"data": {"b64_json": ""}},
        {"data": "submitted"},
        {"output": "done"},
        {"message": "see /docs"},
        {},
        [],
        None,
        1,
        "x",
    ],
    ids=str,
)
def test_nothing_that_was_meant_as_a_picture(value: Any) -> None:
    with pytest.raises(NoPicture):
        read_result(value, Ask(n=1, words={}), "")


@pytest.mark.parametrize("wrong", [5, True, ["x"], {"a": "b"}], ids=str)
def test_texts_of_other_types_are_no_pictures(wrong: Any) -> None:
    assert read({"b64_json": wrong, "url": wrong}, {"b64_json": TEXT}, n=2).outputs == (
        Output(content=CONTENT),
    )


def test_the_revised_prompt_is_kept() -> None:
    [output] = read({"b64_json": TEXT, "revised_prompt": "An evening\0 in summer."}).outputs
    assert output.revised_prompt == "An evening in summer."
    [output] = read({"b64_json": TEXT, "revised_prompt": 5}).outputs
    assert output.revised_prompt == ""


def test_the_readable_pictures_are_kept_of_many() -> None:
    """Each was paid for."""
    finished = read({"b64_json": TEXT}, {"b64_json": "x"}, {"b64_json": TEXT}, n=3)
    assert len(finished.outputs) == 2
    assert finished.warnings == ("1 picture that the provider sent cannot be read.",)


def test_more_or_fewer_pictures_are_named() -> None:
    entry = {"b64_json": TEXT}
    assert read(entry, n=2).warnings == ("The provider sent 1 picture where 2 were asked for.",)
    assert read(entry, entry).warnings == ("The provider sent 2 pictures where 1 was asked for.",)
    assert len(read(*[entry] * 2).outputs) == 2
    assert len(read(*[entry] * 1000).outputs) == 10


def test_what_the_vendor_did_otherwise_is_named() -> None:
    asked = {"size": "1536x1024", "quality": "high", "background": "auto", "output_format": ""}
    made: dict[str, Any] = {
        "size": "1024x1024",
        "quality": "high",
        "background": "opaque",
        "output_format": "png",
    }
    assert read({"b64_json": TEXT}, words=asked, **made).warnings == (
        "The provider made size '1024x1024' where '1536x1024' was asked for.",
    )


@pytest.mark.parametrize("word", ["", None, 5, "x" * 100, "<script>", ["1024x1024"]], ids=str)
def test_a_word_that_is_none_is_not_repeated(word: Any) -> None:
    assert read({"b64_json": TEXT}, words={"size": "1536x1024"}, size=word).warnings == ()


@given(st.binary(max_size=200))
def test_base64_comes_back(data: bytes) -> None:
    assert decode_base64(base64.b64encode(data).decode()) == data


@given(st.text(max_size=100))
def test_no_text_is_too_odd(text: str) -> None:
    assert isinstance(decode_base64(text), bytes)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["data", "b64_json", "url", "revised_prompt", "size"]), inner, max_size=4
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_no_reply_is_too_odd(value: Any) -> None:
    try:
        finished = read_result(value, Ask(n=1, words={"size": "1024x1024"}), "")
    except NoPicture:
        return
    assert all(output.content or output.url for output in finished.outputs)


# Over the wire


BAD_RESULTS = [
    coded("a number", lambda text: 5),
    coded("not base64", lambda text: "<html>"),
]


@pytest.mark.parametrize("behaviour", BAD_RESULTS, ids=lambda behaviour: behaviour.name)
async def test_an_unreadable_result_is_a_bad_result(
    adapter: OpenaiAdapter, vendor: OpenaiVendor, jobs: Jobs, behaviour: Behaviour
) -> None:
    vendor.misbehave(behaviour)
    finished = await finished_by(adapter, await adapter.prepare(jobs.make(adapter, size=SIZE)), Reports())
    assert isinstance(finished, Finished)
    assert finished.outputs == ()
    assert len(vendor.ledger) == 1


@pytest.mark.parametrize(
    "behaviour",
    [
        pictures("truncated", lambda content: content[: len(content) // 2]),
        pictures("HTML", lambda content: b"<html>"),
        pictures("with a tail", lambda content: content + b"tail"),
    ],
    ids=lambda behaviour: behaviour.name,
)
async def test_bytes_are_handed_on_as_they_are(
    adapter: OpenaiAdapter, vendor: OpenaiVendor, jobs: Jobs, behaviour: Behaviour
) -> None:
    """Whether they are a picture is decided where all results are decoded (P19)."""
    vendor.misbehave(behaviour)
    finished = await finished_by(adapter, await adapter.prepare(jobs.make(adapter, size=SIZE)), Reports())
    assert isinstance(finished, Finished)
    assert len(finished.outputs) == 1


async def test_what_was_asked_for_is_compared(
    make_adapter: MakeAdapter, vendor: OpenaiVendor, jobs: Jobs
) -> None:
    adapter = make_adapter(vendor)
    vendor.misbehave(rewrites("smaller", lambda body: body | {"size": "1024x1024", "quality": "low"}))
    job = jobs.make(adapter, size="1024x640", options=OpenaiOptions(quality="high"))
    finished = await finished_by(adapter, await adapter.prepare(job), Reports())
    assert finished.warnings == (
        "The provider made size '1024x1024' where '1024x640' was asked for.",
        "The provider made quality 'low' where 'high' was asked for.",
    )


async def test_a_revised_prompt_arrives(adapter: OpenaiAdapter, vendor: OpenaiVendor, jobs: Jobs) -> None:
    vendor.misbehave(each("revised", revised_prompt="夏天的傍晚"))
    finished = await finished_by(adapter, await adapter.prepare(jobs.make(adapter, size=SIZE)), Reports())
    assert finished.outputs[0].revised_prompt == "夏天的傍晚"


@pytest.mark.parametrize(
    ("usage", "told"),
    [
        ({"total_tokens": 2810, "input_tokens": 1054}, {"total_tokens": "2810"}),
        ({"cost_in_usd_ticks": 220000000}, {"cost_usd": "0.022"}),
        ({"total_tokens": 0, "cost": 0.04}, {"total_tokens": "0", "cost_usd": "0.04"}),
        ({"total_tokens": 100}, {"total_tokens": "100"}),
        ({"total_tokens": "100", "cost": True}, {}),
        ({"total_tokens": -1, "cost": 10**30}, {}),
        (None, {}),
        ([1], {}),
    ],
)
def test_what_was_used_is_told_as_decimals(usage: object, told: dict[str, str]) -> None:
    assert read({"b64_json": TEXT}, usage=usage).usage == told
