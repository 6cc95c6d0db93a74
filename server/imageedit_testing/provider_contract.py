"""What every adapter owes the engine (``providers/base.py``), held against each of ``PROVIDERS``."""

import asyncio
import hashlib
import io
import json
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, ParamSpec, TypeVar
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from pydantic import ValidationError

from imageedit_server.core.errors import FailureReason
from imageedit_server.core.failure import Failure
from imageedit_server.core.image import EXTENSIONS, Image, Transparency, image_id_of
from imageedit_server.core.model import MaskUse, Model
from imageedit_server.core.model_limits import check_limits
from imageedit_server.core.options import IdeogramOptions, OpenaiOptions, Options, SeedreamOptions
from imageedit_server.core.request import Input, Kind, Request
from imageedit_server.core.sizes import ANY_PIXELS, ANY_RATIO, AUTO, parse_size
from imageedit_server.core.sizing import with_size
from imageedit_server.core.task import Status
from imageedit_server.outbound.answers import NO_HEAD, Answer, Ended, PaidCall, Place
from imageedit_server.outbound.client import ApiClient, Trust
from imageedit_server.providers.base import (
    Accepted,
    Adapter,
    Callback,
    CallbackRefused,
    Context,
    Finished,
    InProgress,
    InputImage,
    Job,
    NotProcessed,
    Output,
    Prepared,
    PrepareError,
    Refused,
    SubmitError,
    SubmitSafety,
)
from imageedit_server.providers.vendor_ids import MAX_ID_CHARS
from imageedit_server.runtime.workers import Workers
from imageedit_testing.members import API_KEY, Member, Vendor, held
from imageedit_testing.paying import carry_out
from imageedit_testing.proto_paths import is_path_of

P = ParamSpec("P")
T = TypeVar("T")

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
PROMPT = "make it warmer"
MAX_POLLS = 10
UNKNOWN_IDS = ("unknown", "", "../credit", "任务", "a" * 5000)
PATTERNS = (AUTO, ANY_PIXELS, ANY_RATIO)
TRUST = Trust()
HYPOTHESIS = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
"""A member is the same for every example, and a busy machine is slow."""


# What the house lends


class StandingClock:
    """A clock whose sleeps take no time."""

    def now(self) -> datetime:
        return NOW

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


class ThreadWorkers(Workers):
    """Picture code in a thread: processes have their own tests."""

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.to_thread(function, *args, **kwargs)


class Reports:
    """Keeps what was told."""

    def __init__(self) -> None:
        self.percentages: list[int] = []

    async def __call__(self, *, progress_percent: int | None = None, preview: bytes | None = None) -> None:
        if progress_percent is not None:
            self.percentages.append(progress_percent)


class Idle(Workers):
    """Workers and clients that nobody may use: a use is kept, since an adapter might swallow the error."""

    def __init__(self) -> None:
        self.uses: list[str] = []

    def connect(self, base_url: str, headers: Mapping[str, str]) -> ApiClient:
        return _IdleClient(self)

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        self.use(function.__name__)
        raise AssertionError("not now")

    def use(self, what: str) -> None:
        self.uses.append(what)


class _IdleClient(ApiClient):
    def __init__(self, idle: Idle) -> None:
        self._idle = idle

    async def send(self, method: str, path: str, **_more: Any) -> Any:
        self._idle.use(f"{method} {path}")
        raise AssertionError("not now")

    async def pay(self, call: PaidCall, place: Place | None) -> Answer:
        self._idle.use(f"POST {call.path}")
        raise AssertionError("not now")


@dataclass(frozen=True)
class Bench:
    """A member with its vendor up; ``nowhere`` refuses connections. ``make`` takes other settings."""

    member: Member
    vendor: Vendor
    make: Callable[..., Adapter]
    nowhere: str

    @property
    def adapter(self) -> Adapter:
        return self.make()

    def missing(self, *urls: str) -> Adapter:
        """An adapter whose vendor is not there, at ``urls`` or at all of them."""
        return self.make(**dict.fromkeys(urls or self.member.urls, self.nowhere))


