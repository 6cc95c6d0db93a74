"""grpc.reflection, v1 and v1alpha: tells grpcurl, buf and ghz what is served, down to each method."""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import grpc
from google.protobuf.descriptor_pb2 import ServiceDescriptorProto
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest as Request
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionResponse as Response

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit_server.rpc.descriptors import Descriptors, described, reflection_v1

V1, V1ALPHA = "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"
METHOD = "ServerReflectionInfo"

_ROOTS: tuple[Any, ...] = (  # stubs of packages differ in what they call the class of a file
    pb.DESCRIPTOR,
    health_pb2.DESCRIPTOR,
    reflection_pb2.DESCRIPTOR,
    status_pb2.DESCRIPTOR,  # no method has it or what it carries; whoever shows an error looks them up
    error_details_pb2.DESCRIPTOR,
)
DESCRIBED = described(_ROOTS, reflection_v1())
"""All files of what is served here."""
SERVED: Mapping[str, ServiceDescriptorProto] = {
    f"{file.package}.{service.name}": service for file in DESCRIBED.files.values() for service in file.service
}
"""All services that are served here, by their full names."""


def handlers() -> Mapping[str, Any]:
    """Return the handlers of either service: on the wire v1 and v1alpha are the same."""
    reflection = Reflection(DESCRIBED, sorted(SERVED))
    handler = grpc.stream_stream_rpc_method_handler(
        reflection.answers, Request.FromString, Response.SerializeToString
    )
    return {METHOD: handler}


class Reflection:
    """Answers of ``descriptors``, and of these names of services."""

    def __init__(self, descriptors: Descriptors, names: list[str]) -> None:
        self._descriptors = descriptors
        self._names = names
        self._answers: Mapping[str | None, Callable[[Request], Response]] = {
            "file_by_filename": self._file_by_filename,
            "file_containing_symbol": self._file_containing_symbol,
            "file_containing_extension": self._file_containing_extension,
            "all_extension_numbers_of_type": self._all_extension_numbers_of_type,
            "list_services": self._list_services,
        }

    async def answers(self, requests: AsyncIterator[Request], _context: object) -> AsyncIterator[Response]:
        """Answer each request, in order. What there is not is an answer too, and the stream goes on."""
        async for request in requests:
            answer = self._answer(request)
            answer.valid_host = request.host
            answer.original_request.CopyFrom(request)
            yield answer

    def _answer(self, request: Request) -> Response:
        asked = request.WhichOneof("message_request")
        if asked not in self._answers:
            return _error(
                grpc.StatusCode.INVALID_ARGUMENT, "The request asks for nothing that is known here."
            )
        try:
            return self._answers[asked](request)
        except KeyError:
            return _error(grpc.StatusCode.NOT_FOUND, "Nothing that is served here has this name.")

    def _file_by_filename(self, request: Request) -> Response:
        return self._file(request.file_by_filename)

    def _file_containing_symbol(self, request: Request) -> Response:
        return self._file(self._descriptors.symbols[request.file_containing_symbol])

    def _file_containing_extension(self, request: Request) -> Response:
        asked = request.file_containing_extension
        return self._file(self._descriptors.extensions[asked.containing_type, asked.extension_number])

    def _file(self, name: str) -> Response:
        answer = Response()
        answer.file_descriptor_response.file_descriptor_proto.extend(self._descriptors.with_imports(name))
        return answer

    def _all_extension_numbers_of_type(self, request: Request) -> Response:
        answer, message = Response(), request.all_extension_numbers_of_type
        numbers = self._descriptors.extension_numbers(message)
        answer.all_extension_numbers_response.base_type_name = message
        answer.all_extension_numbers_response.extension_number.extend(numbers)
        return answer

    def _list_services(self, _: Request) -> Response:
        answer = Response()
        for name in self._names:
            answer.list_services_response.service.add(name=name)
        return answer


def _error(code: grpc.StatusCode, message: str) -> Response:
    answer = Response()
    answer.error_response.error_code = code.value[0]
    answer.error_response.error_message = message
    return answer
