"""Every RPC does what its comment says."""

import asyncio
import hashlib
from collections import Counter
from pathlib import Path

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit.v1 import image_pb2, model_pb2, task_pb2
from imageedit_server.bootstrap import PAGE_KEY_NAME
from tests.rpc.bad_input import CREATES, default_model, model_edit
from tests.rpc.calls import METHODS, Outcome, assert_presentable, call
from tests.rpc.pictures import PHOTO_FILE, PNG, mask, noise, picture
from tests.rpc.serving import MAX_IMAGE_BYTES, MIB, SCRIPTED, Served, serving
from tests.rpc.waiting import eventually
from tests.rpc.world import USER, World, create, edit, finish, upload

pytestmark = pytest.mark.asyncio(loop_scope="module")

SUCCEEDED = task_pb2.Task.STATE_SUCCEEDED
UNICODE_PROMPTS = (
    "将肤色调亮一些，加一点暖色",
    "👩\u200d👩\u200d👧 e\u0301\u0301\u0301 \u202eright to left\u202c ﷽",
    "first line\n\tsecond line",
    "{{7*7}} ${jndi:x} '; DROP TABLE task; -- %s %n <b>",
    "\ufeff\ufffe\U0010ffff \u2028",
    "a" * 32_000,
    "\U00020000" * 32_000,
)


# Creating


async def test_edit_image_answers_a_durable_task_with_what_was_asked(served: Served, world: World) -> None:
    """The answer repeats the request, with defaults filled in."""
    request = edit(
        world.png,
        user_id=USER,
        n=2,
        labels={"team": "图像", "empty": ""},
        mask=image_pb2.ImageSource(content=mask()),
    )
    task = (await served.stub.EditImage(request)).task
    assert task.task_id.startswith("task_")
    assert task.kind == task_pb2.Task.KIND_EDIT_IMAGE
    assert task.state == task_pb2.Task.STATE_QUEUED
    assert task.seq == 1
    assert (task.user_id, task.model, task.provider, task.n) == (USER, "scripted/ok", "scripted", 2)
    assert dict(task.labels) == {"team": "图像", "empty": ""}
    assert task.deadline.ToSeconds() - task.create_time.ToSeconds() == 900
    done = await finish(served, task)
    assert done.state == SUCCEEDED
    assert [image.image_id for image in done.images] == [world.png] * 2
    assert done.billing == task_pb2.Task.BILLING_NOT_CHARGED
    assert [attempt.number for attempt in done.attempts] == [1]
    assert done.progress_percent == 100


@pytest.mark.parametrize("prompt", UNICODE_PROMPTS, ids=range(len(UNICODE_PROMPTS)))
async def test_a_prompt_comes_back_as_it_was_sent(served: Served, world: World, prompt: str) -> None:
    """F77: stored and returned byte-equal, up to the longest prompt of the widest characters."""
    task = await create(served, world.png, prompt=prompt)
    got = (await served.stub.GetTask(pb.GetTaskRequest(task_id=task.task_id))).task
    assert task.prompt == got.prompt == prompt
    assert (await finish(served, task)).prompt == prompt


async def test_a_task_ends_at_its_timeout(served: Served, world: World) -> None:
    """A task that takes longer than it may is FAILED, DEADLINE_EXCEEDED."""
    task = await create(served, world.png, model="scripted/never", timeout=Duration(seconds=1))
    done = await finish(served, task)
    assert done.state == task_pb2.Task.STATE_FAILED
    assert done.error.reason == "DEADLINE_EXCEEDED"
    assert done.end_time.ToMilliseconds() - done.create_time.ToMilliseconds() >= 1000


async def test_a_refused_task_fails_with_its_reason(served: Served, world: World) -> None:
    """What a provider refuses is a failed task, not a failed call."""
    done = await finish(served, await create(served, world.png, model="scripted/fail"))
    assert done.state == task_pb2.Task.STATE_FAILED
    assert done.error.reason == "PROVIDER_REJECTED"
    assert done.billing == task_pb2.Task.BILLING_NOT_CHARGED
    assert not done.images


async def test_every_source_names_the_same_picture(served: Served, world: World) -> None:
    """Inline bytes, an image id and the output of a task lead to the same result."""
    sources = [
        image_pb2.ImageSource(content=PNG),
        image_pb2.ImageSource(image_id=world.png),
        image_pb2.ImageSource(task_output=image_pb2.TaskOutput(task_id=world.finished)),
    ]
    for source in sources:
        done = await finish(served, await create(served, world.png, images=[source]))
        assert [image.image_id for image in done.images] == [world.png]


