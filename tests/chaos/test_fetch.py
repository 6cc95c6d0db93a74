"""URLs of callers, through the whole service: what is refused is never connected to (P17, PROMISES §3)."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio

from imageedit_client import AsyncClient, ImageSource, InvalidArgument, Task
from imageedit_server.outbound.errors import NameUnresolved
from imageedit_server.outbound.network import Network
from tests.chaos.limits import shorten
from tests.chaos.pictures import HUGE_PNG, JPEG, NO_RESULTS, PNG, REFUSED, SHARES, encoded, noise, photo
from tests.chaos.service import Connects, Service, serving
from tests.chaos.words import billing_of, state_of
from tests.outbound.corpus import URLS
from tests.servers.config import base_tables
from tests.vendors.serving import (
    Answer,
    Request,
    Response,
    cut,
    endless_body,
    gzip_bomb,
    hang,
    not_http,
    reset,
    serve,
)

MAX_BYTES = 100_000
AT_ONCE = 4
NAMES: Mapping[str, Sequence[str]] = {
    "loopback.example.com": ["127.0.0.1"],
    "metadata.example.com": ["169.254.169.254"],
    "private.example.com": ["10.1.2.3"],
    "six.example.com": ["::1"],
    "mapped.example.com": ["::ffff:127.0.0.1"],
    "mixed.example.com": ["93.184.215.14", "127.0.0.1"],
    "both.example.com": ["93.184.215.14", "::1"],
}
"""What these names are to the resolver: somebody's own choice."""


@dataclass
class World:
    """A service that fetches, a host that it may fetch from, and a resolver that a stranger controls."""

    service: Service
    connects: Connects
    url: str
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)

    @property
    def client(self) -> AsyncClient:
        return self.service.client

    def give(self, name: str, answer: Answer) -> str:
        """Serve ``answer``; return its URL."""
        self.answers[f"/{name}"] = answer
        return f"{self.url}/{name}"

    async def edit(self, url: str) -> Task:
        """Edit the picture behind a URL with the provider that costs nothing; return how it ended."""
        source = ImageSource(url=url)
        return await self.client.wait((await self.client.edit_image("make it warmer", [source])).task_id)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        monkeypatch = stack.enter_context(pytest.MonkeyPatch.context())
        shorten(monkeypatch)
        answers: dict[str, Answer] = {}
        asked = Counter[str]()

        async def honest(request: Request) -> Answer:
            return answers.get(request.path, Response(status=404, body=b"no"))

        async def resolve(network: Network, host: str) -> tuple[str, ...]:
            asked[host] += 1
            if host.replace(".", "").isdigit() or ":" in host:
                return (host,)
            if host not in NAMES:
                raise NameUnresolved("not here")
            return tuple(NAMES[host])

        monkeypatch.setattr(Network, "resolve", resolve)
        connects = Connects(monkeypatch)
        url = await stack.enter_async_context(serve(honest))
        tables = {**base_tables(allow=[url]), "images": {"max_bytes": MAX_BYTES, "max_pixels": 1_000_000}}
        service = await stack.enter_async_context(serving(tmp_path_factory.mktemp("fetch"), tables))
        yield World(service, connects, url, answers, asked)


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_corpus_leads_nowhere(world: World) -> None:
    """Every line is INVALID_ARGUMENT at once, or a task that FAILED with URL_REFUSED; no socket is opened."""
    before = len(world.connects.places)
    outcomes = await asyncio.gather(*(_outcome(world, url) for url in URLS))
    assert set(outcomes) <= {"URL_REFUSED", "INVALID_FIELD", "task URL_REFUSED"}, dict(
        zip(URLS, outcomes, strict=True)
    )
    assert outcomes.count("URL_REFUSED") > 0.9 * len(URLS)
    assert world.connects.places[before:] == []


async def _outcome(world: World, url: str) -> str:
    try:
        task = await world.edit(url)
    except InvalidArgument as error:
        fields = [violation.field for violation in error.field_violations]
        return str(error.reason) if fields == ["images[0].url"] else f"{error.reason} of {fields}"
    assert (state_of(task), billing_of(task)) == ("FAILED", "NOT_CHARGED")
    return f"task {task.error.reason}"


