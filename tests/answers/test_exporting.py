"""What leaves the house of an exchange is its shape: no picture, no text, no address (P26)."""

import base64
import json
from typing import Any

import pytest

from imageedit_server.answers.exporting import body_of, exchange_of
from imageedit_server.outbound.answers import Answer, Ended
from tests.answers.conftest import ANSWERED, CALLED, asked

SECRET = "a prompt of somebody"
PIXELS = base64.b64encode(bytes(range(256))).decode()


def answer(body: bytes, **headers: str) -> Answer:
    return Answer(
        status=200,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        body=body,
        ended=Ended.WHOLE,
        brief={"n": 1, "words": {"prompt": SECRET}},
        call_time=CALLED,
        answer_time=ANSWERED,
    )


@pytest.mark.parametrize(
    ("body", "shape"),
    [
        (
            {"data": [{"b64_json": PIXELS, "revised_prompt": SECRET}], "usage": {"total_tokens": 12}},
            {
                "data": [
                    {"b64_json": "<Base64 of 344 characters>", "revised_prompt": "<text of 20 characters>"}
                ],
                "usage": {"total_tokens": 12},
            },
        ),
        (
            {"error": {"code": "moderation_blocked", "message": SECRET, "param": None}},
            {"error": {"code": "moderation_blocked", "message": "<text of 20 characters>", "param": None}},
        ),
        (
            {"code": SECRET, "type": "https://h/x?sig=1"},
            {"code": "<text of 20 characters>", "type": "<URL of 17 characters>"},
        ),
        (
            {SECRET: ["https://cdn/x.png?sig=1", True, 0.5, ""]},
            {"<text of 20 characters>": ["<URL of 23 characters>", True, 0.5, ""]},
        ),
    ],
)
def test_json_keeps_its_shape_its_numbers_and_its_codes(body: Any, shape: Any) -> None:
    assert body_of(json.dumps(body).encode()) == shape


def test_events_keep_their_names() -> None:
    data = json.dumps({"type": "done", "b64_json": PIXELS})
    lines = ["event: image_edit.completed", f"data: {data}", "", f": {SECRET}", "data: [DONE]"]
    assert body_of("\n".join(lines).encode()) == [
        {"event": "image_edit.completed"},
        {"data": {"type": "done", "b64_json": "<Base64 of 344 characters>"}},
        "",
        {"": "<text of 20 characters>"},
        {"data": "<text of 6 characters>"},
    ]


@pytest.mark.parametrize(
    ("body", "shape"),
    [
        (b"", ""),
        (b" \n", "<2 characters of white space>"),
        (f"<html>{SECRET}</html>".encode(), "<text of 33 characters>"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "<108 bytes, the first are 89504e470d0a1a0a00000000>"),
        (b"[" * 100_000, "<text of 100000 characters>"),
    ],
)
def test_what_is_neither_is_its_size(body: bytes, shape: str) -> None:
    assert body_of(body) == shape


def test_of_the_whole_exchange_nothing_of_anybody_is_left() -> None:
    """The brief of the request too, and headers but for a few."""
    found = exchange_of(
        asked(brief={"n": 1, "words": {"prompt": SECRET}}),
        answer(b"{}", content_type="text/html", x_request_id="req-of-somebody"),
    )
    assert found["request"] == {"n": 1, "words": {"prompt": "<text of 20 characters>"}}
    assert found["headers"] == {"content-type": "text/html", "x-request-id": "<text of 15 characters>"}
    assert (found["status"], found["ended"], found["provider"]) == (200, "WHOLE", "openai")
    assert not any(word in json.dumps(found) for word in (SECRET, "somebody", "task-1", "5e5e"))
