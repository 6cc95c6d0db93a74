"""The vendor server is strict: what breaks a rule is refused, charged nothing, and says why."""

import sys
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest

from tests.providers.openai.jobs import mask, picture
from tests.servers.processes import Servers
from tests.servers.programs import ROOT
from tests.vendors.openai.behaviours import page, sends
from tests.vendors.openai.server import OpenaiVendor, Personality

File = tuple[str, tuple[str, bytes, str]]
Fields = dict[str, str]

PHOTO: File = ("image", ("image.png", picture(), "image/png"))
SQUARE = (64, 64)
CUT_OUT: File = ("image", ("image.png", mask(size=SQUARE), "image/png"))
MASK: File = ("mask", ("mask.png", mask(), "image/png"))
GOOD: Fields = {"prompt": "x", "model": "gpt-image-2"}


async def post(
    vendor: OpenaiVendor,
    fields: Fields,
    files: Sequence[File],
    *,
    path: str = "/v1/images/edits",
    key: str | None = None,
) -> httpx.Response:
    headers = {"authorization": f"Bearer {key or vendor.api_key}"}
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        return await client.post(f"{vendor.url}{path}", data=fields, files=list(files), headers=headers)


GPT_IMAGE_REFUSED: list[tuple[str, Fields, list[File]]] = [
    ("unknown field", {"response_format": "b64_json"}, [PHOTO]),
    ("no image", {}, [MASK]),
    ("both names", {}, [PHOTO, ("image[]", ("b.png", picture(), "image/png"))]),
    ("two of one name", {}, [PHOTO, PHOTO]),
    ("numbered names", {}, [("image[0]", ("a.png", picture(), "image/png"))]),
    ("seventeen", {}, [("image[]", ("a.png", picture(), "image/png"))] * 17),
    ("no extension", {}, [("image", ("image", picture(), "image/png"))]),
    ("wrong extension", {}, [("image", ("image.jpg", picture(), "image/png"))]),
    ("wrong type", {}, [("image", ("image.png", picture(), "image/jpeg"))]),
    ("no picture", {}, [("image", ("image.png", b"text", "image/png"))]),
    ("a field as a file", {}, [PHOTO, ("n", ("n.txt", b"1", "text/plain"))]),
    ("mask of another size", {}, [PHOTO, ("mask", ("mask.png", mask(size=(8, 8)), "image/png"))]),
    ("mask without alpha", {}, [PHOTO, ("mask", ("mask.png", picture(), "image/png"))]),
    ("mask as WebP", {}, [PHOTO, ("mask", ("mask.webp", mask("WEBP"), "image/webp"))]),
    ("two masks", {}, [PHOTO, MASK, MASK]),
    ("empty prompt", {"prompt": ""}, [PHOTO]),
    ("long prompt", {"prompt": "x" * 32_001}, [PHOTO]),
    ("n 0", {"n": "0"}, [PHOTO]),
    ("n 11", {"n": "11"}, [PHOTO]),
    ("n 01", {"n": "01"}, [PHOTO]),
    ("odd size", {"size": "1000x1000"}, [PHOTO]),
    ("size in 8K", {"size": "7680x4320"}, [PHOTO]),
    ("quality of another family", {"quality": "max"}, [PHOTO]),
    ("transparent JPEG", {"background": "transparent", "output_format": "jpeg"}, [PHOTO]),
    ("compressed PNG", {"output_compression": "50"}, [PHOTO]),
    ("partial pictures unstreamed", {"partial_images": "1"}, [PHOTO]),
    ("two pictures streamed", {"stream": "true", "n": "2"}, [PHOTO]),
    ("no model", {"model": ""}, [PHOTO]),
]


@pytest.mark.parametrize(
    ("case", "fields", "files"), GPT_IMAGE_REFUSED, ids=[row[0] for row in GPT_IMAGE_REFUSED]
)
async def test_openai_refuses(case: str, fields: Fields, files: list[File]) -> None:
    async with OpenaiVendor() as vendor:
        reply = await post(vendor, GOOD | fields, files)
        assert reply.status_code == (404 if case == "no model" else 400)
        assert set(reply.json()["error"]) == {"message", "type", "param", "code"}
        assert vendor.ledger == []