class Fixtures(NamedTuple):
    """The fixtures that the suite asks for by these names."""

    member: Any
    bench: Any
    paid: Any
    keyed: Any


def fixtures_for(members: Mapping[str, Member]) -> Fixtures:
    """Return the fixtures that run the suite on ``members``, by their names in test ids."""

    @pytest.fixture(params=members)
    def member(request: pytest.FixtureRequest) -> Member:
        return members[request.param]

    paying = [name for name, each in members.items() if not each.cls.charge.is_free]
    keyed = [name for name, each in members.items() if each.cls.submit_safety is SubmitSafety.NATIVE_KEY]
    return Fixtures(
        member, _benches_of(members, members), _benches_of(members, paying), _benches_of(members, keyed)
    )


def _benches_of(members: Mapping[str, Member], names: Iterable[str]) -> Any:
    @pytest_asyncio.fixture(params=names)
    async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
        async with open_bench(members[request.param]) as bench:
            yield bench

    return bench


@asynccontextmanager
async def open_bench(member: Member) -> AsyncIterator[Bench]:
    clients: list[ApiClient] = []

    def connect(base_url: str, headers: Mapping[str, str]) -> ApiClient:
        clients.append(ApiClient(base_url, headers, trust=TRUST))
        return clients[-1]

    async with member.vendor() as vendor:

        def make(provider: str = member.adapter, **changed: Any) -> Adapter:
            context = Context(
                provider=provider, clock=StandingClock(), workers=ThreadWorkers(), connect=connect
            )
            return member.cls(member.options(submit_seconds=10, **{**vendor.urls, **changed}), context)

        with socket.socket() as held:  # a port that is taken and does not listen
            held.bind(("127.0.0.1", 0))
            yield Bench(member, vendor, make, f"http://127.0.0.1:{held.getsockname()[1]}")
        assert list(vendor.leaks) == []
        for client in clients:
            await client.aclose()


def idle_adapter(member: Member, idle: Idle, provider: str = "somebody") -> Adapter:
    """An adapter that may not call anyone."""
    context = Context(provider=provider, clock=StandingClock(), workers=idle, connect=idle.connect)
    return member.cls(member.options(), context)


# Jobs, made from what the models say of themselves


def picture(name: str = "PNG") -> InputImage:
    """A square picture whose left half is transparent: good as an image and as a mask."""
    image = Pillow.new("RGBA", (64, 64), "blue")
    image.paste((255, 0, 0, 0), (0, 0, 32, 64))
    out = io.BytesIO()
    image.save(out, name)
    content = out.getvalue()
    facts = Image(
        image_id=image_id_of(hashlib.sha256(content).hexdigest()),
        media_type=f"image/{name.lower()}",
        width=64,
        height=64,
        size_bytes=len(content),
        transparency=Transparency.TRANSPARENT,
    )
    return InputImage(image=facts, read=held(content))


def least(model: Model, kind: Kind, base: str = "") -> Job:
    """The smallest job that the model takes."""
    count = model.min_images if kind is Kind.EDIT_IMAGE else 1
    references = min(1, model.max_reference_images) if kind is Kind.EDIT_IMAGE else 0
    return job(model, kind, base, images=count, references=references, n=1)


def most(model: Model) -> Job:
    """The largest edit that the model takes, with a mask if it takes one."""
    return job(
        model,
        Kind.EDIT_IMAGE,
        images=model.max_images,
        references=model.max_reference_images,
        n=model.max_n,
        masked=model.mask is not MaskUse.NONE,
    )


