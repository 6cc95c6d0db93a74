"""What goes over the wire for what the caller wrote."""

import hashlib
from datetime import timedelta
from pathlib import Path

import pytest

from imageedit.v1 import image_edit_service_pb2 as service_pb2
from imageedit.v1 import image_pb2, task_pb2
from imageedit_client import AsyncClient, Client, ImageSource, OpenaiOptions, SeedreamOptions
from imageedit_client.uploads import Upload, source_or_upload

STORED = image_pb2.Image(image_id="sha256:" + "5" * 64)
UPLOADED = service_pb2.UploadImageResponse(image=STORED)


def edit(server, say, **settings):
    server.on("EditImage", service_pb2.EditImageResponse(task=say.task("QUEUED")))
    with Client(server.address) as client:
        client.edit_image("warmer", ["sha256:aa"], **settings)
    return server.received["EditImage"][0]


def test_what_the_caller_left_out_stays_unset(server, say):
    """The service's defaults are the service's business; only the request_id is made here."""
    request = edit(server, say)
    assert request.request_id
    request.request_id = ""
    assert request == service_pb2.EditImageRequest(
        prompt="warmer", images=[ImageSource(image_id="sha256:aa")]
    )


def test_all_settings_arrive(server, say):
    """Each keyword has its field."""
    request = edit(
        server,
        say,
        mask="sha256:bb",
        reference_images=["https://example.com/person.png"],
        model="gpt-image-2",
        size="4:3",
        n=2,
        options=OpenaiOptions(quality="high"),
        timeout=timedelta(minutes=2),
        labels={"team": "shop"},
        user_id="ann",
        on_unknown="RESUBMIT",
        validate_only=True,
        request_id="key",
    )
    assert request == service_pb2.EditImageRequest(
        request_id="key",
        prompt="warmer",
        images=[ImageSource(image_id="sha256:aa")],
        mask=ImageSource(image_id="sha256:bb"),
        reference_images=[ImageSource(url="https://example.com/person.png")],
        model="gpt-image-2",
        size="4:3",
        n=2,
        openai=OpenaiOptions(quality="high"),
        timeout={"seconds": 120},
        labels={"team": "shop"},
        user_id="ann",
        on_unknown=service_pb2.ON_UNKNOWN_RESUBMIT,
        validate_only=True,
    )


def test_a_timeout_may_be_seconds(server, say):
    """1.5 is a second and a half."""
    assert edit(server, say, timeout=1.5).timeout.ToTimedelta() == timedelta(seconds=1.5)


@pytest.mark.parametrize("options", [SeedreamOptions(), service_pb2.IdeogramOptions(), OpenaiOptions()])
def test_options_choose_their_family_even_when_empty(server, say, options):
    """The service must see which family was meant, to refuse the wrong one."""
    family = type(options).__name__.removesuffix("Options").lower()
    assert edit(server, say, options=options).WhichOneof("options") == family


def test_the_other_creates_carry_their_fields(server):
    """Model edits and default models."""
    server.on("CreateModelEdit", service_pb2.CreateModelEditResponse())
    server.on("CreateDefaultModel", service_pb2.CreateDefaultModelResponse())
    person = task_pb2.BodyProfile(gender="女", height_cm=170)
    with Client(server.address) as client:
        client.create_model_edit("task_1", "将发型改为短发", user_id="ann", request_id="a", size="3:4")
        client.create_default_model(
            ("task_2", 1), user_id="ann", request_id="b", angle="side", body_profile=person
        )
    assert server.received["CreateModelEdit"] == [
        service_pb2.CreateModelEditRequest(
            base_model_task_id="task_1",
            edit_instructions="将发型改为短发",
            user_id="ann",
            request_id="a",
            size="3:4",
        )
    ]
    assert server.received["CreateDefaultModel"] == [
        service_pb2.CreateDefaultModelRequest(
            image={"task_output": {"task_id": "task_2", "index": 1}},
            user_id="ann",
            request_id="b",
            angle="side",
            body_profile=person,
        )
    ]


@pytest.mark.parametrize(
    ("given", "source"),
    [
        ("sha256:ab", ImageSource(image_id="sha256:ab")),
        ("https://example.com/a.png", ImageSource(url="https://example.com/a.png")),
        ("http://10.0.0.1/a.png", ImageSource(url="http://10.0.0.1/a.png")),
        (("task_1", 2), ImageSource(task_output={"task_id": "task_1", "index": 2})),
        (ImageSource(content=b"x"), ImageSource(content=b"x")),
    ],
)
def test_a_picture_that_is_named_needs_no_upload(given, source):
    """Ids, URLs and outputs become a source as they are; whether a URL is allowed the service decides."""
    assert source_or_upload(given) == source


def test_a_string_that_names_nothing_is_refused():
    """A path must be a Path, so that a mistyped id is never taken for a file."""
    with pytest.raises(ValueError, match=r"photo\.jpg.*pathlib\.Path"):
        source_or_upload("photo.jpg")


