"""Targets without a server: the parsers and rules that strangers' bytes meet first (T7 c)."""

import asyncio
import json
import math
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx

from imageedit_server.core.failure import Failure
from imageedit_server.images.inspection import InspectionFailed
from imageedit_server.images.mending import make_good
from imageedit_server.outbound.addresses import refuse_url
from imageedit_server.outbound.answers import Answer, Ended
from imageedit_server.outbound.client import BadBody, OutboundError, Reply, read_json
from imageedit_server.outbound.urls import host_of, literal_of
from imageedit_server.providers.base import (
    Accepted,
    Adapter,
    Callback,
    CallbackRefused,
    Context,
    Finished,
    InProgress,
    SubmitError,
    VendorTaskUnknown,
)
from imageedit_server.providers.kie import KieAdapter
from imageedit_server.providers.kie.records import AskAgain as KieAskAgain
from imageedit_server.providers.openai.adapter import OpenaiAdapter
from imageedit_server.providers.openai.asks import Ask, brief_of
from imageedit_server.providers.suitme import SuitmeAdapter
from imageedit_server.providers.suitme.standings import AskAgain as SuitmeAskAgain
from imageedit_server.settings import SettingsError, load_settings
from tests.fuzz.fuzzing import Attack, Target
from tests.images.test_inspection import SOUND
from tests.outbound.corpus import MORE_URLS, URLS
from tests.providers.adapters import NOW, Reports, StandingClock, ThreadWorkers

MAX_PIXELS = 100_000
STATUSES = (200, 200, 200, 200, 201, 204, 301, 400, 401, 402, 404, 408, 413, 422, 429, 455, 500, 503)
"""What an answer's first byte stands for."""
ENDS = tuple(Ended)
"""What an answer's length stands for."""


@asynccontextmanager
async def _given(attack: Attack) -> AsyncIterator[Attack]:
    yield attack


def _plain(attack: Callable[[bytes], None]) -> Callable[[], AbstractAsyncContextManager[Attack]]:
    async def attacked(data: bytes) -> None:
        attack(data)

    return lambda: _given(attacked)


# JSON


def _json(data: bytes) -> None:
    try:
        value = read_json(data)
    except BadBody:
        return
    json.dumps(value, allow_nan=False, ensure_ascii=False).encode()  # what is taken can be kept


# Adapters: whatever a vendor answers is one of the words of the seam


class Vendor:
    """A vendor that answers every call with the bytes it is told."""

    def __init__(self) -> None:
        self.said = b""

    async def send(self, *_: object, **__: object) -> Reply:
        status, headers, body = self._answer()
        return Reply(status, headers, body)

    def answer(self, brief: Mapping[str, Any]) -> Answer:
        """What came of a paid call, however that ended."""
        status, headers, body = self._answer()
        return Answer(
            status=status if self.said else 0,
            headers=headers,
            body=body,
            ended=ENDS[len(body) % len(ENDS)],
            brief=brief,
            call_time=NOW,
            answer_time=NOW,
        )

    async def aclose(self) -> None:
        """Nothing is open."""

    def _answer(self) -> tuple[int, Mapping[str, str], bytes]:
        first = self.said[0] if self.said else 0
        kind = "application/json" if first < 128 else "text/event-stream"
        headers = {"content-type": kind, "retry-after": ascii(self.said[1:4])}
        return STATUSES[first % len(STATUSES)], headers, self.said[1:]


def _adapter(kind: type[Adapter], vendor: Vendor, **options: object) -> Any:
    context = Context(
        provider="vendor",
        clock=StandingClock(),
        workers=ThreadWorkers(),
        connect=lambda *_: vendor,  # type: ignore[arg-type]
    )
    given = {"adapter": "x", "base_url": "https://vendor.example", "api_key": "k", **options}
    return kind(kind.Options.model_validate(given), context)


def _understood(adapter: Adapter, answer: Answer) -> None:
    try:
        outcome = adapter.understand(answer)
    except SubmitError:
        return
    except OutboundError as error:  # openai's reading may break off, which ``understand`` translates
        raise AssertionError("an error of the room below") from error
    assert isinstance(outcome, Accepted | Finished)
    if isinstance(outcome, Accepted):
        assert 1 <= len(outcome.vendor_task_id) <= 256
        assert outcome.vendor_task_id.isprintable()


async def _polled(adapter: Any) -> None:
    try:
        outcome = await adapter.poll("vendor-id", Reports())
    except (KieAskAgain, SuitmeAskAgain, VendorTaskUnknown):
        return
    match outcome:
        case InProgress(progress_percent=percent):
            assert percent is None or 0 <= percent <= 100
        case Finished(outputs=outputs):
            assert all(output.url or output.content for output in outputs)
        case _:
            assert isinstance(outcome, Failure)