def job(
    model: Model,
    kind: Kind,
    base: str = "",
    *,
    images: int,
    references: int,
    n: int,
    masked: bool = False,
) -> Job:
    pictures = tuple(picture() for _ in range(images))
    extras = tuple(picture("WEBP") for _ in range(references))
    mask = picture() if masked or model.mask is MaskUse.REQUIRED else None
    request = Request(
        kind=kind,
        user_id="somebody",
        model=model.name,
        provider=model.provider,
        prompt="" if kind is Kind.DEFAULT_MODEL else PROMPT,
        images=tuple(Input(image=given.image) for given in pictures),
        mask=Input(image=mask.image) if mask else None,
        reference_images=tuple(Input(image=given.image) for given in extras),
        n=n,
        base_model_task_id=f"task_{0:032x}" if kind is Kind.MODEL_EDIT else "",
        base_vendor_task_id=base,
    )
    return Job(
        request=request,
        model=model,
        size=with_size(Status(), request, model).size,
        images=pictures,
        mask=mask,
        reference_images=extras,
        attempt_key=secrets.token_hex(16),
        deadline=NOW + timedelta(minutes=15),
    )


async def jobs(bench: Bench, adapter: Adapter) -> list[Job]:
    """The smallest job of every kind of every model that does work, and the largest edit of each."""
    found = []
    for model in adapter.models:
        if model.vendor_name in bench.member.refusing:
            continue
        for kind in sorted(model.kinds):
            base = await made_base(bench, adapter, model) if kind is Kind.MODEL_EDIT else ""
            found.append(least(model, kind, base))
        if Kind.EDIT_IMAGE in model.kinds:
            found.append(most(model))
    return found


async def made_base(bench: Bench, adapter: Adapter, model: Model) -> str:
    """The vendor's id of a default model, for those that edit no others."""
    if not adapter.edits_own_bases_only:
        return ""
    accepted = await submit(adapter, least(model, Kind.DEFAULT_MODEL))
    assert isinstance(accepted, Accepted)
    assert isinstance(await finish(adapter, accepted.vendor_task_id), Finished)
    return accepted.vendor_task_id


async def submit(adapter: Adapter, job: Job) -> Accepted | Finished:
    return await carry_out(adapter, await adapter.prepare(job), Reports())


async def finish(adapter: Adapter, vendor_task_id: str) -> Finished | Failure | InProgress:
    """Poll until it is over, or for long enough."""
    standing: Finished | Failure | InProgress = InProgress()
    for _ in range(MAX_POLLS):
        standing = await adapter.poll(vendor_task_id, Reports())
        if not isinstance(standing, InProgress):
            return standing
        assert standing.progress_percent is None or 0 <= standing.progress_percent <= 100
    return standing


def test_an_exception_names_a_model_that_is_there(member: Member) -> None:
    names = {model.vendor_name for model in idle_adapter(member, Idle()).models}
    assert set(member.refusing) | set(member.endless) <= names


# Options


def test_a_setting_that_nobody_knows_is_refused(member: Member) -> None:
    with pytest.raises(ValidationError) as raised:
        member.options(apikey="x")
    [error] = raised.value.errors()
    assert (error["type"], error["loc"]) == ("extra_forbidden", ("apikey",))


def test_options_never_show_a_secret(member: Member) -> None:
    options = member.options()
    assert options.api_key.get_secret_value() == API_KEY
    for shown in (
        repr(options),
        str(options),
        f"{options}",
        str(options.model_dump()),
        options.model_dump_json(),
    ):
        assert API_KEY not in shown
        assert not [secret for secret in member.secrets if secret in shown]


def test_options_cannot_be_changed(member: Member) -> None:
    with pytest.raises(ValidationError):
        member.options().enabled = False


# Models


def test_a_provider_serves_models_under_its_own_name(member: Member) -> None:
    models = idle_adapter(member, Idle(), "somebody").models
    names = [model.name for model in models]
    assert names
    assert len(set(names)) == len(names)
    assert {model.provider for model in models} == {"somebody"}