async def test_nothing_of_a_refused_request_is_stored(world: World) -> None:
    tasks = [task.task_id async for task in world.client.list()]
    for place in ("images", "mask", "reference_images"):
        source = ImageSource(url="https://169.254.169.254/latest")
        given: dict[str, Any] = {"images": [photo()], place: source if place == "mask" else [source]}
        with pytest.raises(InvalidArgument) as refused:
            await world.client.edit_image("x", model="local/basic", **given)
        assert refused.value.reason == "URL_REFUSED"
    assert [task.task_id async for task in world.client.list()] == tasks


async def test_a_name_that_leads_inside_is_refused_when_it_is_resolved(world: World) -> None:
    """One resolution, every answer judged, mixed ones too; then no socket."""
    before = len(world.connects.places)
    for name in NAMES:
        task = await world.edit(f"https://{name}/x.png")
        assert (state_of(task), task.error.reason, list(task.attempts)) == ("FAILED", "URL_REFUSED", []), name
        assert world.asked[name] == 1
        assert name not in task.error.message
    assert world.connects.places[before:] == []


async def test_a_name_that_nobody_knows_brings_no_picture(world: World) -> None:
    assert (await world.edit("https://nowhere.example.com/x.png")).error.reason == "INPUT_FETCH_FAILED"


async def test_a_host_that_the_operator_trusts_is_fetched_from(world: World) -> None:
    for content in (photo(), JPEG, PNG):
        task = await world.edit(world.give("fine", Response(body=content, media_type="text/plain")))
        assert state_of(task) == "SUCCEEDED"


REDIRECTS: Mapping[str, str] = {
    "http://169.254.169.254/latest/meta-data/": "URL_REFUSED",
    "https://10.0.0.1/": "URL_REFUSED",
    "file:///etc/passwd": "URL_REFUSED",
    "https://loopback.example.com/": "URL_REFUSED",
    "//localhost/": "URL_REFUSED",
    "/again": "INPUT_FETCH_FAILED",
}


async def test_a_redirect_is_judged_like_the_first_url(world: World) -> None:
    before = len(world.connects.places)
    world.give("again", Response(status=302, headers={"location": "/again"}))
    for location, reason in REDIRECTS.items():
        url = world.give("away", Response(status=302, headers={"location": location}))
        assert (await world.edit(url)).error.reason == reason, location
    assert set(world.connects.places[before:]) == {world.url.removeprefix("http://")}
    world.give("fine", Response(body=photo()))
    url = world.give("near", Response(status=307, headers={"location": "/fine"}))
    assert state_of(await world.edit(url)) == "SUCCEEDED"


BAD_ANSWERS: Sequence[tuple[str, Answer, str]] = (
    *(
        (f"status {status}", Response(status=status, body=PNG), "INPUT_FETCH_FAILED")
        for status in (201, 403, 404, 410, 500)
    ),
    ("cut short", cut(Response(body=PNG)), "INPUT_FETCH_FAILED"),
    ("reset", reset, "INPUT_FETCH_FAILED"),
    ("hangs", hang, "INPUT_FETCH_FAILED"),
    ("no HTTP", not_http, "INPUT_FETCH_FAILED"),
    ("gzip", gzip_bomb(1), "INPUT_FETCH_FAILED"),
    ("a tebibyte", endless_body, "INPUT_FETCH_FAILED"),
    ("too large", Response(body=encoded(noise((400, 400)), "PNG")), "INPUT_FETCH_FAILED"),
    *(
        (name, Response(body=content), "IMAGE_UNDECODABLE")
        for name, content in {**NO_RESULTS, **REFUSED}.items()
        if content is not HUGE_PNG
    ),
    *(
        (f"{share:.0%} of a JPEG", Response(body=JPEG[: int(len(JPEG) * share)]), "IMAGE_UNDECODABLE")
        for share in SHARES
    ),
    ("40000 x 40000", Response(body=HUGE_PNG), "IMAGE_TOO_LARGE"),
)


async def test_what_is_no_picture_ends_the_task_unpaid(world: World) -> None:
    places = asyncio.Semaphore(AT_ONCE)

    async def edit(name: str, answer: Answer) -> tuple[str, str, str]:
        async with places:
            task = await world.edit(world.give(name.replace(" ", "-").replace("%", ""), answer))
        return state_of(task), task.error.reason, billing_of(task)

    ended = await asyncio.gather(*(edit(name, answer) for name, answer, _ in BAD_ANSWERS))
    seen = {name: outcome for (name, *_), outcome in zip(BAD_ANSWERS, ended, strict=True)}
    assert seen == {name: ("FAILED", reason, "NOT_CHARGED") for name, _, reason in BAD_ANSWERS}
