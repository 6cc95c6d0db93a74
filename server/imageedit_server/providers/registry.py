"""Every adapter, by the name that configuration gives it.

A new one that ships is one line here. One of another distribution is an entry point of the group
``imageedit.adapters`` there (docs/adapters.md); it is imported when a provider asks for it, so that what is
installed beside slows no start, and breaks none but by taking a name that is taken.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from inspect import isclass
from typing import Any

from imageedit_server.providers.base import Adapter, ProviderOptions
from imageedit_server.providers.kie import KieAdapter
from imageedit_server.providers.local import LocalAdapter
from imageedit_server.providers.openai import OpenaiAdapter
from imageedit_server.providers.scripted import ScriptedAdapter
from imageedit_server.providers.suitme import SuitmeAdapter

GROUP = "imageedit.adapters"

ADAPTERS: dict[str, type[Adapter]] = {
    "kie": KieAdapter,
    "local": LocalAdapter,
    "openai": OpenaiAdapter,
    "scripted": ScriptedAdapter,
    "suitme": SuitmeAdapter,
}


class AdapterUnusable(Exception):
    """An adapter of another distribution cannot be used; the message is the sentence for the operator."""


def adapter_names() -> list[str]:
    """Return every name that a provider may give its adapter. Raises ``AdapterUnusable`` for a name twice."""
    return sorted({*ADAPTERS, *_installed()})


def adapter_named(name: str) -> type[Adapter]:
    """Return an adapter. Raises ``AdapterUnusable``, and ``KeyError`` for a name that nobody has."""
    installed = _installed()
    return ADAPTERS[name] if name in ADAPTERS else _loaded(installed[name])


@cache
def _installed() -> Mapping[str, EntryPoint]:
    """Find the adapters of other distributions; which are there does not change while a process runs."""
    found: dict[str, EntryPoint] = {}
    for point in _points():
        if point.name in ADAPTERS:
            raise AdapterUnusable(
                f"{_distribution(point)} brings an adapter {point.name!r}, and one of that name ships with"
                " the server; uninstall it, or let it take another name"
            )
        if point.name in found:
            raise AdapterUnusable(
                f"{_distribution(found[point.name])} and {_distribution(point)} both bring an adapter"
                f" {point.name!r}; uninstall one of them"
            )
        found[point.name] = point
    return found


def _points() -> Iterable[EntryPoint]:
    """Look through all that is installed, a file of each distribution."""
    try:
        return entry_points(group=GROUP)
    except OSError as error:
        raise AdapterUnusable(f"what is installed cannot be looked through for adapters: {error}") from error


def _loaded(point: EntryPoint) -> type[Adapter]:
    """Import an adapter; whatever is wrong with it is told in words that need no traceback."""
    where = f"{_distribution(point)} brings the adapter {point.name!r} as {point.value}"
    try:
        adapter: Any = point.load()
    except (Exception, SystemExit) as error:  # a module that ends the program would do so without a name
        raise AdapterUnusable(
            f"{where}, which cannot be imported: {type(error).__name__}: {error}"
        ) from error
    if trouble := _trouble_with(adapter):
        raise AdapterUnusable(f"{where}, {trouble}")
    checked: type[Adapter] = adapter
    return checked


def _trouble_with(adapter: Any) -> str:
    """Say what keeps it from being one, if anything does: its author's type checker may never have run."""
    if not (isclass(adapter) and issubclass(adapter, Adapter)):
        return f"which is no subclass of {Adapter.__module__}.Adapter"
    if missing := _missing_from(adapter):
        return f"which lacks {', '.join(missing)}"
    options: Any = adapter.Options
    if not (isclass(options) and issubclass(options, ProviderOptions)):
        return f"whose Options are no subclass of {ProviderOptions.__module__}.ProviderOptions"
    return ""


def _missing_from(adapter: type[Adapter]) -> list[str]:
    """Name what it owes: the paid call and its reading are for whoever bills, ``submit`` for the others."""
    owed = ("submit",) if adapter.charge.is_free else ("paid_call", "understand")
    unwritten = {name for name in owed if getattr(adapter, name) is getattr(Adapter, name)}
    return sorted(unwritten | getattr(adapter, "__abstractmethods__", frozenset()))


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist else "a distribution without a name"