def test_the_limits_of_every_model_make_sense(member: Member) -> None:
    families = {options().family for options in Options.__args__}
    for model in idle_adapter(member, Idle()).models:
        assert model.kinds
        assert model.kinds <= set(Kind)
        assert model.max_prompt_chars > 0
        assert model.max_image_bytes > 0
        assert 1 <= model.min_images <= model.max_images
        assert model.max_reference_images >= 0
        assert model.max_n >= 1
        assert model.option_family in {"", *families}
        assert model.media_types
        assert set(model.media_types) <= set(EXTENSIONS)
        assert len(set(model.sizes)) == len(model.sizes)
        assert all(size in PATTERNS or parse_size(size) for size in model.sizes)
        assert not model.default_size or model.default_size in model.sizes


def test_what_has_no_mask_and_no_references_needs_none(member: Member) -> None:
    """CreateModelEdit and CreateDefaultModel have one picture, and no field for what else a model needs."""
    for model in idle_adapter(member, Idle()).models:
        if model.kinds - {Kind.EDIT_IMAGE}:
            assert model.mask is not MaskUse.REQUIRED


def test_who_edits_only_its_own_bases_makes_them(member: Member) -> None:
    adapter = idle_adapter(member, Idle())
    kinds = {kind for model in adapter.models for kind in model.kinds}
    assert not adapter.edits_own_bases_only or kinds >= {Kind.MODEL_EDIT, Kind.DEFAULT_MODEL}


# check


@st.composite
def requests(draw: st.DrawFn, model: Model) -> Request:
    """What could be asked of a model, within the rules of every request but not within the model's."""
    kind = draw(st.sampled_from(sorted(model.kinds)))
    edit = kind is Kind.EDIT_IMAGE
    inputs = st.builds(
        Input, image=st.builds(_image, *[st.sampled_from([1, 64, 5000])] * 2, st.sampled_from(Transparency))
    )
    pictures = st.one_of(inputs, st.just(Input(url="https://a.example/x.png")))
    return Request(
        kind=kind,
        model=model.name,
        provider=model.provider,
        prompt=PROMPT,
        images=tuple(draw(st.lists(pictures, min_size=1, max_size=3 if edit else 1))),
        mask=draw(st.none() | pictures) if edit else None,
        reference_images=tuple(draw(st.lists(pictures, max_size=2))) if edit else (),
        n=draw(st.integers(1, 12)) if edit else 1,
        size=draw(st.sampled_from(["", AUTO, "4:3", "100:1", "1024x1024", "17x17", "8192x6000", "3840x16"])),
        options=draw(_options(model)) if edit else None,
    )


def _image(width: int, height: int, transparency: Transparency) -> Image:
    return Image(
        image_id=f"sha256:{0:064x}",
        media_type="image/png",
        width=width,
        height=height,
        size_bytes=width * height,
        transparency=transparency,
    )


def _options(model: Model) -> st.SearchStrategy[Options | None]:
    words = st.sampled_from(["", "high", "xhigh", "transparent", "jpeg", "png", "standard", "nonsense"])
    families: dict[str, st.SearchStrategy[Options]] = {
        "openai": st.builds(
            OpenaiOptions,
            quality=words,
            background=words,
            output_format=words,
            output_compression=st.none() | st.integers(0, 100),
            input_fidelity=words,
            partial_images=st.integers(0, 3),
        ),
        "seedream": st.builds(SeedreamOptions, quality=st.sampled_from(["BASIC", "HIGH"])),
        "ideogram": st.builds(IdeogramOptions, seed=st.none() | st.integers(0, 9)),
    }
    return st.none() | families[model.option_family] if model.option_family else st.none()


@given(st.data())
@settings(HYPOTHESIS, max_examples=60)
def test_check_calls_nobody_and_names_fields_that_are_there(member: Member, data: st.DataObject) -> None:
    idle = Idle()
    adapter = idle_adapter(member, idle)
    model = data.draw(st.sampled_from(adapter.models))
    request = data.draw(requests(model))
    for violation in adapter.check(request, model):
        assert is_path_of(request.kind, violation.field), violation
        assert violation.description
    assert idle.uses == []


