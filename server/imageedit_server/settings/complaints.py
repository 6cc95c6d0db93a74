"""What a setting takes and what is wrong with a value, in words for the operator.

Everything is read from the models, so that no range stands in two places. No text that was given is shown,
since it may be a secret in the wrong place; numbers are.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from inspect import isclass
from pathlib import Path
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Literal, cast, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from imageedit_server.runtime.spelling import did_you_mean

SECRET_FORMS = ("", "_env", "_file")
"""How a secret's name may end: itself, the variable that holds it, the file that does."""
KINDS: Mapping[Any, str] = MappingProxyType(
    {
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        str: "a text",
        SecretStr: "a text",
        Path: "a path",
        dict: "a table",
        Mapping: "a table of texts",
    }
)
_NUMBER = re.compile(r"[+-]?(\d{1,20}(\.\d{1,20})?(e[+-]?\d{1,3})?|inf|nan)")


class SettingsError(Exception):
    """The server cannot start like this; the message is the whole sentence for the operator, on one line."""

    def __init__(self, sentence: str) -> None:
        super().__init__(" ".join(sentence.split()))


def validated(model: type[Any], raw: Mapping[str, Any], prefix: str) -> Any:
    """Make a ``model`` from ``raw``. Raises ``SettingsError`` with the first thing that is wrong."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise SettingsError(complaint(error, model, prefix)) from None


def complaint(error: ValidationError, model: type[BaseModel], prefix: str) -> str:
    """Return the first thing that is wrong with what ``model`` was given under the name ``prefix``."""
    first = error.errors(include_url=False)[0]
    path = _path(model, first["loc"])
    where = ".".join(filter(None, (prefix, *path)))
    if first["type"] == "extra_forbidden":
        return f"unknown setting {where}{_instead(where, model, path, prefix)}"
    if first["type"] == "value_error":
        return f"{where}: {first['ctx']['error']}"
    field = _field(model, path)
    return f"{where}: must be {takes(field)}{_shown(field, first['input'])}"


def takes(field: FieldInfo) -> str:
    """Return what a setting may be: ``a whole number, 0 to 100``."""
    return ", ".join(filter(None, (field.description or _kind(field.annotation), range_of(field))))


def range_of(field: FieldInfo) -> str:
    """Return from where to where a number may be; empty for everything else."""
    if get_origin(field.annotation) is tuple and (each := _limits(get_args(field.annotation)[0])):
        return f"each {_range(each)}"
    return _range(_limits(field))


def _limits(of: Any) -> dict[str, float]:
    """Find the limits of a field, or of an annotated type."""
    metadata = getattr(of, "metadata", ()) or [
        each for inner in getattr(of, "__metadata__", ()) for each in inner.metadata
    ]
    names = ("ge", "gt", "le")
    return {name: getattr(each, name) for each in metadata for name in names if hasattr(each, name)}


def _range(limits: Mapping[str, float]) -> str:
    match limits:
        case {"ge": low, "le": high}:
            return f"{low} to {high}"
        case {"gt": low, "le": high}:
            return f"above {low} and at most {high}"
        case {"ge": low}:
            return f"{low} or more"
    return ""


def _kind(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(f'"{word}"' for word in arguments)
    if origin is tuple:
        return "a list of texts" if Ellipsis in arguments else f"a list of {len(arguments)} numbers"
    if origin is UnionType:
        return " or ".join(_kind(each) for each in arguments if each is not NoneType)
    return "a table of settings" if _is_section(annotation) else KINDS[origin or annotation]


def _is_section(annotation: Any) -> bool:
    return isclass(annotation) and issubclass(annotation, BaseModel)


def _path(model: type[BaseModel], loc: Sequence[int | str]) -> tuple[str, ...]:
    """Name the setting, without the place in its list or the key in its table."""
    for depth, name in enumerate(loc, start=1):
        field = model.model_fields.get(str(name))
        if field is None or not _is_section(field.annotation):
            return tuple(map(str, loc[:depth]))
        model = _section(field)
    return tuple(map(str, loc))


def _field(model: type[BaseModel], path: Sequence[str]) -> FieldInfo:
    field = model.model_fields[path[0]]
    return _field(_section(field), path[1:]) if len(path) > 1 else field


def _section(field: FieldInfo) -> type[BaseModel]:
    return cast(type[BaseModel], field.annotation)


def _instead(where: str, model: type[BaseModel], path: Sequence[str], prefix: str) -> str:
    """Ask for a setting that is spelled alike, of any section; else name all of the same section."""
    known = (name for name in _names(model, prefix) if not where.startswith(f"{name}."))
    if question := did_you_mean(where, known):
        return question
    holder = _section(_field(model, path[:-1])) if len(path) > 1 else model
    return f"; there is {', '.join(_names(holder, '', deep=False))}"


def _names(model: type[BaseModel], prefix: str, *, deep: bool = True) -> Iterator[str]:
    """Yield the name of every setting; with ``deep`` of those in sections too."""
    for name, field in model.model_fields.items():
        full = f"{prefix}.{name}" if prefix else name
        yield from (full + form for form in (SECRET_FORMS if field.annotation is SecretStr else ("",)))
        if deep and _is_section(field.annotation):
            yield from _names(_section(field), full)


def _shown(field: FieldInfo, value: Any) -> str:
    shown = field.annotation is not SecretStr and _NUMBER.fullmatch(str(value))
    return f", not {value}" if shown else ""
