"""The configured providers, and the models for requests that name none."""

import errno
import logging
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack

from imageedit_server.core.request import Kind
from imageedit_server.editing.creating import Defaults
from imageedit_server.outbound.client import ApiClient, Trust
from imageedit_server.outbound.network import Network, authorities
from imageedit_server.outbound.proxy import ProxiedNetwork, parse_proxy
from imageedit_server.providers.base import Connect, Context
from imageedit_server.providers.catalog import Catalog, Provider
from imageedit_server.providers.registry import adapter_named
from imageedit_server.runtime.clock import Clock, SystemClock
from imageedit_server.sandbox.pool import WorkerPool
from imageedit_server.settings import OutboundSettings, Settings, SettingsError, UnusedKey

_log = logging.getLogger(__name__)


def open_catalog(settings: Settings, stack: AsyncExitStack) -> Catalog:
    """Build the providers without a server around them, for as long as ``stack`` lasts."""
    pool = WorkerPool()
    stack.push_async_callback(pool.aclose)
    clock = SystemClock()
    return catalog_of(settings, clock, pool, connector(stack, clock, trust_of(settings.outbound)))


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


def trust_of(outbound: OutboundSettings) -> Trust:
    """Return what calls to the outside rely on. Raises ``SettingsError``."""
    try:
        tls = authorities(outbound.ca_file)
    except OSError as error:  # ssl's own too, which says less
        why = error.strerror if error.filename or error.errno == errno.ENOENT else "it has no certificate"
        raise SettingsError(f"outbound.ca_file: {outbound.ca_file} cannot be used: {why}") from None
    proxy = parse_proxy(outbound.proxy) if outbound.proxy else None
    return Trust(tls=tls, network=ProxiedNetwork(proxy) if proxy else Network())


def connector(stack: AsyncExitStack, clock: Clock, trust: Trust) -> Connect:
    """Return what makes the clients of vendors, which are closed with ``stack``."""

    def connect(base_url: str, headers: Mapping[str, str]) -> ApiClient:
        client = ApiClient(base_url, headers, trust=trust, clock=clock)
        stack.push_async_callback(client.aclose)
        return client

    return connect


def defaults_of(settings: Settings, catalog: Catalog) -> Defaults:
    """Find the models for requests that name none. Raises ``SettingsError`` when nobody serves them."""
    server = settings.server
    wanted = (
        ("server.default_model", server.default_model, Kind.EDIT_IMAGE),
        ("server.default_model_edit_model", server.default_model_edit_model, Kind.MODEL_EDIT),
    )
    for setting, name, kind in wanted:
        if trouble := _trouble_with(name, kind, catalog, settings.unused_keys):
            raise SettingsError(f"{setting}: {name!r} {trouble}")
    return Defaults(edit_model=server.default_model, model_edit_model=server.default_model_edit_model)


def _trouble_with(name: str, kind: Kind, catalog: Catalog, unused: Iterable[UnusedKey]) -> str:
    """Say why tasks of a kind cannot go to a model, and what helps; empty when they can."""
    offer = catalog.find(name)
    if offer is not None and kind in offer.model.kinds:
        return ""
    others = ", ".join(model.name for model in catalog.models() if kind in model.kinds)
    remedy = f"set it to one of {others}" if others else "enable a provider that has a model for such tasks"
    if offer is not None:
        return f"does not serve {kind} tasks; {remedy}"
    nobodys = f"is served by no provider here{catalog.near(name)}"
    return "; ".join((nobodys, remedy, *map(str, unused)))


def tell_what_is_served(settings: Settings, catalog: Catalog) -> None:
    """Log which models can be asked for, and which keys are there for nothing."""
    models = ", ".join(model.name for model in catalog.models())
    _log.info("serving the models %s", models)
    for unused in settings.unused_keys:
        _log.warning("%s", unused)