async def test_check_takes_what_the_model_says_it_takes(bench: Bench) -> None:
    adapter = bench.adapter
    for job in await jobs(bench, adapter):
        assert check_limits(job.request, job.model) == []
        assert list(adapter.check(job.request, job.model)) == []


# prepare and submit


async def test_prepare_is_repeatable_and_free(bench: Bench) -> None:
    """The intent to pay is not durable yet: whatever happens here may happen again."""
    adapter = bench.adapter
    given = await jobs(bench, adapter)
    charged = len(bench.vendor.ledger)  # for bases
    for job in given:
        first, second = await adapter.prepare(job), await adapter.prepare(job)
        assert isinstance(first, Prepared)
        assert first.warnings == second.warnings
        for each in (*job.images, *job.reference_images):
            assert image_id_of(hashlib.sha256(await each.read()).hexdigest()) == each.image.image_id
    assert len(bench.vendor.ledger) == charged


async def test_submit_is_one_paid_call_with_a_usable_result(bench: Bench) -> None:
    adapter = bench.adapter
    for job in await jobs(bench, adapter):
        charged = len(bench.vendor.ledger)
        prepared, reports = await adapter.prepare(job), Reports()
        result = await carry_out(adapter, prepared, reports)
        assert len(bench.vendor.ledger) == charged + (0 if adapter.charge.is_free else 1)
        assert all(0 <= percent <= 100 for percent in reports.percentages)
        if isinstance(result, Accepted):
            await assert_ends(bench, adapter, job, result)
        else:
            assert isinstance(result, Finished)
            await assert_usable(result.outputs, job)
        assert len(bench.vendor.ledger) == charged + (0 if adapter.charge.is_free else 1)


async def assert_ends(bench: Bench, adapter: Adapter, job: Job, accepted: Accepted) -> None:
    assert accepted.vendor_task_id
    standing = await finish(adapter, accepted.vendor_task_id)
    if job.model.vendor_name in bench.member.endless:
        assert isinstance(standing, InProgress)
        return
    assert isinstance(standing, Finished)
    await assert_usable(standing.outputs, job)
    assert await adapter.poll(accepted.vendor_task_id, Reports()) == standing  # also after a restart


async def assert_usable(outputs: tuple[Output, ...], job: Job) -> None:
    """As many pictures as were asked for, each here or at one address, in a format of the house."""
    assert len(outputs) == job.request.n
    for output in outputs:
        assert bool(output.content) is not bool(output.url)
        content = output.content or await download(output.url)
        with Pillow.open(io.BytesIO(content)) as image:
            image.load()
            assert f"image/{str(image.format).lower()}" in EXTENSIONS


async def download(url: str) -> bytes:
    assert urlsplit(url).scheme in ("http", "https")
    async with httpx.AsyncClient(trust_env=False) as client:
        reply = await client.get(url)
    assert reply.status_code == 200
    return reply.content


async def test_a_model_that_refuses_proves_that_nothing_was_done(bench: Bench) -> None:
    adapter = bench.adapter
    for model in adapter.models:
        if model.vendor_name in bench.member.refusing:
            with pytest.raises(Refused):
                await submit(adapter, least(model, Kind.EDIT_IMAGE))
    assert list(bench.vendor.ledger) == []


async def test_the_same_attempt_again_is_the_same_work(keyed: Bench) -> None:
    """NATIVE_KEY alone promises it: an interrupted attempt is sent again under its own key."""
    for job in await jobs(keyed, keyed.adapter):
        first = await submit(keyed.adapter, job)
        charged = len(keyed.vendor.ledger)
        assert await submit(keyed.adapter, job) == first
        assert len(keyed.vendor.ledger) == charged


async def test_whoever_is_free_has_no_ledger(bench: Bench) -> None:
    adapter = bench.adapter
    assert adapter.charge.is_free is (not bench.member.urls)
    if adapter.charge.is_free:
        assert adapter.usual_key_variable == ""
        assert list(bench.vendor.ledger) == []


# The paid call and its answer, which are kept


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["data", "taskId", "task_id", "id", "code"]), inner, max_size=3)
    ),
    max_leaves=8,
)


