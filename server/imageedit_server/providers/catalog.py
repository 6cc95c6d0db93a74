"""Which models can be used, and which provider serves each."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from imageedit_server.core.model import Model
from imageedit_server.providers.base import Adapter, ProviderOptions
from imageedit_server.runtime.spelling import did_you_mean


class ModelClash(Exception):
    """Two providers serve a model under one name; the message is the whole sentence for the operator."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Provider:
    """A configured vendor account."""

    name: str
    adapter: Adapter
    options: ProviderOptions


@dataclass(frozen=True, slots=True)
class Offer:
    """A model and who serves it."""

    model: Model
    provider: Provider


class Catalog:
    """Every configured provider and every model. Raises ``ModelClash`` when a name is not unique."""

    def __init__(self, providers: Iterable[Provider]) -> None:
        self.providers: Mapping[str, Provider] = {provider.name: provider for provider in providers}
        self._offers: dict[str, Offer] = {}
        for provider in self.providers.values():
            for model in provider.adapter.models:
                safety = provider.adapter.submit_safety
                self._add(Offer(replace(model, submit_safety=safety), provider))

    def _add(self, offer: Offer) -> None:
        name = offer.model.name
        if name in self._offers:
            first = self._offers[name].provider.name
            raise ModelClash(
                f"model {name} is served by providers {first} and {offer.provider.name}; rename one"
            )
        self._offers[name] = offer

    def find(self, model: str) -> Offer | None:
        """Return the offer of a model, None when nobody serves it."""
        return self._offers.get(model)

    def near(self, model: str) -> str:
        """Return a question that names the model of nearly this name; empty when there is none."""
        return did_you_mean(model, self._offers)

    def models(self) -> list[Model]:
        """Return every model, by name."""
        return [self._offers[name].model for name in sorted(self._offers)]