def test_a_file_that_is_not_there_is_refused_before_any_call():
    """OSError, as from open()."""
    with pytest.raises(FileNotFoundError):
        source_or_upload(Path("/nowhere/photo.jpg"))


@pytest.mark.parametrize("size_bytes", [0, 1, 256 * 1024, 256 * 1024 + 1, 700_000])
def test_an_upload_is_info_and_chunks_of_256_kib(tmp_path, size_bytes):
    """Bytes and files alike, as often as they are asked for."""
    content = bytes(range(256)) * (size_bytes // 256 + 1)
    path = tmp_path / "photo.png"
    path.write_bytes(content[:size_bytes])
    for upload in (Upload(path), Upload(content[:size_bytes])):
        first, *chunks = upload.messages()
        assert first.info.sha256 == hashlib.sha256(content[:size_bytes]).hexdigest()
        assert b"".join(each.chunk for each in chunks) == content[:size_bytes]
        assert all(len(each.chunk) == 256 * 1024 for each in chunks[:-1])
        assert list(upload.messages()) == [first, *chunks]


async def test_files_are_uploaded_before_the_edit_names_them(server, say, tmp_path):
    """Each picture of the request, mask and references included, in both faces."""
    path = tmp_path / "photo.png"
    path.write_bytes(b"picture")
    server.on("UploadImage", *[UPLOADED] * 4)
    server.on("EditImage", *[service_pb2.EditImageResponse(task=say.task())] * 2)
    with Client(server.address) as client:
        client.edit_image("warmer", [path], mask=b"mask", request_id="key")
    async with AsyncClient(server.address) as async_client:
        await async_client.edit_image("warmer", [path], mask=b"mask", request_id="key")
    one, other = server.received["EditImage"]
    assert one == other
    assert [one.images[0].image_id, one.mask.image_id] == [STORED.image_id] * 2
    assert len(server.received["UploadImage"]) == 4


async def test_a_broken_upload_is_sent_again_whole(server, say, fake_time):
    """The messages are made anew for each try."""
    server.on("UploadImage", say.Refusal(), UPLOADED, say.Refusal(), UPLOADED)
    with Client(server.address, sleep=fake_time.sleep) as client:
        assert client.upload(b"picture" * 100_000) == STORED
    async with AsyncClient(server.address, sleep=fake_time.sleep_async) as async_client:
        assert await async_client.upload(b"picture" * 100_000) == STORED
    first, *others = server.received["UploadImage"]
    assert len(first) == 4
    assert all(other == first for other in others)


async def test_list_asks_for_the_next_page_when_it_is_needed(server, say):
    """All tasks of all pages, with the same filters and the token of the page before."""
    pages = [
        service_pb2.ListTasksResponse(tasks=[say.task(seq=1), say.task(seq=2)], next_page_token="two"),
        service_pb2.ListTasksResponse(tasks=[say.task(seq=3)]),
    ]
    server.on("ListTasks", *pages, *pages, pages[0])
    with Client(server.address) as client:
        tasks = client.list(user_id="ann", states=["FAILED", "QUEUED"], page_size=2)
        assert [task.seq for task in tasks] == [1, 2, 3]
        async with AsyncClient(server.address) as async_client:
            assert [task.seq async for task in async_client.list()] == [1, 2, 3]
        assert next(client.list()).seq == 1
    first, second = server.received["ListTasks"][:2]
    assert (first.user_id, first.page_size, first.page_token) == ("ann", 2, "")
    assert list(first.states) == [task_pb2.Task.STATE_FAILED, task_pb2.Task.STATE_QUEUED]
    first.page_token = "two"
    assert second == first
    assert len(server.received["ListTasks"]) == 5


async def test_what_is_deleted_is_named(server):
    """By both clients; nothing is answered."""
    image_id = f"sha256:{64 * 'a'}"
    server.on("DeleteTask", *[service_pb2.DeleteTaskResponse()] * 2)
    server.on("DeleteImage", *[service_pb2.DeleteImageResponse()] * 2)
    with Client(server.address) as client:
        client.delete("task_1")
        client.delete_image(image_id)
    async with AsyncClient(server.address) as client:
        await client.delete("task_1")
        await client.delete_image(image_id)
    assert [request.task_id for request in server.received["DeleteTask"]] == ["task_1"] * 2
    assert [request.image_id for request in server.received["DeleteImage"]] == [image_id] * 2


def test_models_and_cancel(server, say):
    """The two short calls."""
    server.on("ListModels", service_pb2.ListModelsResponse(models=[{"name": "local/basic"}]))
    server.on("CancelTask", service_pb2.CancelTaskResponse(task=say.task("CANCELLED")))
    with Client(server.address) as client:
        assert [model.name for model in client.list_models()] == ["local/basic"]
        assert client.cancel("task_1").state == task_pb2.Task.STATE_CANCELLED
    assert server.received["CancelTask"][0].task_id == "task_1"
