"""The files that describe what is served, and where in them each name is: what reflection answers from."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from google.protobuf import text_format
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from grpc_reflection.v1alpha import reflection_pb2

Extension = tuple[str, int]
"""The full name of the message that is extended, and the number of the field."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Descriptors:
    """Files by their names, each with all that it imports; names of files by what they declare."""

    files: Mapping[str, FileDescriptorProto]
    symbols: Mapping[str, str]
    """By full name: services, methods, messages, fields, oneofs, enums, enum values, extensions."""
    extensions: Mapping[Extension, str]

    def with_imports(self, name: str) -> tuple[bytes, ...]:
        """Return the file of this name and all that it needs, serialised. Raises ``KeyError``."""
        wanted = {name: self.files[name]}
        for file in (queue := [self.files[name]]):
            for missing in (each for each in file.dependency if each not in wanted):
                wanted[missing] = self.files[missing]
                queue.append(wanted[missing])
        return tuple(file.SerializeToString() for file in wanted.values())

    def extension_numbers(self, message: str) -> list[int]:
        """Return the numbers by which ``message`` is extended, rising. Raises ``KeyError`` for no message."""
        self.symbols[message]
        return sorted(number for extended, number in self.extensions if extended == message)


def described(roots: Iterable[FileDescriptor], *more: FileDescriptorProto) -> Descriptors:
    """Describe these files with all that they import; ``more`` may import nothing else.

    The library's own servicer asks a pool, which finds no methods (grpc/grpc#34743) and tells of every file
    that this process ever loaded.
    """
    loaded = {file.name: FileDescriptorProto.FromString(file.serialized_pb) for file in _imported(roots)}
    files = loaded | {file.name: file for file in more}
    return Descriptors(
        files=files,
        symbols={symbol: name for name, file in files.items() for symbol in _symbols(file)},
        extensions={
            (each.extendee.removeprefix("."), each.number): name
            for name, file in files.items()
            for each in _extensions(file)
        },
    )


def reflection_v1() -> FileDescriptorProto:
    """Return ``grpc.reflection.v1``: v1alpha under the name that it got when it was found stable.

    No package of the library has it. Every message and number is the same.
    """
    text = text_format.MessageToString(
        FileDescriptorProto.FromString(reflection_pb2.DESCRIPTOR.serialized_pb), as_utf8=True
    )
    return text_format.Parse(text.replace("v1alpha", "v1"), FileDescriptorProto())


def _imported(roots: Iterable[FileDescriptor]) -> list[FileDescriptor]:
    found = {file.name: file for file in roots}
    for file in (queue := list(found.values())):
        for each in (each for each in file.dependencies if each.name not in found):
            found[each.name] = each
            queue.append(each)
    return queue


def _symbols(file: FileDescriptorProto) -> Iterator[str]:
    scope = f"{file.package}." if file.package else ""
    for service in file.service:
        yield f"{scope}{service.name}"
        yield from (f"{scope}{service.name}.{method.name}" for method in service.method)
    for message in file.message_type:
        yield from _symbols_of_message(scope, message)
    for enum in file.enum_type:
        yield from _symbols_of_enum(scope, enum)
    yield from (f"{scope}{extension.name}" for extension in file.extension)


def _symbols_of_message(scope: str, message: DescriptorProto) -> Iterator[str]:
    yield f"{scope}{message.name}"
    inner = f"{scope}{message.name}."
    yield from (f"{inner}{field.name}" for field in (*message.field, *message.extension))
    yield from (f"{inner}{oneof.name}" for oneof in message.oneof_decl)
    for nested in message.nested_type:
        yield from _symbols_of_message(inner, nested)
    for enum in message.enum_type:
        yield from _symbols_of_enum(inner, enum)


def _symbols_of_enum(scope: str, enum: EnumDescriptorProto) -> Iterator[str]:
    yield f"{scope}{enum.name}"
    yield from (f"{scope}{value.name}" for value in enum.value)  # siblings of their enum, as in C++


def _extensions(declaring: FileDescriptorProto | DescriptorProto) -> Iterator[FieldDescriptorProto]:
    yield from declaring.extension
    nested = declaring.message_type if isinstance(declaring, FileDescriptorProto) else declaring.nested_type
    for message in nested:
        yield from _extensions(message)
