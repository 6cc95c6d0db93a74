"""The vendor server is as strict as the page, charges once a job, and answers as the vendor does."""

import base64
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.vendors.suitme.behaviours import page
from tests.vendors.suitme.server import ImageAs, SuitmeVendor


def picture(name: str = "PNG") -> str:
    out = io.BytesIO()
    Image.new("RGB", (32, 24), "red").save(out, name)
    return f"data:image/{name.lower()};base64,{base64.b64encode(out.getvalue()).decode()}"


DEFAULT: dict[str, Any] = {"user_id": "u", "picture_url": picture(), "body_profile": {}, "size": "4:3"}
EDIT: dict[str, Any] = {"user_id": "u", "base_model_task_id": "x", "edit_instructions": "e", "size": "4:3"}


class Client:
    """Speaks to the vendor as its page says."""

    def __init__(self, vendor: SuitmeVendor) -> None:
        self.vendor = vendor
        headers = {"Authorization": f"Bearer {vendor.api_key}"}
        self.http = httpx.AsyncClient(headers=headers, base_url=vendor.url, trust_env=False, timeout=60)

    async def create(self, path: str, body: Any) -> tuple[int, Any]:
        reply = await self.http.post(f"/models/{path}", json=body)
        return reply.status_code, reply.json()

    async def standing(self, task_id: object) -> dict[str, Any]:
        data: dict[str, Any] = (await self.http.get(f"/tasks/{task_id}")).json()["data"]
        return data

    async def base(self) -> str:
        _, body = await self.create("default", DEFAULT)
        self.vendor.finish(body["data"]["task_id"])
        return str(body["data"]["task_id"])


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with SuitmeVendor() as vendor:
        client = Client(vendor)
        yield client
        await client.http.aclose()


async def test_a_job_is_charged_once_and_ends_with_a_picture(client: Client) -> None:
    status, body = await client.create("default", DEFAULT)
    task_id = body["data"]["task_id"]
    assert (status, body) == (
        202,
        {"code": 0, "msg": "accepted", "data": {"task_id": task_id, "status": "submitted", "angle": None}},
    )
    standings = [await client.standing(task_id) for _ in range(5)]
    assert [standing["status"] for standing in standings] == [
        "submitted",
        "processing",
        "processing",
        "completed",
        "completed",
    ]
    assert standings[0]["image"] == {"image_base64": None, "image_url": None}
    async with httpx.AsyncClient(trust_env=False, timeout=60) as anybody:
        content = (await anybody.get(standings[-1]["image"]["image_url"])).content
    assert Image.open(io.BytesIO(content)).size == (96, 72)
    assert [charge.task_id for charge in client.vendor.ledger] == [task_id]
    assert client.vendor.leaks == []


async def test_an_edit_starts_from_a_finished_default_model(client: Client) -> None:
    base = await client.base()
    status, body = await client.create("edit", EDIT | {"base_model_task_id": base})
    assert status == 202
    assert (await client.standing(body["data"]["task_id"]))["type"] == "edit"


@pytest.mark.parametrize(
    "change",
    [
        {"user_id": ""},
        {"user_id": 7},
        {"user_id": None},
        {"picture_url": ""},
        {"picture_url": "ftp://x/y"},
        {"picture_url": "data:image/png;base64,"},
        {"picture_url": "data:image/tiff;base64,AAAA"},
        {"picture_url": picture().replace("png", "jpeg", 1)},
        {"picture_url": picture() + "\n"},
        {"picture_url": picture()[:-48]},
        {"body_profile": None},
        {"body_profile": []},
        {"body_profile": {"gender": "male"}},
        {"body_profile": {"height": 0}},
        {"body_profile": {"height": 301}},
        {"body_profile": {"weight": "60"}},
        {"body_profile": {"age": 30.5}},
        {"body_profile": {"age": 0}},
        {"body_profile": {"height_cm": 170}},
        {"body_profile": {"skin_color": 1}},
        {"size": "7:5"},
        {"size": ""},
        {"size": None},
        {"angle": "front"},
    ],
    ids=lambda change: f"{change!r:.30} {len(repr(change))}",
)
async def test_default_models_are_strict(client: Client, change: dict[str, Any]) -> None:
    status, body = await client.create("default", DEFAULT | change)
    assert status == 422
    assert all(problem["loc"][0] == "body" and problem["msg"] for problem in body["detail"])
    assert client.vendor.ledger == []


