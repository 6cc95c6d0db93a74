"""What is another tenant's is answered like what is not there, byte for byte (P22, F86).

The cells come from the descriptors: every RPC × every field that names something × the objects and resume
points there are. A new RPC, or a new field that nobody put into the table, fails here.
"""

import base64
import hashlib
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit.v1 import image_pb2, task_pb2
from imageedit_client import AsyncClient
from tests.rpc.callers import ALICE, BOB, asking, bearer
from tests.rpc.calls import METHODS, Outcome, call
from tests.rpc.pictures import PNG, picture
from tests.rpc.serving import Served

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Names(Enum):
    """What a field names."""

    TASK = auto()
    IMAGE = auto()
    REQUEST = auto()
    PAGE = auto()
    BYTES = auto()
    PLACE = auto()
    """A resume point or index within what a field beside it names."""


NAMING = {
    "EditImageRequest.request_id": Names.REQUEST,
    "CreateModelEditRequest.request_id": Names.REQUEST,
    "CreateModelEditRequest.base_model_task_id": Names.TASK,
    "CreateDefaultModelRequest.request_id": Names.REQUEST,
    "WatchTaskRequest.task_id": Names.TASK,
    "WatchTaskRequest.after_seq": Names.PLACE,
    "GetTaskRequest.task_id": Names.TASK,
    "CancelTaskRequest.task_id": Names.TASK,
    "DeleteTaskRequest.task_id": Names.TASK,
    "DeleteImageRequest.image_id": Names.IMAGE,
    "ListTasksRequest.page_token": Names.PAGE,
    "DownloadImageRequest.image_id": Names.IMAGE,
    "DownloadImageRequest.offset": Names.PLACE,
    "UploadImageInfo.sha256": Names.BYTES,
    "ImageSource.image_id": Names.IMAGE,
    "TaskOutput.task_id": Names.TASK,
    "TaskOutput.index": Names.PLACE,
}
PLAIN = {
    *("user_id", "model", "prompt", "edit_instructions", "size", "n", "labels", "angle", "url", "content"),
    *("page_size", "chunk", "quality", "background", "output_format", "output_compression", "input_fidelity"),
    *(
        "partial_images",
        "moderation",
        "seed",
        "gender",
        "skin_color",
        "body_type",
        "height_cm",
        "weight_kg",
        "age",
    ),
}
"""Fields that name nothing that could be another tenant's."""
NAMELESS = {"ListModels"}
"""RPCs that are about nothing of any tenant's."""
PLACES = (-1, 0, 1, 2, 3, 1000, 2**31 - 1)


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a request by its path, and what it names; ``None`` when nobody has said."""

    method: str
    path: tuple[str, ...]
    names: Names | None
    is_plain: bool

    @property
    def holder(self) -> tuple[str, ...]:
        """The message that it is a field of."""
        return (self.method, *self.path[:-1])

    def __str__(self) -> str:
        return f"{self.method} {'.'.join(self.path)}"


def _fields_of(method: str, descriptor: Any, path: tuple[str, ...] = ()) -> Iterator[Field]:
    for field in descriptor.fields:
        here = (*path, field.name)
        is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
        if field.message_type is not None and not is_map:
            if field.message_type.file.package == descriptor.file.package:
                yield from _fields_of(method, field.message_type, here)
        elif field.type not in (field.TYPE_BOOL, field.TYPE_ENUM):
            names = NAMING.get(f"{descriptor.name}.{field.name}")
            yield Field(method, here, names, field.name in PLAIN)


FIELDS = [each for name, method in METHODS.items() for each in _fields_of(name, method.input_type)]


def _of(*names: Names) -> list[Field]:
    return [field for field in FIELDS if field.names in names]


async def test_every_field_is_in_the_table() -> None:
    """A new field is said to name something, or to name nothing; and every word of the table is used."""
    assert [str(field) for field in FIELDS if (field.names is None) is not field.is_plain] == []
    assert {field.path[-1] for field in FIELDS if field.is_plain} == PLAIN
    assert {field.path[-1] for field in FIELDS if field.names} == {name.split(".")[1] for name in NAMING}


async def test_every_rpc_is_in_the_matrix() -> None:
    """A new RPC names something in a field, or is said to be about nothing."""
    assert set(METHODS) - {field.method for field in FIELDS if field.names} == NAMELESS


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """What is alice's, and what bob needs to ask well."""

    served: Served
    tasks: tuple[str, ...]
    images: tuple[str, ...]
    request_ids: dict[str, str]
    page_token: str
    bobs_image: str
    bobs_task: str

    async def ask(self, method: str, *requests: Message, key: str = BOB) -> Outcome:
        """Call."""
        return await call(self.served.channel, method, *requests, metadata=bearer(key))

    def request(self, method: str, image: str = "") -> Message:
        """A request of bob's that is answered well."""
        image_id = image or self.bobs_image
        sources = [image_pb2.ImageSource(image_id=image_id)]
        good: dict[str, dict[str, object]] = {
            "EditImage": {"prompt": "x", "images": sources},
            "CreateModelEdit": {
                "user_id": "u",
                "base_model_task_id": self.bobs_task,
                "edit_instructions": "x",
            },
            "CreateDefaultModel": {"user_id": "u", "image": sources[0]},
            "UploadImage": {"info": image_pb2.UploadImageInfo()},
        }
        return GetMessageClass(METHODS[method].input_type)(**good.get(method, {}))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Tasks of alice in every state, images of hers, and keys that she used."""
    async with asking(tmp_path_factory.mktemp("server")) as served:
        address = served.server.grpc_address
        async with AsyncClient(address, api_key=ALICE) as alice, AsyncClient(address, api_key=BOB) as bob:
            uploaded = await alice.upload(ALICES)
            own = [uploaded.image_id]
            done = await alice.wait((await alice.edit_image("x", own)).task_id)
            failed = await alice.wait((await alice.edit_image("x", own, model="scripted/fail")).task_id)
            doomed = await alice.edit_image("x", own, model="scripted/never")
            await alice.cancel(doomed.task_id)
            running = await alice.edit_image("x", own, model="scripted/never")
            default = await alice.wait(
                (await alice.create_default_model(uploaded.image_id, user_id="u")).task_id
            )
            bobs = await bob.upload(PNG)
            bobs_task = await bob.wait((await bob.edit_image("x", [bobs.image_id])).task_id)
        assert done.images
        made = [done, failed, doomed, running, default]
        listed = pb.ListTasksRequest(page_size=1)
        page = await call(served.channel, "ListTasks", listed, metadata=bearer(ALICE))
        yield World(
            served=served,
            tasks=tuple(task.task_id for task in made),
            images=(uploaded.image_id, done.images[0].image_id),
            request_ids={"EditImage": done.request_id, "CreateDefaultModel": default.request_id},
            page_token=page.responses[0].next_page_token,  # type: ignore[attr-defined]
            bobs_image=bobs.image_id,
            bobs_task=bobs_task.task_id,
        )


ALICES = picture(fill=17)
MISSING = {
    Names.TASK: ("task_" + "5" * 32, "task_" + "f" * 32),
    Names.IMAGE: ("sha256:" + "5" * 64, "sha256:" + "f" * 64),
}


def put(message: Message, path: Sequence[str], value: object) -> Message:
    """Set the field at ``path``, in the first one of what is repeated."""
    *way, name = path
    holder: Any = message
    for step in way:
        found = getattr(holder, step)
        is_list = hasattr(found, "add")
        holder = (found[0] if found else found.add()) if is_list else found
    setattr(holder, name, value)
    return message


def told(outcome: Outcome) -> tuple[object, ...]:
    """Everything that a caller can tell outcomes apart by."""
    return outcome.code, outcome.message, sorted(outcome.trailer.items()), outcome.responses


@pytest.mark.parametrize("field", _of(Names.TASK, Names.IMAGE), ids=str)
async def test_what_is_anothers_is_not_there(world: World, field: Field) -> None:
    """Every object of hers, at every place in it, checked only or in earnest: as if there were none."""
    assert field.names
    theirs = world.tasks if field.names is Names.TASK else world.images
    places = [each for each in _of(Names.PLACE) if each.holder == field.holder]
    stored = await world.served.stored()
    asked = set()
    # A malformed id of a task is a missing one; that of an image is told apart, being nobody's by its form.
    malformed = (theirs[0].upper(), "x") if field.names is Names.TASK else ()
    for place, value in [(None, 0), *((place, value) for place in places for value in PLACES)]:
        for object_id in (*MISSING[field.names], *theirs, *malformed):
            request = put(world.request(field.method), field.path, object_id)
            if place:
                put(request, place.path, value)
            outcome = await world.ask(field.method, request)
            if place is None or value >= 0:  # below 0 is wrong whatever it is of
                assert outcome.code is grpc.StatusCode.NOT_FOUND, (object_id, value, outcome)
            asked.add((value if place else None, str(told(outcome))))
    assert len(asked) == 1 + len(places) * len(PLACES)  # one answer for each place, whatever was named
    assert await world.served.stored() == stored


@pytest.mark.parametrize("field", _of(Names.IMAGE), ids=str)
async def test_a_malformed_image_id_is_malformed_whosever_it_was_cut_from(world: World, field: Field) -> None:
    """One answer for all: it says what an id looks like, and nothing of what there is."""
    answers = set()
    for object_id in (world.images[0][:40], world.bobs_image[:40], world.images[0].upper(), "x"):
        outcome = await world.ask(field.method, put(world.request(field.method), field.path, object_id))
        assert outcome.reason == "INVALID_FIELD"
        answers.add(str(told(outcome)))
    assert len(answers) == 1


@pytest.mark.parametrize("field", _of(Names.TASK, Names.IMAGE), ids=str)
async def test_checking_only_tells_nothing_either(world: World, field: Field) -> None:
    """``validate_only`` has every check and no cost: the cheapest way to ask."""
    request = world.request(field.method)
    if not hasattr(request, "validate_only"):
        return
    assert field.names
    theirs = world.tasks if field.names is Names.TASK else world.images
    answers = set()
    for object_id in (*MISSING[field.names], *theirs):
        request = put(world.request(field.method), field.path, object_id)
        put(request, ["validate_only"], True)
        answers.add(str(told(await world.ask(field.method, request))))
    assert len(answers) == 1


@pytest.mark.parametrize("field", _of(Names.REQUEST), ids=str)
async def test_anothers_request_id_is_unused(world: World, field: Field) -> None:
    """Neither its task nor REQUEST_ID_REUSED: a new task of one's own, as with any other key."""
    answers = []
    for request_id in (*world.request_ids.values(), "never-used-before"):
        request = put(world.request(field.method), field.path, request_id)
        outcome = await world.ask(field.method, request)
        assert outcome.code is grpc.StatusCode.OK, outcome
        task = outcome.responses[0].task  # type: ignore[attr-defined]
        assert task.task_id not in world.tasks
        assert task.request_id == request_id
        for name in ("task_id", "request_id", "create_time", "deadline"):
            task.ClearField(name)
        answers.append(task)
    assert all(answer == answers[0] for answer in answers)