DALL_E_2_REFUSED: list[tuple[str, Fields, list[File]]] = [
    ("not square", {}, [PHOTO, MASK]),
    ("no alpha and no mask", {}, [("image", ("image.png", picture(size=SQUARE), "image/png"))]),
    ("JPEG", {}, [("image", ("image.jpg", picture("JPEG", SQUARE), "image/jpeg"))]),
    ("two", {}, [("image[]", CUT_OUT[1])] * 2),
    ("too large", {}, [("image", ("image.png", mask(size=SQUARE) + bytes(4 * 1024 * 1024), "image/png"))]),
    ("long prompt", {"prompt": "x" * 1001}, [CUT_OUT]),
    ("another size", {"size": "1536x1024"}, [CUT_OUT]),
    ("quality", {"quality": "standard"}, [CUT_OUT]),
    ("another format", {"response_format": "png"}, [CUT_OUT]),
]


@pytest.mark.parametrize(
    ("case", "fields", "files"), DALL_E_2_REFUSED, ids=[row[0] for row in DALL_E_2_REFUSED]
)
async def test_page_3_refuses(case: str, fields: Fields, files: list[File]) -> None:
    async with OpenaiVendor(personality=Personality.PAGE_3) as vendor:
        reply = await post(vendor, {"prompt": "x", "model": "dall-e-2"} | fields, files)
        assert (reply.status_code, reply.json()["error"]["code"]) == (500, "invalid_request")
        assert vendor.ledger == []


async def test_page_3_answers_with_urls_unless_told() -> None:
    async with OpenaiVendor(personality=Personality.PAGE_3) as vendor:
        reply = await post(vendor, {"prompt": "x", "model": "dall-e-2", "size": "256x256"}, [CUT_OUT])
        [entry] = reply.json()["data"]
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            file = await client.get(entry["url"])
            assert file.headers["content-type"] == "image/png"
            vendor.misbehave_at_files(page(410))
            assert (await client.get(entry["url"])).status_code == 410
            assert (await client.get(entry["url"])).status_code == 200
            assert vendor.leaks == []
            await client.get(entry["url"], headers={"authorization": "Bearer x"})
            assert len(vendor.leaks) == 1


async def test_a_wrong_key_is_refused() -> None:
    async with OpenaiVendor() as vendor:
        reply = await post(vendor, GOOD, [PHOTO], key="sk-wrong")
        assert (reply.status_code, reply.json()["error"]["code"]) == (401, "invalid_api_key")


@pytest.mark.parametrize(
    ("personality", "status"), [(Personality.OPENAI, 404), (Personality.RELAY, 307)], ids=str
)
async def test_the_slash_at_the_end(personality: Personality, status: int) -> None:
    async with OpenaiVendor(personality=personality) as vendor:
        reply = await post(vendor, GOOD, [PHOTO], path="/v1/images/edits/")
        assert reply.status_code == status
        assert reply.headers.get("location", "/v1/images/edits") == "/v1/images/edits"
        assert vendor.ledger == []


async def test_misbehaviour_ends_when_it_was_told_to() -> None:
    async with OpenaiVendor() as vendor:
        vendor.misbehave(page(502), times=2)
        vendor.misbehave(sends("late", b"{}"), times=None)
        fields = {**GOOD, "size": "1024x640"}
        statuses = [(await post(vendor, fields, [PHOTO])).status_code for _ in range(4)]
        assert statuses == [502, 502, 200, 200]
        assert len(vendor.ledger) == 2
        vendor.behave()
        assert (await post(vendor, fields, [PHOTO])).json()["data"]


async def test_it_runs_for_a_demo(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.vendors.openai", "--personality", "relay"]
    async with Servers(tmp_path) as servers:
        process = (await servers.spawn(command, cwd=ROOT)).process
        assert process.stdout is not None
        line = (await process.stdout.readline()).decode()
        assert line.startswith("ready api=http://127.0.0.1:")
