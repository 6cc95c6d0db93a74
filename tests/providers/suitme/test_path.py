"""The whole way on loopback: default model, pay, poll, fetch, look; then its edit."""

import io

import pytest
from PIL import Image

from imageedit_server.core.request import BodyProfile
from imageedit_server.outbound.client import ApiClient
from imageedit_server.providers.base import Finished, InProgress, Job
from imageedit_server.providers.suitme import SuitmeAdapter
from tests.providers.adapters import TRUST, Reports, accepted_by
from tests.providers.suitme.jobs import Jobs, picture
from tests.vendors.suitme.behaviours import page
from tests.vendors.suitme.server import ImageAs, SuitmeVendor


async def carried_out(adapter: SuitmeAdapter, job: Job) -> tuple[str, Finished]:
    prepared = await adapter.prepare(job)
    accepted = await accepted_by(adapter, prepared, Reports())
    while isinstance(standing := await adapter.poll(accepted.vendor_task_id, Reports()), InProgress):
        pass
    assert isinstance(standing, Finished)
    return accepted.vendor_task_id, standing


async def fetched(vendor: SuitmeVendor, finished: Finished) -> tuple[int, bytes]:
    """Fetch a result as anybody would: without a credential."""
    [output] = finished.outputs
    if output.content:
        return 200, output.content
    client = ApiClient(vendor.url, {}, trust=TRUST)
    reply = await client.send("GET", output.url.removeprefix(vendor.url), limit_seconds=60)
    await client.aclose()
    return reply.status, reply.body


def looked_at(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


@pytest.mark.parametrize("image_as", [ImageAs.URL, ImageAs.BASE64])
@pytest.mark.parametrize("int_ids", [False, True], ids=["text ids", "integer ids"])
async def test_a_default_model_and_its_edit(
    adapter: SuitmeAdapter, vendor: SuitmeVendor, jobs: Jobs, image_as: ImageAs, int_ids: bool
) -> None:
    vendor.image_as, vendor.int_ids = image_as, int_ids
    profile = BodyProfile(gender="female", height_cm=170, age=25)
    base, finished = await carried_out(
        adapter, jobs.default_model(picture("WEBP"), size="3:4", body_profile=profile)
    )
    _, content = await fetched(vendor, finished)
    first = looked_at(content)
    assert (first.format, first.size) == ("PNG", (72, 96))

    if int_ids:  # the page's type is that of answers; what is asked for is text
        assert base.isdigit()
    edit, finished = await carried_out(adapter, jobs.edit(base, size="16:9"))
    _, content = await fetched(vendor, finished)
    second = looked_at(content)
    assert second.size == (96, 54)
    assert second.tobytes() != first.resize(second.size).tobytes()

    assert [charge.path for charge in vendor.ledger] == ["/models/default", "/models/edit"]
    assert [str(charge.task_id) for charge in vendor.ledger] == [base, edit]
    assert vendor.ledger[1].body["base_model_task_id"] == base


async def test_two_edits_of_one_base_differ(adapter: SuitmeAdapter, vendor: SuitmeVendor, jobs: Jobs) -> None:
    base, _ = await carried_out(adapter, jobs.default_model())
    pictures = set()
    for instructions in ("短发", "长发"):
        _, finished = await carried_out(adapter, jobs.edit(base, instructions))
        pictures.add((await fetched(vendor, finished))[1])
    assert len(pictures) == 2
    assert len(vendor.ledger) == 3


@pytest.mark.parametrize("status", [403, 404, 410])
async def test_an_expired_result_can_be_asked_for_again(
    adapter: SuitmeAdapter, vendor: SuitmeVendor, jobs: Jobs, status: int
) -> None:
    """F51: the engine polls once more for a fresh address."""
    task_id, finished = await carried_out(adapter, jobs.default_model())
    vendor.misbehave("results", page(status))
    assert (await fetched(vendor, finished))[0] == status
    again = await adapter.poll(task_id, Reports())
    assert isinstance(again, Finished)
    assert (await fetched(vendor, again))[0] == 200
    assert len(vendor.ledger) == 1
