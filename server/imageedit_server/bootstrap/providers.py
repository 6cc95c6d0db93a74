"""The configured providers, and the models for requests that name none."""

from collections.abc import Mapping
from contextlib import AsyncExitStack

from imageedit_server.core.request import Kind
from imageedit_server.editing.creating import Defaults
from imageedit_server.outbound.client import ApiClient, Trust
from imageedit_server.providers.base import Connect, Context
from imageedit_server.providers.catalog import Catalog, Provider
from imageedit_server.providers.registry import adapter_named
from imageedit_server.runtime.clock import Clock, SystemClock
from imageedit_server.sandbox.pool import WorkerPool
from imageedit_server.settings import (
    ServerSettings,
    Settings,
    SettingsError,
)


def open_catalog(settings: Settings, stack: AsyncExitStack) -> Catalog:
    """Build the providers without a server around them, for as long as ``stack`` lasts."""
    pool = WorkerPool()
    stack.push_async_callback(pool.aclose)
    clock = SystemClock()
    return catalog_of(settings, clock, pool, connector(stack, clock))


def catalog_of(settings: Settings, clock: Clock, pool: WorkerPool, connect: Connect) -> Catalog:
    """Build the configured providers. Raises ``SettingsError`` and ``ModelClash``."""
    providers = []
    for name, options in settings.providers.items():
        context = Context(provider=name, clock=clock, workers=pool.lane(), connect=connect)
        try:
            adapter = adapter_named(options.adapter)(options, context)
        except ValueError as error:
            raise SettingsError(f"providers.{name}: {error}") from None
        providers.append(Provider(name=name, adapter=adapter, options=options))
    return Catalog(providers)


def connector(stack: AsyncExitStack, clock: Clock) -> Connect:
    """Return what makes the clients of vendors, which are closed with ``stack``."""
    trust = Trust()

    def connect(base_url: str, headers: Mapping[str, str]) -> ApiClient:
        client = ApiClient(base_url, headers, trust=trust, clock=clock)
        stack.push_async_callback(client.aclose)
        return client

    return connect


def defaults_of(server: ServerSettings, catalog: Catalog) -> Defaults:
    """Find the models for requests that name none. Raises ``SettingsError`` when nobody serves them."""
    return Defaults(
        edit_model=_served("server.default_model", server.default_model, Kind.EDIT_IMAGE, catalog),
        model_edit_model=_served(
            "server.default_model_edit_model", server.default_model_edit_model, Kind.MODEL_EDIT, catalog
        ),
    )


def _served(setting: str, name: str, kind: Kind, catalog: Catalog) -> str:
    offer = catalog.find(name)
    if offer is not None and kind in offer.model.kinds:
        return name
    trouble = (
        f"does not serve {kind} tasks" if offer else f"is served by no provider here{catalog.near(name)}"
    )
    others = ", ".join(model.name for model in catalog.models() if kind in model.kinds)
    remedy = f"set it to one of {others}" if others else "enable a provider that has a model for such tasks"
    raise SettingsError(f"{setting}: {name!r} {trouble}; {remedy}")
