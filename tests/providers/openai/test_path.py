"""The whole path of an edit, from the job to the picture, under each rule set."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from PIL import ImageChops

from imageedit_server.core.options import OpenaiOptions
from imageedit_server.core.request import Kind
from imageedit_server.providers.base import Adapter, Context, Finished, Job
from imageedit_server.providers.openai import OpenaiAdapter
from imageedit_server.sandbox.pool import WorkerPool
from tests.providers.adapters import Connect, Reports, StandingClock, finished_by
from tests.providers.openai.conftest import SETTINGS, MakeAdapter
from tests.providers.openai.jobs import Jobs, encoded, mask, opened, picture
from tests.vendors.openai.behaviours import each
from tests.vendors.openai.server import OpenaiVendor, Personality


async def edit(adapter: Adapter, job: Job) -> Finished:
    finished = await finished_by(adapter, await adapter.prepare(job), Reports())
    assert isinstance(finished, Finished)
    return finished


async def test_gpt_image_edits_a_picture(adapter: OpenaiAdapter, vendor: OpenaiVendor, jobs: Jobs) -> None:
    finished = await edit(adapter, jobs.make(adapter))
    [output] = finished.outputs
    assert opened(output.content).size == (1536, 1024)
    assert finished.warnings == ()
    [charge] = vendor.ledger
    assert charge.model == "gpt-image-2"
    assert finished.vendor_request_id == f"req_{charge.request_id}"


async def test_gpt_image_edits_only_where_the_mask_says(
    adapter: OpenaiAdapter, vendor: OpenaiVendor, jobs: Jobs
) -> None:
    size = (1536, 1024)
    job = jobs.make(adapter, picture(size=size), mask=mask(size=size), size="1536x1024")
    [output] = (await edit(adapter, job)).outputs
    before, after = opened(picture(size=size)), opened(output.content)
    kept = (size[0] // 2, 0, *size)
    assert ImageChops.difference(before.crop(kept), after.crop(kept)).getbbox() is None
    edited = (0, 0, size[0] // 2, size[1])
    assert (
        ImageChops.difference(before.crop(edited), after.crop(edited)).getbbox(alpha_only=False) is not None
    )


async def test_every_option_reaches_gpt_image(
    make_adapter: MakeAdapter, vendor: OpenaiVendor, jobs: Jobs
) -> None:
    adapter = make_adapter(vendor, models={"openai/flare": "gpt-image-2.5-flare"})
    options = OpenaiOptions(
        quality="xhigh",
        background="opaque",
        output_format="webp",
        output_compression=0,
        moderation="low",
    )
    job = jobs.make(adapter, size="1536x864", options=options, n=2, user_id="user-1")
    finished = await edit(adapter, job)
    assert [opened(output.content).size for output in finished.outputs] == [(1536, 864)] * 2
    assert vendor.ledger[0].fields == {
        "prompt": job.request.prompt,
        "background": "opaque",
        "model": "gpt-image-2.5-flare",
        "moderation": "low",
        "n": "2",
        "output_compression": "0",
        "output_format": "webp",
        "quality": "xhigh",
        "size": "1536x864",
        "user": "user-1",
    }


async def test_a_relay_edits_after_one_redirect_from_the_slash(
    make_adapter: MakeAdapter, relay: OpenaiVendor, jobs: Jobs
) -> None:
    """new-api answers the path of page 3 with 307; texts that it does not use are empty (VENDORS §4.2)."""
    adapter = make_adapter(relay)
    finished = await edit(adapter, jobs.make(adapter, size="320x200"))
    [output] = finished.outputs
    assert opened(output.content).size == (320, 200)
    assert output.url == ""
    assert [request.path for request in relay.requests] == ["/v1/images/edits/", "/v1/images/edits"]
    assert finished.vendor_request_id == relay.ledger[0].request_id
    assert relay.ledger[0].fields["response_format"] == "b64_json"
    assert "user" not in relay.ledger[0].fields


@pytest.mark.parametrize(("response_format", "field"), [("url", "url"), ("", None)], ids=["asked", "left"])
async def test_a_relay_may_answer_with_urls(
    make_adapter: MakeAdapter, relay: OpenaiVendor, jobs: Jobs, response_format: str, field: str | None
) -> None:
    adapter = make_adapter(relay, response_format=response_format)
    finished = await edit(adapter, jobs.make(adapter, size="320x200", n=2))
    assert [output.content for output in finished.outputs] == [b"", b""]
    assert all(output.url.startswith(f"{relay.url}/files/") for output in finished.outputs)
    assert relay.ledger[0].fields.get("response_format") == field


async def test_a_relay_s_address_without_a_host_is_its_own(
    make_adapter: MakeAdapter, relay: OpenaiVendor, jobs: Jobs
) -> None:
    """Of a relay that was never told where it stands."""
    adapter = make_adapter(relay)
    relay.misbehave(each("relative", url="/images/2026/结果.png", b64_json=""))
    [output] = (await edit(adapter, jobs.make(adapter, size="320x200"))).outputs
    assert output.url == f"{relay.url}/images/2026/结果.png"


async def test_dall_e_2_edits_where_the_picture_is_transparent(
    make_adapter: MakeAdapter, page_3: OpenaiVendor, jobs: Jobs
) -> None:
    adapter = make_adapter(page_3)
    job = jobs.make(adapter, mask(size=(64, 64)), size="256x256", user_id="user-1")
    finished = await edit(adapter, job)
    [output] = finished.outputs
    assert opened(output.content).size == (256, 256)
    assert [request.path for request in page_3.requests] == ["/v1/images/edits/"]
    assert page_3.ledger[0].fields["user"] == "user-1"
    assert page_3.ledger[0].fields["response_format"] == "b64_json"


async def test_dall_e_2_takes_other_formats_after_a_conversion(
    make_adapter: MakeAdapter, page_3: OpenaiVendor, jobs: Jobs
) -> None:
    adapter = make_adapter(page_3)
    size = (64, 64)
    job = jobs.make(adapter, picture("JPEG", size), mask=mask("WEBP", size), size="512x512")
    prepared = await adapter.prepare(job)
    assert prepared.warnings == (
        "The picture images[0] was converted to image/png, which relay/dall-e-2 needs.",
        "The mask was converted to image/png, which relay/dall-e-2 needs.",
    )
    finished = await finished_by(adapter, prepared, Reports())
    assert len(finished.outputs) == 1
    assert len(page_3.ledger) == 1


async def test_standard_dall_e_2_quality_is_taken_and_not_sent(
    make_adapter: MakeAdapter, page_3: OpenaiVendor, jobs: Jobs
) -> None:
    adapter = make_adapter(page_3)
    options = OpenaiOptions(quality="standard")
    await edit(adapter, jobs.make(adapter, mask(size=(64, 64)), options=options))
    assert "quality" not in page_3.ledger[0].fields


async def test_a_model_edit_may_ask_for_a_ratio(
    adapter: OpenaiAdapter, vendor: OpenaiVendor, jobs: Jobs
) -> None:
    """CreateModelEdit speaks in ratios; the flexible models take exact pixels of any."""
    prepared = await adapter.prepare(jobs.make(adapter, size="21:9", kind=Kind.MODEL_EDIT))
    assert prepared.warnings == ("The size 21:9 was sent as 1904x816.",)
    [output] = (await finished_by(adapter, prepared, Reports())).outputs
    assert opened(output.content).size == (1904, 816)


async def test_a_turned_photo_is_sent_upright(
    adapter: OpenaiAdapter, vendor: OpenaiVendor, jobs: Jobs
) -> None:
    """The mask is as large as the picture is seen, and the vendor may not look at the orientation."""
    turned = opened(picture(size=(48, 64))).convert("RGB")
    exif = turned.getexif()
    exif[0x0112] = 6
    photo = encoded(turned, "JPEG", exif=exif)
    prepared = await adapter.prepare(jobs.make(adapter, photo, mask=mask(size=(64, 48))))
    assert prepared.warnings == ("The picture images[0] was turned upright before it was sent.",)
    await finished_by(adapter, prepared, Reports())
    assert vendor.asked[0].images[0].size == (64, 48)
    assert vendor.asked[0].images[0].format == "JPEG"


async def test_pictures_are_made_ready_in_a_worker_process(
    connect: Connect, page_3: OpenaiVendor, tmp_path: Path
) -> None:
    pool = WorkerPool(size=1)
    try:
        given: dict[str, Any] = {"adapter": "openai", "base_url": page_3.url, "api_key": "sk-openai-test-key"}
        options = OpenaiAdapter.Options(**given, **SETTINGS[Personality.PAGE_3])
        context = Context(provider="relay", clock=StandingClock(), workers=pool, connect=connect)
        adapter = OpenaiAdapter(options, context)
        job = Jobs().make(adapter, picture("WEBP", (64, 64)), mask=mask(size=(64, 64)))
        assert len((await edit(adapter, job)).outputs) == 1
    finally:
        await pool.aclose()


async def test_many_edits_at_once_are_each_charged_once(
    adapter: OpenaiAdapter, vendor: OpenaiVendor, jobs: Jobs
) -> None:
    calls = [edit(adapter, jobs.make(adapter, size="1024x1024")) for _ in range(4)]
    assert all(len(finished.outputs) == 1 for finished in await asyncio.gather(*calls))
    assert len(vendor.ledger) == 4
