"""What the official SDK was recorded to send: accepted by the vendor server, and equal to what we send."""

from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from imageedit_server.core.options import OpenaiOptions
from imageedit_server.outbound.client import Part
from imageedit_server.providers.openai.calls import Form
from tests.providers.openai.captured.capture import cases
from tests.providers.openai.conftest import MakeAdapter
from tests.providers.openai.jobs import Jobs
from tests.vendors.openai.server import OpenaiVendor, Personality
from tests.vendors.serving import FormPart, Request, read_form

FOLDER = Path(__file__).parent / "captured"
CASES = sorted(path.stem for path in FOLDER.glob("*.multipart"))
GIVEN = cases()
OPTIONS = ("quality", "background", "input_fidelity", "output_format", "output_compression", "partial_images")


def captured(case: str) -> tuple[str, bytes]:
    content_type, _, body = (FOLDER / f"{case}.multipart").read_bytes().partition(b"\n")
    return content_type.decode(), body


def parts_of(content_type: str, body: bytes) -> list[FormPart]:
    headers: Mapping[str, str] = {"content-type": content_type}
    return read_form(Request(method="POST", path="/", query={}, headers=headers, body=body))


def comparable(name: str, file_name: str | None, media_type: str, content: bytes) -> tuple[str, ...]:
    """All that a part says, of its file name only the extension."""
    extension = file_name.rpartition(".")[2] if file_name else ""
    return name, extension, media_type, content.hex()


def ours(part: Part) -> tuple[str, ...]:
    return comparable(part.name, part.file_name, part.media_type, part.content)


def theirs(part: FormPart) -> tuple[str, ...]:
    return comparable(part.name, part.file_name, part.media_type, part.content)


def test_every_case_was_captured() -> None:
    assert sorted(GIVEN) == CASES


@pytest.mark.parametrize("case", CASES)
async def test_the_vendor_server_takes_what_the_sdk_sends(case: str) -> None:
    content_type, body = captured(case)
    personality = Personality.PAGE_3 if case == "dall-e-2" else Personality.OPENAI
    async with OpenaiVendor(personality=personality) as vendor:
        headers = {"content-type": content_type, "authorization": f"Bearer {vendor.api_key}"}
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            reply = await client.post(f"{vendor.url}/v1/images/edits", content=body, headers=headers)
        assert reply.status_code == 200, reply.text
        assert len(vendor.ledger) == 1


@pytest.mark.parametrize("case", CASES)
async def test_we_send_what_the_sdk_sends(case: str, make_adapter: MakeAdapter, jobs: Jobs) -> None:
    """Part by part: the order, the names, the extensions, the types and every byte."""
    given = GIVEN[case]
    rules = "dall-e-2" if case == "dall-e-2" else "gpt-image"
    adapter = make_adapter(rules=rules, models={"sdk/model": given["model"]})
    images = given["image"] if isinstance(given["image"], list) else [given["image"]]
    job = jobs.make(
        adapter,
        *[content for _, content, _ in images],
        mask=given["mask"][1] if "mask" in given else None,
        prompt=given["prompt"],
        n=given["n"],
        size=given["size"],
        user_id=given.get("user", ""),
        options=OpenaiOptions(**{name: given[name] for name in OPTIONS if name in given}),
    )
    assert not adapter.check(job.request, job.model)
    prepared = await adapter.prepare(job)
    assert prepared.warnings == ()
    assert isinstance(prepared.payload, Form)
    assert list(map(ours, prepared.payload.parts)) == list(map(theirs, parts_of(*captured(case))))
