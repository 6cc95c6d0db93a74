"""KEY=VALUE words on the command line, and how they become fields of a proto."""

from collections.abc import Iterable
from typing import Any, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message

from .output import Misuse

M = TypeVar("M", bound=Message)
TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def pairs(words: Iterable[str], option: str) -> dict[str, str]:
    """Splits each word at its first "="; a usage error for a word without one."""
    split = [word.partition("=") for word in words]
    for key, equals, _ in split:
        if not key or not equals:
            raise Misuse(f'"{key}{equals}" is not KEY=VALUE', option)
    return {key: value for key, _, value in split}


def fields(message: M, words: Iterable[str], option: str) -> M:
    """Fills a flat message; a usage error names the key and what it may be."""
    known = message.DESCRIPTOR.fields_by_name
    for key, value in pairs(words, option).items():
        if key not in known:
            names = ", ".join(known)
            raise Misuse(f'"{key}" is not one of {names}', option)
        try:
            ParseDict({key: _value(known[key], value)}, message)
        except (ParseError, ValueError, KeyError) as error:
            hint = f"{key}={value}: give {_wanted(known[key])}"
            raise Misuse(hint, option) from error
    return message


def _value(field: Any, text: str) -> object:
    if field.enum_type is not None:
        return _prefix(field) + text.upper()
    if field.type == FieldDescriptor.TYPE_BOOL:
        return TRUTH[text.lower()]
    return text


def _wanted(field: Any) -> str:
    if field.enum_type is not None:
        names = (each.name.removeprefix(_prefix(field)) for each in field.enum_type.values[1:])
        return " or ".join(names)
    return "true or false" if field.type == FieldDescriptor.TYPE_BOOL else "a number"


def _prefix(field: Any) -> str:
    # The zero value is always PREFIX_UNSPECIFIED; buf's lint sees to it.
    return str(field.enum_type.values[0].name).removesuffix("UNSPECIFIED")