async def test_a_public_url_is_taken(served: Served, world: World) -> None:
    """What the static rule lets pass; nothing is fetched when only validating."""
    for url in ("https://example.com/a.png", "https://例え.jp:443/写真.jpg?q=1", "https://xn--r8jz45g.jp/"):
        source = image_pb2.ImageSource(url=url)
        answer = await served.stub.EditImage(edit(world.png, images=[source], validate_only=True))
        assert answer.HasField("task")


async def test_the_default_model_is_edited_by_the_local_provider(served: Served) -> None:
    """The embedded provider, through the door: a photo in, an edited photo out."""
    photo = await upload(served, PHOTO_FILE.read_bytes())
    done = await finish(
        served, await create(served, photo, model="local/basic", prompt="make it black and white")
    )
    assert done.state == SUCCEEDED, done.error
    assert done.images[0].image_id != photo
    assert (done.images[0].width, done.images[0].height) == (512, 600)


async def test_a_default_model_without_a_model_is_the_picture_itself(served: Served, world: World) -> None:
    """An ordinary task without an attempt: QUEUED, RUNNING, SUCCEEDED."""
    profile = task_pb2.BodyProfile(
        gender="女", height_cm=170.5, weight_kg=55, age=30, skin_color="浅", body_type="匀称"
    )
    request = default_model(world, angle="side", body_profile=profile)
    task = (await served.stub.CreateDefaultModel(request)).task
    watch = served.stub.WatchTask(pb.WatchTaskRequest(task_id=task.task_id))
    events = [response.event async for response in watch]
    assert [event.task.state for event in events] == [
        task_pb2.Task.STATE_QUEUED,
        task_pb2.Task.STATE_RUNNING,
        SUCCEEDED,
    ]
    done = events[-1].task
    assert (done.kind, done.angle, done.body_profile) == (task_pb2.Task.KIND_DEFAULT_MODEL, "side", profile)
    assert [image.image_id for image in done.images] == [world.png]
    assert not done.attempts
    assert not done.model


async def test_a_model_edit_starts_from_the_picture_of_its_base(served: Served, world: World) -> None:
    """From a default model, and from any other succeeded task."""
    base = (await served.stub.CreateDefaultModel(default_model(world))).task
    await finish(served, base)
    for base_id in (base.task_id, world.finished):
        request = model_edit(world, base_model_task_id=base_id, edit_instructions="将发型改为短发")
        task = (await served.stub.CreateModelEdit(request)).task
        done = await finish(served, task)
        assert (done.state, done.kind) == (SUCCEEDED, task_pb2.Task.KIND_MODEL_EDIT)
        assert (done.base_model_task_id, done.prompt) == (base_id, "将发型改为短发")
        assert [image.image_id for image in done.images] == [world.png]


@pytest.mark.parametrize("method", CREATES)
async def test_validate_only_checks_and_leaves_no_trace(served: Served, world: World, method: str) -> None:
    """It answers a task without id and state, stores nothing, and does not use up its key."""
    request = CREATES[method](world, validate_only=True, request_id=f"validate {method}")
    before = await served.stored()
    outcome = await call(served.channel, method, request)
    task = _task(outcome)
    assert outcome.code is grpc.StatusCode.OK
    assert (task.task_id, task.state) == ("", task_pb2.Task.STATE_UNSPECIFIED)
    assert await served.stored() == before
    real = CREATES[method](world, request_id=f"validate {method}", user_id="another")
    assert (await call(served.channel, method, real)).code is grpc.StatusCode.OK


async def test_validate_only_does_not_keep_an_inline_picture(served: Served, world: World) -> None:
    """Its bytes are looked at and forgotten."""
    source = image_pb2.ImageSource(content=picture(fill=77))
    before = await served.stored()
    await served.stub.EditImage(edit(world.png, images=[source], validate_only=True))
    assert await served.stored() == before


# request_id (P3, F75)


