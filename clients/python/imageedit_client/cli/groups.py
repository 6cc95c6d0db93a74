"""Groups of options: a dataclass is written once and taken by every command that names it."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any, Self, get_type_hints

import typer

KEYWORD = inspect.Parameter.KEYWORD_ONLY


@dataclass(frozen=True, kw_only=True)
class Group:
    """Base of the groups. Each field is one option: Annotated with typer's words, with its default."""

    @classmethod
    def parameters(cls) -> Iterator[inspect.Parameter]:
        """The fields as typer wants to see them: parameters of a function."""
        hints = get_type_hints(cls, include_extras=True)
        for field in fields(cls):
            yield inspect.Parameter(field.name, KEYWORD, default=field.default, annotation=hints[field.name])

    @classmethod
    def taken_from(cls, arguments: dict[str, Any]) -> Self:
        """Moves the group's own values out of the arguments of a command."""
        return cls(**{field.name: arguments.pop(field.name) for field in fields(cls)})


def expanded(parameter: inspect.Parameter) -> Iterator[inspect.Parameter]:
    """The options of a parameter that is a group, else the parameter itself."""
    if _is_group(parameter):
        yield from parameter.annotation.parameters()
    else:
        yield parameter.replace(kind=KEYWORD)


def folded(parameters: list[inspect.Parameter], arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments that the function takes: groups put together again."""
    groups = {each.name: each.annotation.taken_from(arguments) for each in parameters if _is_group(each)}
    return {**arguments, **groups}


def with_signature(function: Callable[..., None], *parameters: inspect.Parameter) -> Callable[..., None]:
    """Tells typer that the function takes the context and these parameters."""
    context = inspect.Parameter("context", KEYWORD, annotation=typer.Context)
    function.__signature__ = inspect.Signature([context, *parameters])  # type: ignore[attr-defined]
    return function


def _is_group(parameter: inspect.Parameter) -> bool:
    return inspect.isclass(parameter.annotation) and issubclass(parameter.annotation, Group)
