"""The golden bytes of the paid call, as the vendor server received them."""

import re

from imageedit_server.core.options import OpenaiOptions
from imageedit_server.providers.openai import OpenaiAdapter
from tests.providers.adapters import Reports, finished_by
from tests.providers.openai.conftest import MakeAdapter
from tests.providers.openai.jobs import Jobs, mask, picture
from tests.vendors.openai.server import OpenaiVendor
from tests.vendors.serving import read_form

UNICODE_PROMPT = 'Écris « été » 夏天 🌊\nfilename="x.png"; 100 % & more\t--'


async def sent(
    adapter: OpenaiAdapter, vendor: OpenaiVendor, jobs: Jobs, *given: bytes, **more: object
) -> bytes:
    """Make one edit; return the body of the call with its boundary replaced."""
    job = jobs.make(adapter, *given, **more)  # type: ignore[arg-type]
    await finished_by(adapter, await adapter.prepare(job), Reports())
    [request] = vendor.requests
    boundary = request.headers["content-type"].removeprefix("multipart/form-data; boundary=")
    assert re.fullmatch("[0-9a-f]{32}", boundary)
    return request.body.replace(boundary.encode(), b"BOUNDARY")


def field(name: str, value: str) -> bytes:
    return f'--BOUNDARY\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()


def file(name: str, file_name: str, media_type: str, content: bytes) -> bytes:
    head = (
        f'--BOUNDARY\r\nContent-Disposition: form-data; name="{name}"; filename="{file_name}"\r\n'
        f"Content-Type: {media_type}\r\n\r\n"
    )
    return head.encode() + content + b"\r\n"


END = b"--BOUNDARY--\r\n"
FIELDS = (
    field("prompt", "Make it a summer evening.")
    + field("model", "gpt-image-2")
    + field("n", "1")
    + field("size", "auto")
)


async def test_one_picture(adapter: OpenaiAdapter, vendor: OpenaiVendor, jobs: Jobs) -> None:
    photo = picture("JPEG")
    body = await sent(adapter, vendor, jobs, photo)
    assert body == FIELDS + file("image", "image.jpg", "image/jpeg", photo) + END


async def test_one_picture_with_a_mask(adapter: OpenaiAdapter, vendor: OpenaiVendor, jobs: Jobs) -> None:
    body = await sent(adapter, vendor, jobs, picture("WEBP"), mask=mask())
    assert body == (
        FIELDS
        + file("image", "image.webp", "image/webp", picture("WEBP"))
        + file("mask", "mask.png", "image/png", mask())
        + END
    )


async def test_two_pictures(adapter: OpenaiAdapter, vendor: OpenaiVendor, jobs: Jobs) -> None:
    body = await sent(adapter, vendor, jobs, picture("PNG"), picture("JPEG"))
    assert body == (
        FIELDS
        + file("image[]", "image-1.png", "image/png", picture("PNG"))
        + file("image[]", "image-2.jpg", "image/jpeg", picture("JPEG"))
        + END
    )


async def test_sixteen_pictures_with_a_mask(adapter: OpenaiAdapter, vendor: OpenaiVendor, jobs: Jobs) -> None:
    """Each a little different, so that their order shows."""
    photos = [picture("PNG", (64, 48 + index)) for index in range(16)]
    body = await sent(adapter, vendor, jobs, *photos, mask=mask())
    files = [
        file("image[]", f"image-{number}.png", "image/png", photo)
        for number, photo in enumerate(photos, start=1)
    ]
    assert body == FIELDS + b"".join(files) + file("mask", "mask.png", "image/png", mask()) + END


async def test_a_prompt_in_any_script(adapter: OpenaiAdapter, vendor: OpenaiVendor, jobs: Jobs) -> None:
    body = await sent(adapter, vendor, jobs, picture(), prompt=UNICODE_PROMPT)
    assert field("prompt", UNICODE_PROMPT) in body
    assert vendor.ledger[0].fields["prompt"] == UNICODE_PROMPT


async def test_a_streamed_call(adapter: OpenaiAdapter, vendor: OpenaiVendor, jobs: Jobs) -> None:
    body = await sent(adapter, vendor, jobs, picture(), options=OpenaiOptions(partial_images=2))
    assert body == (
        field("prompt", "Make it a summer evening.")
        + field("model", "gpt-image-2")
        + field("n", "1")
        + field("partial_images", "2")
        + field("size", "auto")
        + field("stream", "true")
        + file("image", "image.png", "image/png", picture())
        + END
    )


async def test_a_relay_is_sent_the_fields_of_page_1(
    make_adapter: MakeAdapter, relay: OpenaiVendor, jobs: Jobs
) -> None:
    adapter = make_adapter(relay, path="/v1/images/edits")
    body = await sent(adapter, relay, jobs, picture(), size="64x48", n=3, user_id="user-1")
    assert body == (
        field("prompt", "Make it a summer evening.")
        + field("model", "relay-image")
        + field("n", "3")
        + field("response_format", "b64_json")
        + field("size", "64x48")
        + file("image", "image.png", "image/png", picture())
        + END
    )


async def test_the_head_of_the_call(adapter: OpenaiAdapter, vendor: OpenaiVendor, jobs: Jobs) -> None:
    await sent(adapter, vendor, jobs, picture())
    [request] = vendor.requests
    assert (request.method, request.path, request.query) == ("POST", "/v1/images/edits", {})
    assert request.headers["authorization"] == f"Bearer {vendor.api_key}"
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["content-length"] == str(len(request.body))
    assert "cookie" not in request.headers


async def test_after_a_redirect_the_same_bytes_are_sent_again(
    make_adapter: MakeAdapter, relay: OpenaiVendor, jobs: Jobs
) -> None:
    adapter = make_adapter(relay)
    await finished_by(
        adapter, await adapter.prepare(jobs.make(adapter, mask=mask(), size="64x48")), Reports()
    )
    first, second = relay.requests
    assert first.body == second.body
    assert [part.name for part in read_form(second)][-2:] == ["image", "mask"]
    assert len(relay.ledger) == 1