@pytest.mark.parametrize("method", CREATES)
async def test_the_same_request_twice_is_one_task(served: Served, world: World, method: str) -> None:
    """The second answer is the first task as it is now, even when it is finished."""
    request = CREATES[method](world, request_id=f"twice {method}")
    first = _task(await call(served.channel, method, request))
    await finish(served, first)
    before = await served.stored()
    second = _task(await call(served.channel, method, request))
    assert second.task_id == first.task_id
    assert second.state == SUCCEEDED
    assert await served.stored() == before


@pytest.mark.parametrize("method", CREATES)
async def test_twins_are_one_task(served: Served, world: World, method: str) -> None:
    """P3: 64 concurrent twins all get OK and the same task."""
    request = CREATES[method](world, request_id=f"twins {method}")
    before = await served.stored()
    outcomes = await asyncio.gather(*(call(served.channel, method, request) for _ in range(64)))
    assert {outcome.code for outcome in outcomes} == {grpc.StatusCode.OK}
    assert len({_task(outcome).task_id for outcome in outcomes}) == 1
    assert (await served.stored() - before)["task"] == 1


async def test_a_key_is_of_one_method(served: Served, world: World) -> None:
    """The scope of a request_id is the tenant and the method."""
    outcomes = [
        await call(served.channel, method, make(world, request_id="of one method"))
        for method, make in CREATES.items()
    ]
    assert len({_task(outcome).task_id for outcome in outcomes}) == 3


OTHER_BODIES: dict[str, dict[str, object]] = {
    "prompt": {"prompt": "make it colder"},
    "user_id": {"user_id": "somebody"},
    "model": {"model": "scripted/fail"},
    "n": {"n": 2},
    "timeout": {"timeout": Duration(seconds=901)},
    "labels": {"labels": {"a": "c"}},
    "label moved": {"labels": {"ab": ""}},
    "on_unknown": {"on_unknown": pb.ON_UNKNOWN_RESUBMIT},
    "mask": {"mask": image_pb2.ImageSource(content=mask())},
    "inline image": {"images": [image_pb2.ImageSource(content=PNG)]},
    "bad field": {"n": -1},
}


@pytest.mark.parametrize("field", OTHER_BODIES)
async def test_a_key_with_another_body_is_refused(served: Served, world: World, field: str) -> None:
    """REQUEST_ID_REUSED, no task, no trace; the first task can still be asked for."""
    request_id = f"other body {field}"
    first = await create(served, world.png, request_id=request_id, labels={"a": "b"})
    await finish(served, first)
    before = await served.stored()
    changed: dict[str, object] = {"labels": {"a": "b"}, **OTHER_BODIES[field]}
    outcome = await call(served.channel, "EditImage", edit(world.png, request_id=request_id, **changed))
    if field == "bad field":  # wrong in itself, whatever its key stands for
        assert outcome.reason == "INVALID_FIELD"
    else:
        assert (outcome.code.name, outcome.reason) == ("FAILED_PRECONDITION", "REQUEST_ID_REUSED")
    assert_presentable(outcome)
    assert await served.stored() == before
    assert (
        await create(served, world.png, request_id=request_id, labels={"a": "b"})
    ).task_id == first.task_id


async def test_a_key_with_the_same_meaning_is_the_same_task(served: Served, world: World) -> None:
    """F75: defaults spelled out, maps in another order and unknown fields change nothing."""
    plain = edit(world.png, request_id="same meaning").SerializeToString()
    labels = [edit("", labels={f"key {number}": str(number)}).labels for number in range(16)]
    parts = [pb.EditImageRequest(labels=label).SerializeToString() for label in labels]
    spelled = edit(
        world.png,
        request_id="same meaning",
        n=1,
        size="auto",
        timeout=Duration(seconds=900),
        on_unknown=pb.ON_UNKNOWN_FAIL,
        validate_only=False,
    )
    unknown_field = b"\xf8\x7c\x01"
    first = _task(await call(served.channel, "EditImage", plain + b"".join(parts)))
    assert len(first.labels) == 16
    for body in (
        plain + b"".join(reversed(parts)),
        b"".join(parts) + plain + unknown_field,
        spelled.SerializeToString() + b"".join(parts[::2] + parts[1::2]),
    ):
        assert _task(await call(served.channel, "EditImage", body)).task_id == first.task_id


async def test_without_a_key_every_call_is_a_task(served: Served, world: World) -> None:
    """An empty request_id is no key."""
    first, second = await create(served, world.png), await create(served, world.png)
    assert first.task_id != second.task_id