@pytest.mark.parametrize(
    "change",
    [
        {"user_id": ""},
        {"base_model_task_id": ""},
        {"base_model_task_id": 7},
        {"edit_instructions": ""},
        {"size": "auto"},
        {"picture_url": picture()},
    ],
    ids=lambda change: f"{change!r:.50}",
)
async def test_edits_are_strict(client: Client, change: dict[str, Any]) -> None:
    assert (await client.create("edit", EDIT | change))[0] == 422
    assert client.vendor.ledger == []


@pytest.mark.parametrize(("path", "body"), [("default", DEFAULT), ("edit", EDIT)])
async def test_what_is_required(client: Client, path: str, body: dict[str, Any]) -> None:
    base = await client.base()
    whole = body | ({"base_model_task_id": base} if path == "edit" else {})
    for name in body:
        status, _ = await client.create(path, {key: value for key, value in whole.items() if key != name})
        assert status == (202 if name == "size" else 422), name


@pytest.mark.parametrize("content", [b"{", b"", b"\xff"])
async def test_what_is_not_json(client: Client, content: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    assert (await client.http.post("/models/edit", content=content, headers=headers)).status_code == 422
    assert (await client.http.post("/models/edit", content=content)).status_code == 422


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize(("method", "path"), [("POST", "/models/default"), ("GET", "/tasks/x")])
async def test_the_key_is_asked_for(client: Client, method: str, path: str, flat: bool) -> None:
    client.vendor.flat_errors = flat
    for headers in ({"Authorization": "Bearer x"}, {"Authorization": ""}):
        reply = await client.http.request(method, path, headers=headers, json=DEFAULT)
        error = reply.json() if flat else reply.json()["detail"]
        assert (reply.status_code, error["code"]) == (401, 1005)


async def test_what_is_not_there(client: Client) -> None:
    assert (await client.http.get("/tasks/x")).json()["detail"]["code"] == 1003
    assert (await client.http.get("/models/edit")).status_code == 405
    assert (await client.http.post("/models/outfit", json={})).json() == {"detail": "Not Found"}
    assert (await client.http.get("/results/x.png")).status_code == 404
    assert (await client.http.get("/health")).json() == {"status": "healthy"}


@pytest.mark.parametrize("image_as", [ImageAs.LOST, ImageAs.NULL, ImageAs.BASE64])
async def test_other_builds_show_pictures_otherwise(client: Client, image_as: ImageAs) -> None:
    client.vendor.image_as = image_as
    image = (await client.standing(await client.base()))["image"]
    if image_as is ImageAs.NULL:
        assert image is None
    else:
        assert image["image_url"] is None
        assert (image["image_base64"] is not None) == (image_as is ImageAs.BASE64)


async def test_misbehaviour_is_counted(client: Client) -> None:
    base = await client.base()
    client.vendor.misbehave("tasks", page(500), times=2)
    client.vendor.misbehave("tasks", page(503))
    codes = [(await client.http.get(f"/tasks/{base}")).status_code for _ in range(4)]
    assert codes == [500, 500, 503, 200]
    client.vendor.misbehave("tasks", page(500), times=None)
    assert {(await client.http.get(f"/tasks/{base}")).status_code for _ in range(4)} == {500}
    client.vendor.behave()
    assert (await client.http.get(f"/tasks/{base}")).status_code == 200


async def test_a_job_of_a_former_server_is_known_and_not_charged_again(client: Client) -> None:
    client.vendor.adopt("task_of_then", b"picture of then")
    standing = (await client.http.get("/tasks/task_of_then")).json()["data"]
    assert (standing["status"], standing["type"]) == ("completed", "edit")
    assert (await client.http.get("/results/task_of_then.png")).content == b"picture of then"
    assert client.vendor.ledger == []


async def test_a_credential_at_the_result_is_noted(client: Client) -> None:
    await client.http.get(f"/results/{await client.base()}.png")
    assert len(client.vendor.leaks) == 1


def test_it_shares_no_code_with_the_adapter() -> None:
    for path in Path(__file__).parent.glob("*.py"):
        if path != Path(__file__):
            assert "imageedit_server" not in path.read_text(), path
