"""The vendor server is as strict as the pages, charges once a task, and signs as the vendor does."""

import asyncio
import io
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.vendors import serving
from tests.vendors.kie.behaviours import says
from tests.vendors.kie.server import KieVendor

CREATE = "/api/v1/jobs/createTask"


def png(size: tuple[int, int] = (32, 24), mode: str = "RGB") -> bytes:
    out = io.BytesIO()
    Image.new(mode, size).save(out, "PNG")
    return out.getvalue()


class Client:
    """Speaks to the vendor as its pages say."""

    def __init__(self, vendor: KieVendor) -> None:
        self.vendor = vendor
        headers = {"Authorization": f"Bearer {vendor.api_key}", "User-Agent": "tests/1"}
        self.http = httpx.AsyncClient(headers=headers, trust_env=False, timeout=60)
        self.count = 0

    async def upload(self, content: bytes | None = None, **changes: str) -> str:
        reply = await self.post_upload(content, **changes)
        return str(reply.json()["data"]["downloadUrl"])

    async def post_upload(self, content: bytes | None = None, **changes: str) -> httpx.Response:
        self.count += 1
        fields = {"uploadPath": "tests", "fileName": f"{self.count:032x}.png", **changes}
        file = (fields["fileName"], png() if content is None else content, "image/png")
        return await self.http.post(
            f"{self.vendor.upload_url}/api/file-stream-upload", data=fields, files={"file": file}
        )

    async def create(self, body: Any, **options: Any) -> dict[str, Any]:
        reply = await self.http.post(f"{self.vendor.api_url}{CREATE}", json=body, **options)
        assert reply.status_code == 200
        answer: dict[str, Any] = reply.json()
        return answer

    async def record(self, task_id: str) -> dict[str, Any]:
        url = f"{self.vendor.api_url}/api/v1/jobs/recordInfo"
        answer: dict[str, Any] = (await self.http.get(url, params={"taskId": task_id})).json()
        return answer

    async def seedream(self) -> dict[str, Any]:
        return {
            "model": "seedream/4.5-edit",
            "callBackUrl": "http://127.0.0.1:9/callbacks/kie/token",
            "input": {
                "prompt": "p",
                "image_urls": [await self.upload()],
                "aspect_ratio": "1:1",
                "quality": "basic",
            },
        }

    async def character(self) -> dict[str, Any]:
        return {
            "model": "ideogram/character-edit",
            "input": {
                "prompt": "p",
                "image_url": await self.upload(),
                "mask_url": await self.upload(png(mode="L")),
                "reference_image_urls": [await self.upload()],
                "rendering_speed": "BALANCED",
                "style": "AUTO",
                "expand_prompt": True,
                "num_images": "2",
                "seed": 7,
            },
        }


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with KieVendor() as vendor:
        client = Client(vendor)
        yield client
        await client.http.aclose()


async def test_a_task_is_charged_once_and_ends_with_pictures(client: Client) -> None:
    answer = await client.create(await client.character())
    assert (answer["code"], answer["data"]["taskId"]) == (200, answer["data"]["recordId"])
    task_id = answer["data"]["taskId"]
    records = [(await client.record(task_id))["data"] for _ in range(5)]
    assert [record["state"] for record in records] == ["waiting", "queuing", "generating", *["success"] * 2]
    assert records[0]["resultJson"] == ""
    urls = json.loads(records[-1]["resultJson"])["resultUrls"]
    assert len(urls) == 2
    for url in urls:
        async with httpx.AsyncClient(trust_env=False, timeout=60) as anybody:
            picture = (await anybody.get(url)).content
        assert Image.open(io.BytesIO(picture)).size == (32, 24)
    assert [charge.task_id for charge in client.vendor.ledger] == [task_id]
    assert client.vendor.balance == 1_000_000 - 36


async def test_what_is_sent_to_a_task_comes_back_twice_wrapped(client: Client) -> None:
    body = await client.seedream()
    answer = await client.create(body)
    param = json.loads((await client.record(answer["data"]["taskId"]))["data"]["param"])
    assert json.loads(param["input"]) == body["input"]