# Reading and ending


async def test_lists_are_newest_first_and_stable_under_inserts(served: Served, world: World) -> None:
    """Every task that was there at the first page appears once, whatever is created meanwhile."""
    made = [(await create(served, world.png, user_id="lister")).task_id for _ in range(7)]
    seen: list[str] = []
    token, sizes = "", []
    while True:
        page = await served.stub.ListTasks(
            pb.ListTasksRequest(page_size=3, page_token=token, user_id="lister")
        )
        seen += [task.task_id for task in page.tasks]
        sizes.append(len(page.tasks))
        await create(served, world.png, user_id="lister")
        if not (token := page.next_page_token):
            break
    assert seen == made[::-1]
    assert sizes == [3, 3, 1]


async def test_a_list_goes_on_after_a_restart(tmp_path: Path) -> None:
    """What seals the tokens is kept with the data, for its owner alone."""
    seen, token = [], ""
    made: list[str] = []
    for _ in range(2):
        async with serving(tmp_path, SCRIPTED) as served:
            png = await upload(served, PNG)
            made = made or [(await create(served, png)).task_id for _ in range(2)]
            request = pb.ListTasksRequest(page_size=1, page_token=token)
            page = await served.stub.ListTasks(request)
            seen += [task.task_id for task in page.tasks]
            token = page.next_page_token
    assert (seen, token) == (made[::-1], "")
    assert (tmp_path / "data" / PAGE_KEY_NAME).stat().st_mode & 0o777 == 0o600


async def test_lists_are_filtered_by_state(served: Served, world: World) -> None:
    """Only tasks in one of the states; a state named twice counts once."""
    states = [task_pb2.Task.STATE_FAILED, task_pb2.Task.STATE_CANCELLED, task_pb2.Task.STATE_FAILED]
    tasks = (await served.stub.ListTasks(pb.ListTasksRequest(states=states, page_size=5000))).tasks
    ids = [task.task_id for task in tasks]
    assert {world.failed, world.cancelled} <= set(ids)
    assert len(ids) == len(set(ids))
    assert {task.state for task in tasks} == {task_pb2.Task.STATE_FAILED, task_pb2.Task.STATE_CANCELLED}


async def test_a_page_of_long_prompts_fits_into_a_message(served: Served, world: World) -> None:
    """60 prompts of 96 KB are more than the 4 MiB of a message; every task is listed all the same."""
    prompt = "光" * 32_000
    made = [(await create(served, world.png, user_id="novelist", prompt=prompt)).task_id for _ in range(60)]
    seen: list[str] = []
    token = ""
    while True:
        request = pb.ListTasksRequest(user_id="novelist", page_token=token, page_size=1000)
        page = await served.stub.ListTasks(request)
        seen += [task.task_id for task in page.tasks]
        if not (token := page.next_page_token):
            break
    assert seen == made[::-1]


async def test_get_answers_the_task_as_it_is_now(served: Served, world: World) -> None:
    """The same as the last event of its watch."""
    got = (await served.stub.GetTask(pb.GetTaskRequest(task_id=world.finished))).task
    watch = served.stub.WatchTask(pb.WatchTaskRequest(task_id=world.finished))
    events = [response.event async for response in watch]
    assert got == events[-1].task


async def test_cancel_ends_a_task_once(served: Served, world: World) -> None:
    """F76: CANCELLED, who pays is said, and again is the same answer."""
    task = await create(served, world.png, model="scripted/never")
    first = (await served.stub.CancelTask(pb.CancelTaskRequest(task_id=task.task_id))).task
    second = (await served.stub.CancelTask(pb.CancelTaskRequest(task_id=task.task_id))).task
    assert first.state == task_pb2.Task.STATE_CANCELLED
    assert first.billing == task_pb2.Task.BILLING_NOT_CHARGED
    for answer in (first, second):  # what is learnt of an attempt may come later
        answer.ClearField("attempts")
    assert second == first


@pytest.mark.parametrize("state", ["finished", "failed", "cancelled"])
async def test_cancel_answers_an_ended_task_as_it_is(served: Served, world: World, state: str) -> None:
    """F76."""
    task_id = getattr(world, state)
    before = (await served.stub.GetTask(pb.GetTaskRequest(task_id=task_id))).task
    assert (await served.stub.CancelTask(pb.CancelTaskRequest(task_id=task_id))).task == before


