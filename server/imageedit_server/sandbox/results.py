"""Answers of worker processes, read: what arrives is plain data, or nothing.

Whoever took over a worker with a picture can answer what they like. That becomes a value of the kind that the
job's annotation names, or one of the few errors that a job may raise; it runs no code here and takes no more
memory than the job's answer may. The form is described in ``worker_process``.
"""

import json
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any, get_type_hints

from pydantic import TypeAdapter

from imageedit_server.runtime.workers import JobFailed, JobRefused, WorkersBroken
from imageedit_server.sandbox.worker_process import HEADER, MOST_WORDS_BYTES, name_of


class BadAnswer(Exception):
    """A worker answered what is no answer to its job."""


def lengths_of(header: bytes | bytearray, most_content_bytes: int) -> tuple[int, int]:
    """Return how long the two parts of an answer are. Raises ``BadAnswer`` when they are too long."""
    words, content = HEADER.unpack_from(header)
    if words > MOST_WORDS_BYTES or content > most_content_bytes:
        raise BadAnswer(f"The answer of a worker has {words} + {content} bytes.")
    return words, content


def read_answer(
    function: Callable[..., Any], words: bytes | memoryview, content: memoryview
) -> tuple[Any, Exception | None]:
    """Return what ``function`` returned in the worker, or what it raised. Raises ``BadAnswer``."""
    try:
        answer = json.loads(bytes(words), object_hook=partial(_with_bytes, content))
        match answer:
            case [result]:
                return _kind(function).validate_python(result), None
            case [str(name), list(strings)]:
                return None, _errors()[name](*_STRINGS.validate_python(strings))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadAnswer("A worker answered what its job cannot say.") from error
    raise BadAnswer("A worker answered neither a result nor an error.")


_STRINGS = TypeAdapter(list[str])


@lru_cache
def _kind(function: Callable[..., Any]) -> TypeAdapter[Any]:
    """Return what checks a result; of a function without annotations, anything plain passes."""
    annotated = get_type_hints(function) if hasattr(function, "__annotations__") else {}
    return TypeAdapter(annotated.get("return", Any))


def _with_bytes(content: memoryview, value: dict[str, Any]) -> Any:
    if value.keys() != {"at", "bytes"}:
        return value
    return bytes(content[value["at"] : value["at"] + value["bytes"]])


def _errors() -> Mapping[str, type[Exception]]:
    kinds: list[type[Exception]] = [MemoryError, JobFailed, WorkersBroken, *JobRefused.__subclasses__()]
    return {name_of(kind): kind for kind in kinds}
