"""What goes over the wire, byte by byte (vendor pages 2 and 4)."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from imageedit_server.core.options import IdeogramOptions, SeedreamOptions
from imageedit_server.core.request import Kind
from imageedit_server.providers.base import Job
from imageedit_server.providers.kie import KieAdapter
from tests.providers.adapters import Reports, accepted_by
from tests.providers.kie.conftest import MakeAdapter
from tests.providers.kie.jobs import CALLBACK_URL, Jobs, picture
from tests.vendors.kie.server import KieVendor

pytestmark = pytest.mark.usefixtures("vendor")


async def created(adapter: KieAdapter, vendor: KieVendor, job: Job) -> bytes:
    """Carry a job to the vendor; return the body of the paid call."""
    await accepted_by(adapter, await adapter.prepare(job), Reports())
    return vendor.calls("createTask")[-1].body


def as_sent(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


async def test_seedream_with_one_picture(adapter: KieAdapter, vendor: KieVendor, jobs: Jobs) -> None:
    body = await created(adapter, vendor, jobs.seedream())
    [url] = vendor.files
    assert (
        body
        == (
            f'{{"model":"seedream/4.5-edit","callBackUrl":"{CALLBACK_URL}","input":'
            f'{{"prompt":"Make it a summer evening.","image_urls":["{url}"],'
            f'"aspect_ratio":"4:3","quality":"basic"}}}}'
        ).encode()
    )


async def test_the_head_of_the_paid_call(adapter: KieAdapter, vendor: KieVendor, jobs: Jobs) -> None:
    await created(adapter, vendor, jobs.seedream())
    [request] = vendor.calls("createTask")
    assert request.headers["authorization"] == f"Bearer {vendor.api_key}"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"].startswith("imageedit/")


async def test_seedream_with_fourteen_pictures_in_order(
    adapter: KieAdapter, vendor: KieVendor, jobs: Jobs
) -> None:
    pictures = [picture("PNG", (16 + index, 16)) for index in range(14)]
    body = json.loads(await created(adapter, vendor, jobs.seedream(*pictures)))
    assert [vendor.files[url] for url in body["input"]["image_urls"]] == pictures


@pytest.mark.parametrize(
    "prompt", ["把夜晚变成夏日黄昏 🌇", 'quotes " and \\ and\nlines\u2028', "e\u0301 \u202e rtl"]
)
async def test_a_prompt_arrives_as_it_was_written(
    adapter: KieAdapter, vendor: KieVendor, jobs: Jobs, prompt: str
) -> None:
    body = await created(adapter, vendor, jobs.seedream(prompt=prompt))
    assert json.loads(body)["input"]["prompt"] == prompt
    assert vendor.ledger[0].body["input"]["prompt"] == prompt


@pytest.mark.parametrize(("quality", "wire"), [("BASIC", "basic"), ("HIGH", "high")])
async def test_seedream_quality(
    adapter: KieAdapter, vendor: KieVendor, jobs: Jobs, quality: str, wire: str
) -> None:
    body = await created(adapter, vendor, jobs.seedream(options=SeedreamOptions(quality=quality)))
    assert json.loads(body)["input"]["quality"] == wire


async def test_every_ratio_of_the_page_is_taken(adapter: KieAdapter, vendor: KieVendor, jobs: Jobs) -> None:
    for ratio in ("1:1", "4:3", "3:4", "16:9", "9:16", "2:3", "3:2", "21:9"):
        await created(adapter, vendor, jobs.seedream(size=ratio))
    assert [charge.body["input"]["aspect_ratio"] for charge in vendor.ledger] == list(adapter.models[0].sizes)


async def test_character_edit_sends_every_field_with_the_pages_types(
    adapter: KieAdapter, vendor: KieVendor, jobs: Jobs
) -> None:
    body = await created(adapter, vendor, jobs.character(prompt="微笑", n=3))
    [image, reference, mask] = (url for url in sorted(vendor.files, key=_upload_order(vendor)))
    assert body == as_sent(
        {
            "model": "ideogram/character-edit",
            "callBackUrl": CALLBACK_URL,
            "input": {
                "prompt": "微笑",
                "image_url": image,
                "mask_url": mask,
                "reference_image_urls": [reference],
                "rendering_speed": "BALANCED",
                "style": "AUTO",
                "expand_prompt": True,
                "num_images": "3",
            },
        }
    )


def _upload_order(vendor: KieVendor) -> Any:
    """Base, reference, mask: told apart by their formats."""
    order = {b"\xff\xd8": 0, b"RI": 1, b"\x89P": 2}
    return lambda url: order[vendor.files[url][:2]]


async def test_a_model_under_a_name_of_ours_is_sent_by_the_vendor_s(
    make_adapter: MakeAdapter, vendor: KieVendor
) -> None:
    adapter = make_adapter(models={"our/lite": "seedream/5-lite-image-to-image"}, nsfw_checker=False)
    body = json.loads(await created(adapter, vendor, Jobs(adapter).seedream(model="our/lite")))
    [url] = vendor.files
    assert body["model"] == "seedream/5-lite-image-to-image"
    assert body["input"] == {
        "prompt": "Make it a summer evening.",
        "image_urls": [url],
        "aspect_ratio": "4:3",
        "quality": "basic",
        "nsfw_checker": False,
    }


async def test_v3_edit_sends_a_mask_and_no_reference(make_adapter: MakeAdapter, vendor: KieVendor) -> None:
    adapter = make_adapter(models={"our/v3": "ideogram/v3-edit"}, nsfw_checker=True)
    job = Jobs(adapter).masked("our/v3", options=IdeogramOptions(rendering_speed="TURBO", seed=7))
    given = json.loads(await created(adapter, vendor, job))["input"]
    assert {given.pop("image_url"), given.pop("mask_url")} == set(vendor.files)
    assert given == {
        "prompt": "Make it a summer evening.",
        "rendering_speed": "TURBO",
        "expand_prompt": True,
        "seed": 7,
    }


@pytest.mark.parametrize("seed", [0, 1, 2**31 - 1, -1])
async def test_character_edit_sends_the_options_that_were_given(
    adapter: KieAdapter, vendor: KieVendor, jobs: Jobs, seed: int
) -> None:
    options = IdeogramOptions(rendering_speed="TURBO", style="FICTION", expand_prompt=False, seed=seed)
    given = json.loads(await created(adapter, vendor, jobs.character(options=options)))["input"]
    assert given["rendering_speed"] == "TURBO"
    assert given["style"] == "FICTION"
    assert given["expand_prompt"] is False
    assert given["num_images"] == "1"
    assert given["seed"] == seed


async def test_without_a_callback_url_the_field_is_left_out(
    adapter: KieAdapter, vendor: KieVendor, jobs: Jobs
) -> None:
    body = await created(adapter, vendor, replace(jobs.seedream(), callback_url=""))
    assert list(json.loads(body)) == ["model", "input"]


@pytest.mark.parametrize(("setting", "sent"), [(None, {}), (True, {"nsfw_checker": True})])
async def test_the_filter_of_seedream_is_sent_only_when_set(
    make_adapter: MakeAdapter,
    vendor: KieVendor,
    tmp_path: Path,
    setting: bool | None,
    sent: dict[str, bool],
) -> None:
    adapter = make_adapter(nsfw_checker=setting)
    jobs = Jobs(adapter)
    for job in (jobs.seedream(), jobs.character()):
        await created(adapter, vendor, job)
    first, second = (charge.body["input"] for charge in vendor.ledger)
    assert {name: first[name] for name in first if name == "nsfw_checker"} == sent
    assert "nsfw_checker" not in second


async def test_a_model_edit_is_an_edit_of_one_picture(
    adapter: KieAdapter, vendor: KieVendor, jobs: Jobs
) -> None:
    job = jobs.seedream()
    job = replace(job, request=replace(job.request, kind=Kind.MODEL_EDIT, base_model_task_id="task_1"))
    assert len(json.loads(await created(adapter, vendor, job))["input"]["image_urls"]) == 1