async def test_models_are_listed_with_their_limits(served: Served) -> None:
    """By name, and with what the checks use."""
    models = {model.name: model for model in (await served.stub.ListModels(pb.ListModelsRequest())).models}
    assert list(models) == sorted(models)
    assert {"local/basic", "scripted/ok", "narrow/edit"} <= set(models)
    narrow = models["narrow/edit"]
    assert narrow == model_pb2.Model(
        name="narrow/edit",
        provider="narrow",
        kinds=[task_pb2.Task.KIND_EDIT_IMAGE],
        option_family="seedream",
        max_prompt_chars=20,
        min_images=1,
        max_images=2,
        max_reference_images=1,
        mask=model_pb2.Model.MASK_NONE,
        sizes=["64x64", "4:3"],
        max_n=2,
        max_image_bytes=64 * 1024,
        media_types=["image/png"],
        submit_safety=model_pb2.Model.SUBMIT_SAFETY_NATIVE_KEY,
    )


# Images


async def test_an_upload_comes_back_byte_for_byte(served: Served) -> None:
    """The answer says what the picture is; the download is the same bytes, its name their digest."""
    photo = PHOTO_FILE.read_bytes()
    digest = hashlib.sha256(photo).hexdigest()
    for sha256 in ("", digest, digest.upper(), f"sha256:{digest}"):
        info = pb.UploadImageRequest(info=image_pb2.UploadImageInfo(sha256=sha256))
        messages = [
            info,
            *(pb.UploadImageRequest(chunk=photo[at : at + 1000]) for at in range(0, len(photo), 1000)),
        ]
        image = (await served.stub.UploadImage(iter(messages))).image
        assert image.image_id == f"sha256:{digest}"
    assert (image.media_type, image.width, image.height) == ("image/jpeg", 512, 600)
    assert image.size_bytes == len(photo)
    assert await download(served, image.image_id) == photo


async def test_the_same_upload_twice_is_one_image(served: Served) -> None:
    """Content-addressed: one row, one file."""
    data = picture(fill=200)
    await upload(served, data)
    before = await served.stored()
    await upload(served, data)
    assert await served.stored() == before


async def test_an_upload_with_more_than_a_picture_is_the_picture(served: Served) -> None:
    """What is checked is what came; what is kept, named and counted is the picture."""
    photo = picture(9, 5, name="JPEG")
    came = photo + b"\0\0\0\x18ftypmp42" + bytes(300_000)
    info = image_pb2.UploadImageInfo(sha256=hashlib.sha256(came).hexdigest())
    messages = [pb.UploadImageRequest(info=info), pb.UploadImageRequest(chunk=came)]
    image = (await served.stub.UploadImage(iter(messages))).image
    assert (image.media_type, image.width, image.height, image.size_bytes) == ("image/jpeg", 9, 5, len(photo))
    assert image.image_id == await upload(served, photo)


async def test_an_upload_of_the_largest_chunk_and_size(served: Served) -> None:
    """Chunks of exactly 1 MiB are taken, and pictures of up to max_bytes."""
    data = noise(MAX_IMAGE_BYTES - 32 * 1024)
    assert MIB < len(data) <= MAX_IMAGE_BYTES
    messages = [
        pb.UploadImageRequest(info=image_pb2.UploadImageInfo()),
        *(pb.UploadImageRequest(chunk=data[at : at + MIB]) for at in range(0, len(data), MIB)),
    ]
    image = (await served.stub.UploadImage(iter(messages))).image
    for offset in (0, 1, MIB - 1, MIB, len(data) - 1, len(data)):
        assert await download(served, image.image_id, offset) == data[offset:]