CALLBACK_TOKEN = "token-that-nobody-may-see-7f3a9c21d0b85e64"
CALLBACK_URL = f"https://edits.example/callbacks/somebody/{CALLBACK_TOKEN}"


async def test_the_paid_call_is_described_and_not_made(paid: Bench) -> None:
    """Its brief is kept beside the answer, for versions to come: JSON without a credential."""
    adapter = paid.adapter
    for job in await jobs(paid, adapter):
        prepared = await adapter.prepare(replace(job, callback_url=CALLBACK_URL))
        charged = len(paid.vendor.ledger)
        first, second = (adapter.paid_call(prepared, Reports()) for _ in range(2))
        assert (first.path, first.brief, first.limit_seconds) == (
            *(second.path, second.brief, second.limit_seconds),
        )
        brief = json.dumps(first.brief)
        assert not [secret for secret in (*paid.member.secrets, CALLBACK_TOKEN) if secret in brief]
        assert len(paid.vendor.ledger) == charged


async def test_an_answer_is_understood_again_by_whoever_reads_it(paid: Bench) -> None:
    """After a restart, long after: by an adapter that may call nobody, from what was kept."""
    adapter, idle = paid.adapter, Idle()
    other = idle_adapter(paid.member, idle, paid.member.adapter)
    for job in await jobs(paid, adapter):
        call = adapter.paid_call(await adapter.prepare(job), Reports())
        answer = await adapter.payer.pay(call, None)
        kept = replace(answer, brief=json.loads(json.dumps(answer.brief)))
        assert adapter.understand(answer) == other.understand(kept) == other.understand(kept)
    assert idle.uses == []


ANSWER_BODIES = st.one_of(
    st.binary(max_size=200),
    JSON.map(_json),
    JSON.map(lambda value: b"data: " + _json(value) + b"\n\n"),
    st.just(b"<html></html>"),
)
ANSWERS = st.builds(
    Answer,
    status=st.sampled_from([NO_HEAD, 200, 201, 204, 302, 400, 401, 402, 403, 429, 500, 524]),
    headers=st.dictionaries(
        st.sampled_from(["content-type", "content-encoding", "retry-after"]),
        st.sampled_from(["", "application/json", "gzip", "deflate", "5", "soon"]) | st.text(max_size=9),
    ),
    body=ANSWER_BODIES,
    ended=st.sampled_from(Ended),
    note=st.just("It broke."),
    brief=st.dictionaries(st.sampled_from(["n", "words", "previews"]), st.integers() | st.none()),
    call_time=st.just(NOW),
    answer_time=st.just(NOW),
)


@given(answer=ANSWERS)
@settings(HYPOTHESIS, max_examples=150)
def test_whatever_came_is_a_result_or_a_verdict(member: Member, answer: Answer) -> None:
    """Of a vendor, of what stands before it, and of an older version, whose brief says other things."""
    if member.cls.charge.is_free:
        return
    idle = Idle()
    adapter = idle_adapter(member, idle)
    said: object
    try:
        said = adapter.understand(answer)
    except SubmitError as error:
        said = error
    assert isinstance(said, Accepted | Finished | SubmitError)
    assert idle.uses == []


# A vendor that is not there, or does not know us


async def test_a_vendor_that_is_not_there_did_nothing(paid: Bench) -> None:
    """Connection refused: proof, so that it may be tried again."""
    given = await jobs(paid, paid.adapter)
    charged = len(paid.vendor.ledger)
    adapter = paid.missing()
    for job in given:
        with pytest.raises(NotProcessed) as raised:
            await submit(adapter, job)
        assert raised.value.failure.reason is FailureReason.PROVIDER_UNAVAILABLE
    assert len(paid.vendor.ledger) == charged