@asynccontextmanager
async def _kie() -> AsyncIterator[Attack]:
    vendor = Vendor()
    adapter = _adapter(KieAdapter, vendor, upload_url="https://up.example", callback_hmac_key="h")
    open_adapter = _adapter(KieAdapter, vendor, upload_url="https://up.example")

    async def attack(data: bytes) -> None:
        vendor.said = data
        _understood(adapter, vendor.answer({}))
        await _polled(adapter)
        in_time = len(data) % 2
        headers = {
            "x-webhook-signature": data[-40:].decode("latin-1"),
            "x-webhook-timestamp": f"{NOW.timestamp():.0f}" if in_time else data[-5:].decode("latin-1"),
        }
        for each in (adapter, open_adapter):
            try:
                assert isinstance(each.read_callback(headers, data[1:]), Callback)
            except CallbackRefused:
                continue

    yield attack


@asynccontextmanager
async def _suitme() -> AsyncIterator[Attack]:
    vendor = Vendor()
    adapter = _adapter(SuitmeAdapter, vendor)

    async def attack(data: bytes) -> None:
        vendor.said = data
        _understood(adapter, vendor.answer({}))
        await _polled(adapter)

    yield attack


@asynccontextmanager
async def _openai() -> AsyncIterator[Attack]:
    vendor = Vendor()
    adapter = _adapter(OpenaiAdapter, vendor, rules="relay", models={"relay/m": "m"})

    async def attack(data: bytes) -> None:
        vendor.said = data
        for previews in (0, 2):
            ask = Ask(n=1, words={"size": "1024x1024"}, previews=previews)
            _understood(adapter, vendor.answer(brief_of(ask)))

    yield attack


ODD_VALUES: Sequence[Any] = (
    *(
        None,
        True,
        0,
        -1,
        10**400,
        math.nan,
        math.inf,
        1.5,
        1e308,
        "",
        " ",
        "x" * 300,
        "17",
        "-1",
        "NaN",
        "a\0b",
        "\ud800",
        "../x",
    ),
    *([], {}, [[]], [None], {"": None}, "{", "[]", "null", '{"resultUrls": "https://h.example/a.png"}'),
    *("http://10.0.0.1/", "https://u:p@h.example/", "success", "fail", "finished", 200, 500),
)


def _said(*values: object) -> list[bytes]:
    """Answers as they are, and with every value in them replaced by odd ones."""
    odd = [changed for value in values for changed in _oddly(value)]
    return [b"\0" + json.dumps(value).encode() for value in (*values, *odd)]


def _oddly(value: Any) -> Iterator[Any]:
    yield from ODD_VALUES
    match value:
        case dict():
            for key, inner in value.items():
                yield from ({**value, key: changed} for changed in _oddly(inner))
                yield {name: kept for name, kept in value.items() if name != key}
        case list():
            for at, inner in enumerate(value):
                yield from ([*value[:at], changed, *value[at + 1 :]] for changed in _oddly(inner))


KIE_SAID = _said(
    {"code": 200, "msg": "success", "data": {"taskId": "t_1"}},
    {"code": 200, "data": {"taskId": "t", "state": "generating", "progress": 50}},
    {
        "code": 200,
        "data": {
            "taskId": "t",
            "state": "success",
            "resultJson": '{"resultUrls": ["https://h.example/a.png"]}',
        },
    },
    {"code": 200, "data": {"taskId": "t", "state": "fail", "failCode": "500", "failMsg": "no"}},
    {"code": 402, "msg": "no credits"},
)
SUITME_SAID = _said(
    {"code": 0, "msg": "ok", "data": {"task_id": 17, "status": "queued"}},
    {"code": 0, "data": {"task_id": "t", "status": "processing", "progress": 10}},
    {
        "code": 0,
        "data": {"task_id": "t", "status": "finished", "result": {"image_url": "https://h.example/a"}},
    },
    {"code": 0, "data": {"status": "failed", "error": "no"}},
    {"detail": {"code": 1005, "msg": "no", "data": None}},
    {"detail": [{"loc": ["body", "size"], "msg": "field required", "type": "missing"}]},
)
OPENAI_SAID = [
    *_said(
        {"created": 1, "data": [{"b64_json": "aGVsbG8=", "revised_prompt": "x"}], "size": "1024x1024"},
        {"data": [{"url": "https://h.example/a.png"}]},
        {"error": {"message": "no", "type": "invalid_request_error", "param": "n", "code": "x"}},
        {"code": 1, "message": "insufficient quota"},
    ),
    b"\x90event: image_edit.partial_image\ndata: "
    b'{"type": "image_edit.partial_image", "b64_json": "aGVsbG8=", "partial_image_index": 0}\n\n'
    b'event: image_edit.completed\ndata: {"type": "image_edit.completed", "b64_json": "aGVsbG8="}\n\n'
    b"data: [DONE]\n\n",
]
JSON_WORDS = [
    *(b'"%s":' % word for word in b"code data taskId task_id state status progress error resultJson".split()),
    *(b'"%s"' % word for word in b"success fail finished failed generating queued b64_json url".split()),
    *b"null true false [] {} [[[[ {{{{ 1.5 1e5 -0 NaN Infinity".split(),
    b"[" * 5_000,
    b'"\\ud800"',
    b"\xef\xbb\xbf",
    b": NaN,",
    b"[Infinity]",
    b"\n\ndata: ",
    b"event: error\n",
]