async def test_a_broken_upload_leaves_nothing(served: Served) -> None:
    """Cancelled by its caller, or past its deadline, in the middle of the bytes (P20, F82)."""
    before = await served.stored()
    gate = asyncio.Event()

    async def never_finished():
        yield pb.UploadImageRequest(info=image_pb2.UploadImageInfo())
        for _ in range(3):
            yield pb.UploadImageRequest(chunk=noise(MIB // 2)[: MIB // 2])
        gate.set()
        await asyncio.Event().wait()

    rpc = served.stub.UploadImage(never_finished())
    await gate.wait()
    await _until_stored(served, before + Counter(files=1))
    rpc.cancel()
    with pytest.raises(asyncio.CancelledError):
        await rpc
    await _until_stored(served, before)

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await served.stub.UploadImage(never_finished(), timeout=0.3)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await _until_stored(served, before)


async def test_a_damaged_image_is_data_loss(served: Served) -> None:
    """F83: a bit that flipped on the disk is noticed before the last byte is handed out."""
    data = noise(MIB // 2)
    image_id = await upload(served, data)
    file = _file(served, image_id)
    damaged = bytearray(data)
    damaged[len(data) // 2] ^= 1
    file.write_bytes(damaged)
    outcome = await call(served.channel, "DownloadImage", pb.DownloadImageRequest(image_id=image_id))
    assert (outcome.code.name, outcome.reason) == ("DATA_LOSS", "IMAGE_CORRUPT")
    got = b"".join(
        response.chunk for response in outcome.responses if isinstance(response, pb.DownloadImageResponse)
    )
    assert len(got) < len(data)
    file.unlink()
    outcome = await call(served.channel, "DownloadImage", pb.DownloadImageRequest(image_id=image_id))
    assert (outcome.code.name, outcome.reason) == ("DATA_LOSS", "IMAGE_CORRUPT")
    assert not any(str(served.data_dir) in text for text in (outcome.message, str(outcome.trailer)))


# Deadlines and cancelling (P30, F69)


@pytest.mark.parametrize("method", [name for name in METHODS if not METHODS[name].client_streaming])
async def test_a_call_whose_caller_has_gone_leaves_the_server_well(
    served: Served, world: World, method: str
) -> None:
    """Deadlines from nothing to a few milliseconds: the call ends with its own code, and calls go on."""
    before = await served.stored()
    codes: Counter[grpc.StatusCode] = Counter()
    for step in range(25):
        outcome = await call(served.channel, method, _sound(method, world), deadline=step * 0.0004)
        codes[outcome.code] += 1
    done = grpc.StatusCode.FAILED_PRECONDITION if method in DELETES else grpc.StatusCode.OK
    assert set(codes) <= {done, grpc.StatusCode.DEADLINE_EXCEEDED}
    assert (await served.stub.GetTask(pb.GetTaskRequest(task_id=world.finished))).task.state == SUCCEEDED
    after = await served.stored()
    assert after["task"] - before["task"] <= 25
    assert after["image"] == before["image"]
    await eventually(lambda: not served.feed.is_followed)


DELETES = ("DeleteTask", "DeleteImage")
"""What they name is needed, so that it stays."""


def _sound(method: str, world: World) -> Message:
    sound: dict[str, Message] = {
        "WatchTask": pb.WatchTaskRequest(task_id=world.unfinished),
        "GetTask": pb.GetTaskRequest(task_id=world.finished),
        "ListTasks": pb.ListTasksRequest(),
        "CancelTask": pb.CancelTaskRequest(task_id=world.finished),
        "DeleteTask": pb.DeleteTaskRequest(task_id=world.unfinished),
        "DeleteImage": pb.DeleteImageRequest(image_id=world.png),
        "DownloadImage": pb.DownloadImageRequest(image_id=world.png),
        "ListModels": pb.ListModelsRequest(),
    }
    return sound[method] if method in sound else CREATES[method](world)


async def download(served: Served, image_id: str, offset: int = 0) -> bytes:
    """Read an image; the first message is info and says all of it."""
    rpc = served.stub.DownloadImage(pb.DownloadImageRequest(image_id=image_id, offset=offset))
    responses = [response async for response in rpc]
    assert [response.WhichOneof("payload") for response in responses] == [
        "info",
        *["chunk"] * (len(responses) - 1),
    ]
    assert responses[0].info.image_id == image_id
    return b"".join(response.chunk for response in responses)


def _task(outcome: Outcome) -> task_pb2.Task:
    (response,) = outcome.responses
    task = getattr(response, "task")  # noqa: B009  each answer of a create has one
    assert isinstance(task, task_pb2.Task)
    return task


def _file(served: Served, image_id: str) -> Path:
    (file,) = (served.data_dir / "images").rglob(image_id.removeprefix("sha256:"))
    return file


async def _until_stored(served: Served, expected: Counter[str]) -> None:
    async def holds() -> bool:
        return await served.stored() == expected

    await eventually(holds)
