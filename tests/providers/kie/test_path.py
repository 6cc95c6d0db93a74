"""The whole way on loopback, with real worker processes: upload, pay, poll, fetch, look."""

import io
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from imageedit_server.core.options import IdeogramOptions
from imageedit_server.outbound.client import ApiClient
from imageedit_server.pictures.ready import EditColor
from imageedit_server.providers.base import Context, Finished, InProgress, Job
from imageedit_server.providers.kie import KieAdapter
from imageedit_server.sandbox.pool import WorkerPool
from tests.providers.adapters import TRUST, Connect, Reports, StandingClock, accepted_by
from tests.providers.kie.conftest import MakeAdapter
from tests.providers.kie.jobs import Jobs, encoded, picture
from tests.vendors.kie.server import KieVendor


@pytest.fixture
async def pool() -> AsyncIterator[WorkerPool]:
    pool = WorkerPool(size=1)
    yield pool
    await pool.aclose()


async def carried_out(adapter: KieAdapter, job: Job) -> Finished:
    prepared = await adapter.prepare(job)
    accepted = await accepted_by(adapter, prepared, Reports())
    while isinstance(standing := await adapter.poll(accepted.vendor_task_id, Reports()), InProgress):
        pass
    assert isinstance(standing, Finished)
    return standing


async def fetched(vendor: KieVendor, url: str) -> Image.Image:
    client = ApiClient(vendor.result_url, {}, trust=TRUST)
    reply = await client.send("GET", url.removeprefix(vendor.result_url), limit_seconds=60)
    await client.aclose()
    assert reply.status == 200
    return Image.open(io.BytesIO(reply.body))


async def test_seedream(adapter: KieAdapter, vendor: KieVendor, jobs: Jobs) -> None:
    finished = await carried_out(adapter, jobs.seedream(picture("PNG"), size="16:9"))
    [output] = finished.outputs
    image = await fetched(vendor, output.url)
    assert (image.format, image.size) == ("JPEG", (96, 54))
    assert [(charge.model, charge.credits) for charge in vendor.ledger] == [("seedream/4.5-edit", 6.5)]


@pytest.mark.parametrize("color", ["black", "white"])
async def test_character_edit_changes_what_is_transparent_and_nothing_else(
    vendor: KieVendor, tmp_path: Path, make_adapter: MakeAdapter, color: EditColor
) -> None:
    """The setting and the vendor agree on what the colour means."""
    vendor.mask_edit_color = color
    adapter = make_adapter(mask_edit_color=color)
    jobs = Jobs(adapter)
    green = jobs.input(encoded(Image.new("RGB", (20, 20), (0, 128, 0)), "PNG"))
    job = replace(
        jobs.character(picture("PNG"), n=2, options=IdeogramOptions(rendering_speed="TURBO")),
        reference_images=(green,),
    )
    finished = await carried_out(adapter, job)
    assert len(finished.outputs) == 2
    image = (await fetched(vendor, finished.outputs[0].url)).convert("RGB")
    assert image.size == (64, 48)
    assert image.getpixel((10, 20)) == (0, 128, 0), "alpha 0 is edited"
    assert image.getpixel((60, 20)) == (0, 0, 255), "alpha 255 is kept"
    assert [charge.credits for charge in vendor.ledger] == [24.0]


async def test_pictures_are_made_ready_in_a_worker_process(
    vendor: KieVendor, tmp_path: Path, clock: StandingClock, connect: Connect, pool: WorkerPool
) -> None:
    urls = {"base_url": vendor.api_url, "upload_url": vendor.upload_url}
    options = KieAdapter.Options.model_validate({"adapter": "kie", "api_key": vendor.api_key, **urls})
    adapter = KieAdapter(options, Context(provider="kie", clock=clock, workers=pool, connect=connect))
    finished = await carried_out(adapter, Jobs(adapter).character())
    assert len(finished.outputs) == 1