SEEDREAM: list[dict[str, Any]] = [
    {"prompt": ""},
    {"prompt": 7},
    {"prompt": "x" * 3001},
    {"image_urls": []},
    {"image_urls": "https://x/y.png"},
    {"image_urls": ["https://example.com/not-uploaded.png"]},
    {"image_urls": [None]},
    {"aspect_ratio": "5:4"},
    {"aspect_ratio": "auto"},
    {"quality": "HIGH"},
    {"quality": None},
    {"nsfw_checker": "true"},
    {"seed": 7},
    {"mask_url": "https://x/y.png"},
]
CHARACTER: list[dict[str, Any]] = [
    {"prompt": "x" * 5001},
    {"num_images": 2},
    {"num_images": "5"},
    {"expand_prompt": "true"},
    {"expand_prompt": 1},
    {"seed": "7"},
    {"seed": True},
    {"seed": 1.5},
    {"rendering_speed": "turbo"},
    {"style": ""},
    {"style_codes": []},
    {"reference_image_urls": []},
    {"aspect_ratio": "1:1"},
]


@pytest.mark.parametrize("change", SEEDREAM, ids=lambda change: f"{change!r:.50}")
async def test_seedream_is_strict(client: Client, change: dict[str, Any]) -> None:
    body = await client.seedream()
    assert (await client.create(body | {"input": body["input"] | change}))["code"] == 422
    assert client.vendor.ledger == []


@pytest.mark.parametrize("change", CHARACTER, ids=lambda change: f"{change!r:.50}")
async def test_character_edit_is_strict(client: Client, change: dict[str, Any]) -> None:
    body = await client.character()
    assert (await client.create(body | {"input": body["input"] | change}))["code"] == 422
    assert client.vendor.ledger == []


async def test_a_field_that_is_missing_is_an_error_in_disguise(client: Client) -> None:
    body = await client.character()
    del body["input"]["mask_url"]
    answer = await client.create(body)
    assert (answer["code"], answer["msg"]) == (500, "This field is required")


async def test_fifteen_pictures_are_too_many(client: Client) -> None:
    body = await client.seedream()
    body["input"]["image_urls"] *= 15
    assert (await client.create(body))["code"] == 422


@pytest.mark.parametrize("mask", [png((24, 32), "L"), png(mode="RGBA")], ids=["size", "alpha"])
async def test_the_mask_must_fit(client: Client, mask: bytes) -> None:
    body = await client.character()
    body["input"]["mask_url"] = await client.upload(mask)
    assert (await client.create(body))["code"] == 422


@pytest.mark.parametrize(
    "change",
    [
        {"model": "seedream/5"},
        {"model": None},
        {"input": None},
        {"callbackUrl": "http://x"},
        {"callBackUrl": ""},
    ],
    ids=repr,
)
async def test_the_outer_fields_are_strict(client: Client, change: dict[str, Any]) -> None:
    assert (await client.create(await client.seedream() | change))["code"] == 422


@pytest.mark.parametrize("headers", [{"Authorization": "Bearer x"}, {"Content-Type": "text/plain"}], ids=repr)
async def test_the_key_and_the_type_are_asked_for(client: Client, headers: dict[str, str]) -> None:
    assert (await client.create(await client.seedream(), headers=headers))["code"] == 401


async def test_the_edge_turns_a_librarys_name_away(client: Client) -> None:
    reply = await client.http.post(
        f"{client.vendor.api_url}{CREATE}", json={}, headers={"User-Agent": "python-httpx/0.28.1"}
    )
    assert (reply.status_code, reply.text) == (403, "error code: 1010")


@pytest.mark.parametrize(
    "changes",
    [
        {"uploadPath": "/tests"},
        {"uploadPath": "tests/"},
        {"uploadPath": ""},
        {"fileName": "short.png"},
        {"fileName": "0" * 32 + ".jpg"},
        {"more": "x"},
    ],
    ids=repr,
)
async def test_uploads_are_strict(client: Client, changes: dict[str, str]) -> None:
    reply = await client.post_upload(None, **changes)
    assert (reply.status_code, reply.json()["success"]) == (400, False)


async def test_an_upload_must_be_a_picture_with_a_name_of_its_own(client: Client) -> None:
    assert (await client.post_upload(b"no picture")).status_code == 400
    assert (await client.post_upload(fileName="0" * 32 + ".png")).status_code == 200
    assert (await client.post_upload(fileName="0" * 32 + ".png")).status_code == 400