async def test_a_vendor_that_left_before_the_paid_call_did_nothing(paid: Bench) -> None:
    """As above, when all that is free went well."""
    given = await jobs(paid, paid.adapter)
    charged = len(paid.vendor.ledger)
    adapter = paid.missing("base_url")
    for job in given:
        prepared = await adapter.prepare(job)
        with pytest.raises(NotProcessed):
            await carry_out(adapter, prepared, Reports())
    assert len(paid.vendor.ledger) == charged


async def test_a_key_that_the_vendor_does_not_know_is_final_and_stays_secret(paid: Bench) -> None:
    given = await jobs(paid, paid.adapter)
    charged = len(paid.vendor.ledger)
    adapter = paid.make(api_key="another-key-that-nobody-may-see")
    for job in given:
        with pytest.raises((Refused, PrepareError)) as raised:
            await submit(adapter, job)
        assert isinstance(raised.value, Refused | PrepareError)
        assert raised.value.failure.reason is FailureReason.PROVIDER_CREDENTIALS
        assert "nobody-may-see" not in f"{raised.value!r} {vars(raised.value)}"
    assert len(paid.vendor.ledger) == charged


# Callbacks and polls that nobody asked for


@pytest.mark.parametrize("vendor_task_id", UNKNOWN_IDS, ids=lambda text: text[:10] or "empty")
async def test_nothing_unknown_ever_succeeded(bench: Bench, vendor_task_id: str) -> None:
    """Any exception of a poll means: ask again later. An invented end would not."""
    said = await poll_or_error(bench.adapter, vendor_task_id)
    assert not isinstance(said, Finished | Failure)
    assert API_KEY not in str(said)
    assert list(bench.vendor.ledger) == []


async def poll_or_error(adapter: Adapter, vendor_task_id: str) -> object:
    try:
        return await adapter.poll(vendor_task_id, Reports())
    except Exception as error:  # noqa: BLE001  the seam allows every one
        return error


BODIES = st.one_of(
    st.binary(max_size=200),
    JSON.map(_json),
    st.text(min_size=1, max_size=9).map(lambda text: _json({"data": {"taskId": text}})),
    st.integers(1, 30_000).map(lambda depth: b'{"data":' * depth),
    st.just(b'{"taskId":"' + b"a" * 100_000 + b'"}'),
)
SIGNED = ("x-webhook-timestamp", "x-webhook-signature")
RECENT = str(int(NOW.timestamp()))
HEADERS = st.dictionaries(
    st.sampled_from([*SIGNED, "content-type"]) | st.text(max_size=9),
    st.sampled_from([RECENT, "9" * 400, "²", ""]) | st.text(max_size=20),
    max_size=4,
) | st.text(max_size=20).map(lambda text: dict(zip(SIGNED, (RECENT, text), strict=True)))


@given(headers=HEADERS, body=BODIES)
@settings(HYPOTHESIS, max_examples=200)
def test_a_callback_from_anyone_raises_nothing_else(
    member: Member, headers: dict[str, str], body: bytes
) -> None:
    """Signed or not: the address of callbacks is open to the world."""
    for adapter in adapters_for_callbacks(member):
        try:
            callback = adapter.read_callback(headers, body)
        except CallbackRefused:
            continue
        assert isinstance(callback, Callback)
        assert len(callback.vendor_task_id) <= MAX_ID_CHARS
        assert callback.vendor_task_id.isprintable()  # empty where it names no work: a hint all the same


def adapters_for_callbacks(member: Member) -> list[Adapter]:
    """The member as it is, and without the key of callbacks where it has one."""
    idle = Idle()
    open_to_all = {key: "" for key in member.settings if "hmac" in key}
    tables = [member, replace(member, settings={**member.settings, **open_to_all})]
    return [idle_adapter(table, idle) for table in tables[: 2 if open_to_all else 1]]


def test_who_is_correlated_by_callbacks_reads_them(member: Member) -> None:
    """CALLBACK_CORRELATED promises that a callback can tell the forgotten id."""
    reads = member.cls.read_callback is not Adapter.read_callback
    assert reads is (member.cls.submit_safety is SubmitSafety.CALLBACK_CORRELATED)
