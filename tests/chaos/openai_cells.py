"""OpenAI and the relays that speak like it in the matrix: a call, its stream, its results (F40 to F55)."""

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from imageedit_client import AsyncClient, OpenaiOptions, Task
from tests.chaos.cells import (
    QUICK,
    SUCCEEDS,
    Account,
    Cell,
    Expected,
    after_wait,
    closed_port,
    failed,
    refused,
    refused_until_deadline,
    resubmitted,
    unique,
    unknown,
)
from tests.chaos.pictures import FEW_SHARES, JPEG, MORE_THAN_A_JPEG, NO_RESULTS, PNG, WEBP, cut_out, photo
from tests.chaos.urls import REFUSED_URLS
from tests.vendors.behaviours import Plain
from tests.vendors.openai.behaviours import (
    BROKEN_WIRES,
    UNREADABLE,
    Behaviour,
    busy,
    coded,
    each,
    error,
    event_of,
    page,
    pictures,
    rewrites,
    sends,
    stream,
)
from tests.vendors.openai.server import OpenaiVendor, Personality
from tests.vendors.serving import Response

Arrange = Callable[[OpenaiVendor], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """One rule set: its vendor, and a request that it takes."""

    row: str
    personality: Personality
    settings: Mapping[str, Any]
    model: str
    size: str
    picture: bytes


GPT_IMAGE = Rules(
    row="gpt-image",
    personality=Personality.OPENAI,
    settings={"rules": "gpt-image"},
    model="gpt-image-2",
    size="1024x640",
    picture=photo(),
)
RELAY = Rules(
    row="relay",
    personality=Personality.RELAY,
    settings={"rules": "relay", "response_format": "url"},
    model="relay-image",
    size="64x64",
    picture=photo(),
)
DALL_E_2 = Rules(
    row="dall-e-2",
    personality=Personality.PAGE_3,
    settings={"rules": "dall-e-2", "path": "/v1/images/edits/", "response_format": "url"},
    model="dall-e-2",
    size="256x256",
    picture=cut_out(),
)


class OpenaiAccount(Account):
    """One account at a vendor of its own."""

    vendor: OpenaiVendor

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self.vendor = OpenaiVendor(personality=rules.personality, api_key=f"sk-{uuid.uuid4().hex}")

    @property
    def secrets(self) -> Sequence[str]:
        return [self.vendor.api_key, "signed-url-secret"]

    @property
    def result_url(self) -> str:
        return self.vendor.url

    def table(self, provider: str) -> dict[str, Any]:
        return {
            "adapter": "openai",
            "base_url": self.vendor.url,
            "api_key": self.vendor.api_key,
            "submit_seconds": 10,
            "models": {f"{provider}/model": self._rules.model},
            **self._rules.settings,
        }

    async def create(self, client: AsyncClient, provider: str, settings: Mapping[str, Any]) -> Task:
        given = {"size": self._rules.size, "model": f"{provider}/model", **settings}
        return await client.edit_image("at the sea", [self._rules.picture], **given)

    def submits(self) -> int:
        return sum(request.method == "POST" for request in self.vendor.requests)


def _cell(
    rules: Rules,
    endpoint: str,
    name: str,
    expected: Expected,
    arrange: Arrange = lambda vendor: None,
    **more: Any,
) -> Cell:
    return Cell(
        row=rules.row,
        endpoint=endpoint,
        name=name,
        expected=expected,
        make=lambda: OpenaiAccount(rules),
        arrange=arrange,
        **more,
    )


# The call

REFUSALS: Sequence[tuple[Behaviour, str]] = (
    *((error(status), "PROVIDER_REJECTED") for status in (400, 404, 413, 415, 422)),
    *((page(status), "PROVIDER_REJECTED") for status in (400, 404, 413)),
    (error(400, "invalid_value", param="size"), "PROVIDER_REJECTED"),
    (error(404, "model_not_found"), "PROVIDER_REJECTED"),
    (error(401), "PROVIDER_CREDENTIALS"),
    (error(401, "invalid_api_key"), "PROVIDER_CREDENTIALS"),
    (error(403, "unsupported_country_region_territory"), "PROVIDER_CREDENTIALS"),
    *((error(status), "PROVIDER_REJECTED") for status in (405, 451, 501)),
    (
        sends("moved", b"", status=301, headers={"location": "https://elsewhere.example/"}, works=False),
        "PROVIDER_REJECTED",
    ),
    (
        sends("308 elsewhere", b"", status=308, headers={"location": "http://127.0.0.2:1/"}, works=False),
        "PROVIDER_REJECTED",
    ),
    (error(402), "PROVIDER_CREDITS"),
    (error(429, "insufficient_quota", kind="insufficient_quota"), "PROVIDER_CREDITS"),
    (error(400, "billing_hard_limit_reached"), "PROVIDER_CREDITS"),
    (error(400, "moderation_blocked", kind="image_generation_user_error"), "CONTENT_REFUSED"),
    (error(400, "content_policy_violation"), "CONTENT_REFUSED"),
    (error(200, "moderation_blocked"), "CONTENT_REFUSED"),
    (error(200, 400), "PROVIDER_REJECTED"),
    (error(200, "402"), "PROVIDER_CREDITS"),
    (sends("an error of text", b'{"error":"no such model"}', status=404, works=False), "PROVIDER_REJECTED"),
    (sends("an empty 400", b"", status=400, works=False), "PROVIDER_REJECTED"),
)
RELAY_REFUSALS: Sequence[tuple[Behaviour, str]] = (
    (error(500, "invalid_request", kind="new_api_error"), "PROVIDER_REJECTED"),
    (error(500, "convert_request_failed", kind="new_api_error"), "PROVIDER_REJECTED"),
    (error(500, "model_price_error", kind="new_api_error"), "PROVIDER_REJECTED"),
    (error(503, "model_not_found", kind="new_api_error"), "PROVIDER_REJECTED"),
    (error(500, "sensitive_words_detected", kind="new_api_error"), "CONTENT_REFUSED"),
    (error(500, "prompt_blocked", kind="new_api_error"), "CONTENT_REFUSED"),
    (error(403, "insufficient_user_quota", kind="new_api_error"), "PROVIDER_CREDITS"),
    (error(500, "insufficient_user_quota", kind="new_api_error"), "PROVIDER_CREDITS"),
    (error(403, "pre_consume_token_quota_failed", kind="one_api_error"), "PROVIDER_CREDITS"),
    (error(403, "access_denied", kind="new_api_error"), "PROVIDER_CREDENTIALS"),
    (error(401, kind="one_api_error", message="无效的令牌"), "PROVIDER_CREDENTIALS"),
    (error(501, "api_not_implemented", kind="one_api_error"), "PROVIDER_DISABLED"),
)
WAITS = (
    busy({}),
    busy({"retry-after": "0"}),
    busy({"retry-after": "-1"}),
    busy({"retry-after": "soon"}),
    busy({"retry-after": "Sat, 21 Nov 2020 09:01:00 GMT"}),
    busy({"retry-after-ms": "500", "retry-after": "20"}),
    page(429),
    page(403, "error code: 1010"),
    page(521),
    error(200, "rate_limit_exceeded"),
)
RELAY_WAITS = (
    error(429, kind="one_api_error", message="当前分组上游负载已饱和，请稍后再试"),
    error(401, "channel:invalid_key", kind="new_api_error"),
    error(403, "channel:no_available_key", kind="new_api_error"),
    error(429, "get_channel_failed", kind="new_api_error"),
)
DOUBTS = (
    *(page(status) for status in (500, 502, 503, 504, 520, 599)),
    *(page(status, works=True) for status in (500, 502, 503, 504)),
    *(error(status) for status in (408, 409, 500, 503)),
    error(500, message="Your request was rejected by the safety system."),
    error(200, "server_error", kind="server_error", works=True),
    sends("200 with an error of text", b'{"error":"trouble"}'),
    sends("no content", b"", status=204),
)
RELAY_DOUBTS = (
    error(500, "get_channel_failed", kind="new_api_error"),
    *(
        error(status, code, kind="upstream_error", works=True)
        for code in (
            "do_request_failed",
            "bad_response_body",
            "empty_response",
            "channel:response_time_exceeded",
        )
        for status in (400, 500)
    ),
)


def _submit(rules: Rules) -> Iterator[Cell]:
    relays = rules is not GPT_IMAGE
    yield _cell(rules, "submit", "honest", SUCCEEDS)
    for behaviour, reason in (*REFUSALS, *(RELAY_REFUSALS if relays else ())):
        yield _submitted(rules, behaviour, refused(reason))
    for behaviour in (*WAITS, *(RELAY_WAITS if relays else ())):
        yield _submitted(rules, behaviour, after_wait())
    for behaviour in (*DOUBTS, *UNREADABLE, *BROKEN_WIRES, *(RELAY_DOUBTS if relays else ())):
        yield _submitted(
            rules, behaviour, unknown(works=behaviour.works), times=None, settings=_limit(behaviour)
        )
    yield _submitted(rules, busy({"retry-after": str(10**9)}), refused("PROVIDER_RATE_LIMITED"))
    yield _submitted(
        rules,
        busy({}, code="always"),
        refused_until_deadline("PROVIDER_RATE_LIMITED", attempts=4),
        times=None,
        request={"timeout": 13.9},
    )
    yield _cell(
        rules,
        "submit",
        "nobody listens",
        replace(refused_until_deadline("PROVIDER_UNAVAILABLE", attempts=4), submits=0),
        settings={"base_url": closed_port()},
        request={"timeout": 13.9},
    )
    for behaviour in (*BROKEN_WIRES[:6], *UNREADABLE[:2], page(503), page(503, works=True)):
        yield _cell(
            rules,
            "resubmit",
            behaviour.name,
            resubmitted(works=behaviour.works),
            _does(behaviour),
            request={"on_unknown": "RESUBMIT"},
            settings=_limit(behaviour),
        )


def _submitted(
    rules: Rules, behaviour: Behaviour, expected: Expected, *, times: int | None = 1, **more: Any
) -> Cell:
    return _cell(rules, "submit", behaviour.name, expected, _does(behaviour, times), **more)


def _does(behaviour: Behaviour, times: int | None = 1) -> Arrange:
    return lambda vendor: vendor.misbehave(behaviour, times)


def _limit(behaviour: Behaviour) -> Mapping[str, Any]:
    return QUICK if behaviour in BROKEN_WIRES else {}


# Streams

PREVIEWS: Mapping[str, Any] = {"options": OpenaiOptions(partial_images=2)}


def _trouble(events: list[bytes]) -> Sequence[bytes]:
    told = {
        "type": "error",
        "error": {"message": "overloaded", "type": "server_error", "code": "server_error"},
    }
    return [*events[:1], event_of(told, "error")]


CUT_STREAMS = (
    stream("ends before the picture", lambda events: events[:-1]),
    stream("ends at once", lambda events: []),
    stream("breaks off after a preview", lambda events: events[:1], reset=True),
    stream("breaks off at once", lambda events: [], reset=True),
    stream("an error after a preview", _trouble),
    stream("done without a picture", lambda events: [event_of("[DONE]")]),
    stream("half of the last event", lambda events: [*events[:-1], events[-1][: len(events[-1]) // 2]]),
    stream("other events only", lambda events: [event_of({"type": "image_edit.thinking"})] * 100),
)
WHOLE_STREAMS = (
    stream("comments between", lambda events: [b": keep-alive\n\n", *events, b": bye\n\n"]),
    stream("no previews", lambda events: events[-1:]),
    stream("an event that is no JSON", lambda events: [event_of("{"), *events]),
    stream(
        "names of another gateway", lambda events: [each.replace(b"edit", b"generation") for each in events]
    ),
    stream("more previews than asked", lambda events: events[:1] * 20 + events),
    stream("breaks off after the picture", lambda events: events, reset=True),
    stream(
        "a preview that is none",
        lambda events: [events[0].replace(b'"b64_json": "', b'"b64_json": "!'), *events],
    ),
)


def _streamed() -> Iterator[Cell]:
    yield _cell(GPT_IMAGE, "stream", "honest", SUCCEEDS, request=PREVIEWS)
    for behaviour in CUT_STREAMS:
        yield _cell(
            GPT_IMAGE, "stream", behaviour.name, unknown(works=True), _does(behaviour, None), request=PREVIEWS
        )
    for behaviour in WHOLE_STREAMS:
        yield _cell(GPT_IMAGE, "stream", behaviour.name, SUCCEEDS, _does(behaviour), request=PREVIEWS)


# Results in place

BAD_RESULT = failed("PROVIDER_BAD_RESULT", billing="CHARGED")


def _in_place() -> Iterator[Cell]:
    for behaviour in (*_bad_pictures(), *BAD_TEXTS):
        yield _cell(GPT_IMAGE, "download", behaviour.name, BAD_RESULT, _does(behaviour, None))
    for behaviour in GOOD_TEXTS:
        yield _cell(GPT_IMAGE, "download", behaviour.name, SUCCEEDS, _does(behaviour))


def _bad_pictures() -> Iterator[Plain]:
    for name, content in NO_RESULTS.items():
        if content:
            yield pictures(f"in place {name}", _const(content))
    for kind, content in (("JPEG", JPEG), ("PNG", PNG), ("WebP", WEBP)):
        for share in FEW_SHARES:
            part = content[: max(int(len(content) * share), 1)]
            yield pictures(f"in place {share:.0%} of a {kind}", _const(part))


def _const(content: bytes) -> Callable[[bytes], bytes]:
    return lambda _: content


BAD_TEXTS = (
    coded("cut Base64", lambda text: text[: len(text) // 4 * 4 - 3]),
    coded("not base64", lambda text: "!" * 64),
    coded("not ASCII", lambda text: "图片"),
    coded("a data URL of nothing", lambda text: "data:image/png;base64,"),
    each("a URL of metadata", b64_json="", url="http://169.254.169.254/latest"),
)
GOOD_TEXTS = (
    coded("white space", lambda text: f" {text[:40]}\r\n{text[40:]}\n"),
    coded("a data URL", lambda text: f"data:image/png;base64,{text}"),
    rewrites("two for one", lambda body: body | {"data": body["data"] * 2}),
    pictures("JPEG as PNG", _const(JPEG)),
    pictures("more than a JPEG", _const(MORE_THAN_A_JPEG)),
)


# Results behind URLs

EXPIRED = failed("RESULT_EXPIRED", billing="CHARGED")
CAPPED = ("endless body", "gzip bomb")


def _download(rules: Rules) -> Iterator[Cell]:
    yield _fetched(rules, page(410), EXPIRED)
    for status in (403, 404, 408, 429, 500, 502, 503, 504):
        yield _fetched(rules, page(status), SUCCEEDS)
    for behaviour in BROKEN_WIRES[-6:]:
        if behaviour.works:
            capped = behaviour.name in CAPPED
            yield _fetched(rules, behaviour, BAD_RESULT if capped else SUCCEEDS, times=None if capped else 1)
    for name, content in list(NO_RESULTS.items())[::3]:
        yield _fetched(rules, _file(name, content), BAD_RESULT, times=None)
    for share in FEW_SHARES:
        part = PNG[: int(len(PNG) * share)]
        yield _fetched(rules, _file(f"{share:.0%} of a PNG", part), BAD_RESULT, times=None)
    yield _fetched(rules, _redirect(REFUSED_URLS[0]), BAD_RESULT, times=None)
    for location in REFUSED_URLS:
        told = each(f"result at {location}", url=location, b64_json="")
        yield _cell(rules, "download", told.name, BAD_RESULT, _does(told))


def _fetched(
    rules: Rules, behaviour: Behaviour, expected: Expected, *, times: int | None = 1, **more: Any
) -> Cell:
    def arrange(vendor: OpenaiVendor) -> None:
        vendor.misbehave_at_files(behaviour, times)

    name = behaviour.name if times is not None else f"always {behaviour.name}"
    return _cell(rules, "download", name, expected, arrange, **more)


def _file(name: str, content: bytes) -> Behaviour:
    return Behaviour(name, lambda _: Response(body=content, media_type="image/png"))


def _redirect(location: str) -> Behaviour:
    reply = Response(status=302, media_type="", headers={"location": location})
    return Behaviour(f"redirect to {location}", lambda _: reply)


def _all() -> Iterable[Cell]:
    yield from _submit(GPT_IMAGE)
    yield from _streamed()
    yield from _in_place()
    yield from _submit(RELAY)
    yield from _download(RELAY)
    yield from _sample(_submit(DALL_E_2))  # which differs in its form, path and results, not in its answers
    yield from _sample(_download(DALL_E_2))


def _sample(cells: Iterable[Cell]) -> Iterable[Cell]:
    return (cell for index, cell in enumerate(cells) if index % 4 == 0)


CELLS = unique(_all())
