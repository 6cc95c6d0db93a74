"""Reflection, v1 and v1alpha: everything that is served can be looked up by its full name, methods too."""

import grpc
import pytest
from google.protobuf.descriptor_database import DescriptorDatabase
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.reflection_pb2 import (
    ExtensionRequest,
    ServerReflectionRequest,
    ServerReflectionResponse,
)

from imageedit_server.rpc.descriptors import described
from imageedit_server.rpc.reflection import Reflection
from tests.rpc.calls import METHODS
from tests.rpc.serving import SERVICE, Served

pytestmark = pytest.mark.asyncio(loop_scope="module")

VERSIONS = ("v1", "v1alpha")
OURS = "imageedit/v1/image_edit_service.proto"
DECLARED = {
    **dict.fromkeys(["imageedit.v1.ImageEditService", "imageedit.v1.EditImageRequest"], OURS),
    **{method.full_name: OURS for method in METHODS.values()},
    "imageedit.v1.WatchTaskResponse.Heartbeat": OURS,
    "imageedit.v1.WatchTaskResponse.Heartbeat.seq": OURS,
    "imageedit.v1.EditImageRequest.options": OURS,
    "imageedit.v1.EditImageRequest.LabelsEntry.key": OURS,
    "imageedit.v1.OnUnknown": OURS,
    "imageedit.v1.ON_UNKNOWN_FAIL": OURS,
    "imageedit.v1.Task.State": "imageedit/v1/task.proto",
    "imageedit.v1.Task.STATE_QUEUED": "imageedit/v1/task.proto",
    "imageedit.v1.Task.task_id": "imageedit/v1/task.proto",
    "google.protobuf.Timestamp.seconds": "google/protobuf/timestamp.proto",
    "google.rpc.ErrorInfo": "google/rpc/error_details.proto",
    "grpc.health.v1.Health.List": "grpc_health/v1/health.proto",
    "grpc.health.v1.HealthCheckResponse.SERVING": "grpc_health/v1/health.proto",
    "grpc.reflection.v1.ServerReflection.ServerReflectionInfo": "grpc_reflection/v1/reflection.proto",
    "grpc.reflection.v1alpha.ServerReflectionRequest": "grpc_reflection/v1alpha/reflection.proto",
}
"""Names of every kind, and the file that each is declared in."""
UNKNOWN = (
    ServerReflectionRequest(file_containing_symbol="imageedit.v1.ImageEditService.Nobody"),
    ServerReflectionRequest(file_containing_symbol="imageedit.v1"),
    ServerReflectionRequest(file_containing_symbol=""),
    ServerReflectionRequest(file_by_filename="/etc/passwd"),
    ServerReflectionRequest(all_extension_numbers_of_type="nobody"),
    ServerReflectionRequest(
        file_containing_extension=ExtensionRequest(containing_type="imageedit.v1.Task", extension_number=1)
    ),
)


@pytest.mark.parametrize("version", VERSIONS)
async def test_it_lists_the_services(served: Served, version: str) -> None:
    """Ours, health and reflection itself."""
    (answer,) = await reflect(served, version, ServerReflectionRequest(list_services=""))
    assert [service.name for service in answer.list_services_response.service] == [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        SERVICE.full_name,
    ]


@pytest.mark.parametrize("version", VERSIONS)
async def test_every_name_leads_to_its_file(served: Served, version: str) -> None:
    """The library's own servicer finds no methods (grpc/grpc#34743), which grpcurl and ghz ask for."""
    requests = [ServerReflectionRequest(file_containing_symbol=name) for name in DECLARED]
    answers = await reflect(served, version, *requests)
    found = [files_of(answer)[0].name for answer in answers]
    assert dict(zip(DECLARED, found, strict=True)) == DECLARED


@pytest.mark.parametrize("version", VERSIONS)
async def test_each_answer_has_all_that_its_file_needs(served: Served, version: str) -> None:
    """A client builds every file from one answer, and what it gets is what we were built from."""
    for name in set(DECLARED.values()):
        (answer,) = await reflect(served, version, ServerReflectionRequest(file_by_filename=name))
        assert pool_of(answer).FindFileByName(name).name == name
    (answer,) = await reflect(served, version, ServerReflectionRequest(file_by_filename=OURS))
    (service,) = files_of(answer)[0].service
    assert [method.name for method in service.method] == list(METHODS)


async def test_what_there_is_not_is_an_answer_and_the_stream_goes_on(served: Served) -> None:
    """NOT_FOUND, or INVALID_ARGUMENT for a request that asks for nothing; each says what it answers."""
    empty, last = ServerReflectionRequest(host="here"), ServerReflectionRequest(list_services="")
    answers = await reflect(served, "v1", *UNKNOWN, empty, last)
    codes = [answer.error_response.error_code for answer in answers]
    assert codes == [grpc.StatusCode.NOT_FOUND.value[0]] * len(UNKNOWN) + [
        grpc.StatusCode.INVALID_ARGUMENT.value[0],
        0,
    ]
    assert [answer.original_request for answer in answers] == [*UNKNOWN, empty, last]
    assert answers[-2].valid_host == "here"


async def test_extensions_are_found_by_their_number() -> None:
    """Of messages that are extended; a message that is not has none."""
    file = FileDescriptorProto(name="a.proto", package="a")
    base = file.message_type.add(name="Base")
    base.extension_range.add(start=100, end=200)
    file.extension.add(name="outer", number=107, extendee=".a.Base")
    file.message_type.add(name="Other").extension.add(name="inner", number=101, extendee=".a.Base")
    reflection = Reflection(described([], file), [])
    numbers, none, found = [
        answer
        async for answer in reflection.answers(
            each(
                ServerReflectionRequest(all_extension_numbers_of_type="a.Base"),
                ServerReflectionRequest(all_extension_numbers_of_type="a.Other"),
                ServerReflectionRequest(
                    file_containing_extension=ExtensionRequest(containing_type="a.Base", extension_number=101)
                ),
            ),
            None,
        )
    ]
    assert list(numbers.all_extension_numbers_response.extension_number) == [101, 107]
    assert list(none.all_extension_numbers_response.extension_number) == []
    assert [file.name for file in files_of(found)] == ["a.proto"]


async def each(*requests):
    for request in requests:
        yield request


async def reflect(
    served: Served, version: str, *requests: ServerReflectionRequest
) -> list[ServerReflectionResponse]:
    """Ask all of it in one stream."""
    path = f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"
    stream = served.channel.stream_stream(path, bytes, ServerReflectionResponse.FromString)
    return [answer async for answer in stream(request.SerializeToString() for request in requests)]


def files_of(answer: ServerReflectionResponse) -> list[FileDescriptorProto]:
    """The one that was asked for, then all that it needs."""
    files = answer.file_descriptor_response.file_descriptor_proto
    return [FileDescriptorProto.FromString(file) for file in files]


def pool_of(answer: ServerReflectionResponse) -> DescriptorPool:
    """Nothing but what was answered."""
    database = DescriptorDatabase()
    for file in files_of(answer):
        database.Add(file)
    return DescriptorPool(database)