@pytest.mark.parametrize("field", _of(Names.PAGE), ids=str)
async def test_anothers_page_token_shows_nothing_of_anothers(world: World, field: Field) -> None:
    """It is answered like one that nobody was given."""
    made_up = base64.urlsafe_b64encode(bytes(24)).decode()
    refused = []
    for token in (world.page_token, made_up):
        outcome = await world.ask(field.method, put(world.request(field.method), field.path, token))
        assert outcome.reason == "INVALID_FIELD"
        refused.append(str(told(outcome)))
    assert refused[0] == refused[1]


@pytest.mark.parametrize("field", _of(Names.BYTES), ids=str)
async def test_an_upload_does_not_tell_what_others_have(world: World, field: Field) -> None:
    """Her bytes are stored like any; her digest with other bytes is as wrong as any."""
    chunk = pb.UploadImageRequest(chunk=picture(fill=99))
    refused = {
        str(told(await world.ask(field.method, put(world.request(field.method), field.path, digest), chunk)))
        for digest in (hashlib.sha256(ALICES).hexdigest(), "5" * 64)
    }
    assert len(refused) == 1
    answers = []
    for data in (ALICES, picture(fill=98)):
        request = put(world.request(field.method), field.path, hashlib.sha256(data).hexdigest())
        download = pb.DownloadImageRequest(image_id=f"sha256:{hashlib.sha256(data).hexdigest()}")
        before = await world.ask("DownloadImage", download)
        assert before.code is grpc.StatusCode.NOT_FOUND
        outcome = await world.ask(field.method, request, pb.UploadImageRequest(chunk=data))
        image = outcome.responses[0].image  # type: ignore[attr-defined]
        assert image.image_id == download.image_id
        assert (await world.ask("DownloadImage", download)).code is grpc.StatusCode.OK
        image.ClearField("image_id")
        image.ClearField("size_bytes")
        answers.append(told(outcome))
    assert answers[0] == answers[1]


async def test_a_list_shows_ones_own(world: World) -> None:
    """In every state and of every user; hers are as they were."""
    for request in (
        pb.ListTasksRequest(page_size=1000),
        *(pb.ListTasksRequest(states=[state]) for state in task_pb2.Task.State.keys()[1:]),
        pb.ListTasksRequest(user_id="u"),
    ):
        outcome = await world.ask("ListTasks", request)
        assert not {task.task_id for task in outcome.responses[0].tasks} & set(world.tasks)  # type: ignore[attr-defined]
    hers = await world.ask("ListTasks", pb.ListTasksRequest(page_size=1000), key=ALICE)
    assert {task.task_id for task in hers.responses[0].tasks} == set(world.tasks)  # type: ignore[attr-defined]
    get = pb.GetTaskRequest(task_id=world.tasks[3])
    running = await world.ask("GetTask", get, key=ALICE)
    assert running.responses[0].task.state == task_pb2.Task.STATE_RUNNING  # type: ignore[attr-defined]