async def test_the_account_may_create_twenty_tasks_in_ten_seconds(client: Client) -> None:
    now = 1000.0
    client.vendor.clock = lambda: now
    body = await client.seedream()
    assert [(await client.create(body))["code"] for _ in range(20)] == [200] * 20
    reply = await client.http.post(f"{client.vendor.api_url}{CREATE}", json=body)
    assert (reply.status_code, reply.json()["code"]) == (429, 429)
    now += 10
    assert (await client.create(body))["code"] == 200
    assert len(client.vendor.ledger) == 21


async def test_misbehaviour_is_counted(client: Client) -> None:
    vendor = client.vendor
    vendor.misbehave("credit", says(500), times=2)
    vendor.misbehave("credit", says(455))
    url = f"{vendor.api_url}/api/v1/chat/credit"
    codes = [(await client.http.get(url)).json()["code"] for _ in range(4)]
    assert codes == [500, 500, 455, 200]
    vendor.misbehave("credit", says(500), times=None)
    codes = [(await client.http.get(url)).json()["code"] for _ in range(4)]
    vendor.behave()
    assert codes == [500] * 4
    assert (await client.http.get(url)).json()["code"] == 200


@pytest.mark.parametrize("failing", [False, True])
async def test_a_callback_is_delivered_and_signed(client: Client, failing: bool) -> None:
    """The signature is that of VENDORS §2.4; the body is what recordInfo says."""
    got: list[serving.Request] = []

    async def door(request: serving.Request) -> serving.Response:
        got.append(request)
        return serving.json_response({})

    vendor = client.vendor
    vendor.webhook_key = "secret"
    if failing:
        vendor.fail_next("500", "Internal Error, Please try again later.")
    async with serving.serve(door) as url:
        body = await client.seedream() | {"callBackUrl": f"{url}/callbacks/kie/token"}
        task_id = (await client.create(body))["data"]["taskId"]
        vendor.finish(task_id)
        assert await vendor.call_back(task_id, timestamp=1_760_000_000) == 200
    [request] = got
    content = json.loads(request.body)
    assert (request.method, request.path) == ("POST", "/callbacks/kie/token")
    assert content["code"] == (501 if failing else 200)
    assert content["data"] == (await client.record(task_id))["data"]
    assert request.headers["x-webhook-timestamp"] == "1760000000"
    assert (
        request.headers["x-webhook-signature"]
        == vendor.signature(task_id, 1_760_000_000)["X-Webhook-Signature"]
    )


def test_the_signature_is_the_vector_of_vendors_6() -> None:
    assert KieVendor(webhook_key="secret").signature("task_123", 1_760_000_000) == {
        "X-Webhook-Timestamp": "1760000000",
        "X-Webhook-Signature": "Br81GVXZMiBwxewzmxMXtJtGONcGt5ocZjcQVqF/aKs=",
    }


async def test_a_task_of_a_former_server_is_known_and_not_charged_again(client: Client) -> None:
    content = png()
    client.vendor.adopt("0" * 32, [content], states=("generating", "success"))
    first, second = [(await client.record("0" * 32))["data"] for _ in range(2)]
    assert (first["state"], second["state"]) == ("generating", "success")
    [url] = json.loads(second["resultJson"])["resultUrls"]
    async with httpx.AsyncClient(trust_env=False, timeout=60) as anybody:
        assert (await anybody.get(url)).content == content
    assert client.vendor.ledger == []


async def test_a_credential_at_the_result_host_is_noted(client: Client) -> None:
    url = await client.upload()
    await client.http.get(url)
    assert len(client.vendor.leaks) == 1


async def test_a_demo_ends_its_tasks_by_itself_and_calls_back() -> None:
    called = asyncio.Event()

    async def door(_request: serving.Request) -> serving.Response:
        called.set()
        return serving.json_response({})

    async with KieVendor(work_seconds=0.05) as vendor, serving.serve(door) as url:
        client = Client(vendor)
        body = await client.seedream() | {"callBackUrl": f"{url}/callbacks/kie/token"}
        task_id = (await client.create(body))["data"]["taskId"]
        await asyncio.wait_for(called.wait(), 60)
        assert vendor.tasks[task_id].state == "success"
        await client.http.aclose()


def test_it_shares_no_code_with_the_adapter() -> None:
    for path in Path(__file__).parents[1].rglob("*.py"):
        assert not re.search(r"^\s*(from|import) imageedit_server", path.read_text(), re.MULTILINE), path
