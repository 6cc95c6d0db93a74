"""A success is read for what it holds, whatever the label and whatever was asked for."""

import gzip
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from imageedit_server.outbound.answers import NO_HEAD, Answer, Ended
from imageedit_server.providers.base import Ambiguous, Finished, Output, Refused
from imageedit_server.providers.openai import OpenaiAdapter, answers
from imageedit_server.providers.openai.answers import reply_bytes
from imageedit_server.providers.openai.asks import Ask, ask_of, brief_of
from imageedit_server.providers.openai.streams import stream_of
from tests.providers.adapters import NOW
from tests.providers.openai.conftest import MakeAdapter
from tests.providers.openai.jobs import picture
from tests.vendors.openai.forms import FORMS, WITHOUT, Sent, b64, whole, written

CONTENT = picture(size=(19, 17))
URL = "https://files.example/1.png?sig=x"
ASKED = {"n": 1, "words": {}, "previews": 0}
STREAMED = {**ASKED, "previews": 2}


@pytest.fixture
def adapter(make_adapter: MakeAdapter) -> OpenaiAdapter:
    return make_adapter()


def answer(sent: Sent, brief: Mapping[str, Any] = ASKED, **more: Any) -> Answer:
    given = {"status": 200, "ended": Ended.WHOLE, "brief": brief, "call_time": NOW, "answer_time": NOW}
    headers = {"content-type": sent.media_type, **sent.headers}
    return Answer(**{**given, "headers": headers, "body": sent.body, **more})


@pytest.mark.parametrize("brief", [ASKED, STREAMED, {}], ids=["whole", "streamed", "of another version"])
@pytest.mark.parametrize("form", FORMS)
def test_the_picture_is_found(adapter: OpenaiAdapter, form: str, brief: Mapping[str, Any]) -> None:
    finished = adapter.understand(answer(FORMS[form](CONTENT, URL), brief))
    assert isinstance(finished, Finished)
    [output] = finished.outputs
    assert output in (Output(content=CONTENT), Output(url=URL))


BROKEN_AFTER = [
    "OpenAI's own",
    "the picture itself",
    "events",
    "images",
    "white space before",
    "gzip",
    "an event that is a whole answer",
]


@pytest.mark.parametrize("ended", [Ended.CUT, Ended.LATE, Ended.TOO_LONG, Ended.LOST])
@pytest.mark.parametrize("form", BROKEN_AFTER)
def test_a_picture_counts_whatever_came_of_the_connection_after_it(
    adapter: OpenaiAdapter, form: str, ended: Ended
) -> None:
    cut = answer(FORMS[form](CONTENT, URL), STREAMED, ended=ended, note="The connection broke.")
    assert len(adapter.understand(cut).outputs) == 1


@pytest.mark.parametrize("form", BROKEN_AFTER)
def test_a_part_of_a_picture_is_none(adapter: OpenaiAdapter, form: str) -> None:
    sent = FORMS[form](CONTENT, URL)
    end = sent.body.index(b64(CONTENT)[:40].encode()) + 60 if form == "events" else len(sent.body) // 2
    cut = answer(replace(sent, body=sent.body[:end]), ended=Ended.CUT, note="The connection broke.")
    with pytest.raises(Ambiguous) as raised:
        adapter.understand(cut)
    assert "The connection broke." in raised.value.failure.message


@pytest.mark.parametrize("brief", [ASKED, STREAMED], ids=["whole", "streamed"])
@pytest.mark.parametrize("form", WITHOUT)
def test_what_holds_no_picture_proves_nothing(
    adapter: OpenaiAdapter, form: str, brief: Mapping[str, Any]
) -> None:
    with pytest.raises(Ambiguous):
        adapter.understand(answer(WITHOUT[form](CONTENT, URL), brief))


def test_a_picture_beside_an_error_arrives_and_the_error_is_named(adapter: OpenaiAdapter) -> None:
    error = {"error": {"code": "InternalServiceError", "message": "It broke."}}
    body = written({"data": [{"b64_json": b64(CONTENT)}, error]})
    finished = adapter.understand(answer(Sent(body=body), {**ASKED, "n": 2}))
    assert len(finished.outputs) == 1
    assert any("InternalServiceError" in warning and "It broke." in warning for warning in finished.warnings)


def test_an_event_that_cannot_be_read_is_noted(adapter: OpenaiAdapter) -> None:
    finished = adapter.understand(answer(FORMS["a ping that cannot be read"](CONTENT, URL)))
    assert finished.warnings == ("1 event of the provider's stream could not be read.",)


def test_of_many_events_what_counts_is_kept() -> None:
    """Each would take ten times its size in memory."""
    stream = stream_of(b"data:{}\n\n" * 50_000 + FORMS["events"](CONTENT, URL).body)
    assert (stream.outputs, stream.events) == ([Output(content=CONTENT)], 50_002)
    assert stream.last is not None


def test_a_failure_in_a_response_is_what_it_says(adapter: OpenaiAdapter) -> None:
    failed = {"type": "response.failed", "response": {"error": {"code": "moderation_blocked"}}}
    with pytest.raises(Refused):
        adapter.understand(answer(Sent(body=b"data: " + written(failed) + b"\n\n"), STREAMED))


def test_a_url_without_a_host_is_the_vendor_s(adapter: OpenaiAdapter) -> None:
    brief = {**ASKED, "base_url": "https://relay.example/v1"}
    body = written({"data": [{"url": "/images/x.png"}]})
    assert adapter.understand(answer(Sent(body=body), brief)).outputs == (
        Output(url="https://relay.example/images/x.png"),
    )


def test_no_head_is_no_answer(adapter: OpenaiAdapter) -> None:
    late = answer(Sent(body=b""), status=NO_HEAD, headers={}, ended=Ended.LATE, note="It came too late.")
    with pytest.raises(Ambiguous) as raised:
        adapter.understand(late)
    assert "It came too late." in raised.value.failure.message


def test_what_is_inflated_has_the_cap_of_the_call(
    adapter: OpenaiAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F44: a picture behind the cap is not looked for."""
    monkeypatch.setattr(answers, "MAX_BASE64_CHARS", 0)
    body = b" " * reply_bytes(Ask()) + whole(CONTENT)
    form = FORMS["gzip"]
    sent = replace(form(CONTENT, URL), body=gzip.compress(body, 1))
    with pytest.raises(Ambiguous):
        adapter.understand(answer(sent))


def test_an_ask_comes_back_from_its_brief() -> None:
    ask = Ask(n=3, words={"size": "1024x1024"}, previews=2, base_url="https://a.example")
    assert ask_of(json.loads(json.dumps(brief_of(ask)))) == ask


@pytest.mark.parametrize("odd", [{}, {"n": "x", "words": 5, "previews": None, "base_url": 1}, {"n": 0}])
def test_a_brief_of_another_version_has_defaults(odd: dict[str, Any]) -> None:
    assert ask_of(odd) == Ask()