# Pictures, URLs, settings


@asynccontextmanager
async def _pictures() -> AsyncIterator[Attack]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture"

        async def attack(data: bytes) -> None:
            path.write_bytes(data)
            try:
                found = make_good(path, max_pixels=MAX_PIXELS).inspection
            except InspectionFailed:
                return
            assert 1 <= found.width * found.height <= MAX_PIXELS

        yield attack


def _url(data: bytes) -> None:
    text = data.decode("utf-8", "surrogatepass" if data[:1] < b"\x80" else "replace")
    if refuse_url(text) is not None:
        return
    url = httpx.URL(text)  # what is not refused is a URL that leads to a public name over https
    host = host_of(url)
    assert url.scheme == "https"
    assert url.port in (None, 443)
    assert not url.userinfo
    assert literal_of(host) is None
    assert "." in host
    assert host.isascii()
    assert not _is_address(host.rsplit(".", 1)[-1])


def _is_address(text: str) -> bool:
    try:
        ip_address(int(text, 0))
    except ValueError:
        return False
    return True


def _url_attack(data: bytes) -> None:
    try:
        data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        data = data.decode("utf-8", "replace").encode()
    _url(data)


@asynccontextmanager
async def _settings() -> AsyncIterator[Attack]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.toml"

        async def attack(data: bytes) -> None:
            path.write_bytes(data)
            with suppress(SettingsError):
                await asyncio.to_thread(load_settings, path, {"KIE_KEY": "k"}, {})

        yield attack


SETTINGS = b"""
[server]
listen = "127.0.0.1:0"
public_url = "https://edits.example.com"
drain_seconds = 20
[images]
max_bytes = 20971520
[fetch]
allow = ["127.0.0.1:9001"]
[limits]
watches = 2000
[providers.kie]
adapter = "kie"
api_key_env = "KIE_KEY"
poll_seconds = [2.5, 7, 20]
max_submits = "18/10s"
[providers.relay]
adapter = "openai"
base_url = "https://relay.example.com"
rules = "relay"
api_key = "k"
[providers.relay.models]
"relay/dall-e-2" = "dall-e-2"
"""


@dataclass(frozen=True)
class _Seeds:
    """Sound inputs of the targets that take pictures and texts."""

    pictures: tuple[bytes, ...] = tuple(data for data in SOUND.values() if len(data) < 20_000)
    urls: tuple[bytes, ...] = tuple(
        url.encode("utf-8", "surrogatepass")
        for url in ("https://good.example/a.png?x=1#y", "https://xn--fiq228c.example:443/", *URLS, *MORE_URLS)
    )


SEEDS = _Seeds()

RULES = (
    Target(
        name="JSON",
        opened=_plain(_json),
        seeds=[said[1:] for said in (*KIE_SAID, *SUITME_SAID)],
        words=JSON_WORDS,
        executions=8_000,
    ),
    Target(name="kie", opened=_kie, seeds=KIE_SAID, words=JSON_WORDS, executions=4_000),
    Target(name="suitme", opened=_suitme, seeds=SUITME_SAID, words=JSON_WORDS, executions=4_000),
    Target(name="openai", opened=_openai, seeds=OPENAI_SAID, words=JSON_WORDS, executions=4_000),
    Target(
        name="pictures",
        opened=_pictures,
        seeds=SEEDS.pictures,
        words=[b"IHDR", b"IDAT", b"IEND", b"acTL", b"\xff\xd9", b"\xff\xda", b"\xff\xc2", b"VP8X", b"ANMF"],
        executions=1_000,
    ),
    Target(
        name="URLs",
        opened=_plain(_url_attack),
        seeds=SEEDS.urls,
        words=[*b"@ : [ ] // \\ %00 %2e 127.1 0x7f".split(), "。".encode(), "①".encode()],
        executions=8_000,
    ),
    Target(
        name="settings",
        opened=_settings,
        seeds=[SETTINGS],
        words=[
            *(b"= " + value for value in b"[ {} [] '' -1 nan 1979-05-27".split()),
            b"[providers.x]\n",
            b"= " + b"9" * 5_000,
            b"= " + b"[" * 5_000,
        ],
        executions=1_000,
    ),
)
