"""Every provider that ships keeps the contract of adapters, which foreign ones run too."""

from typing import get_args

from imageedit_server.providers.catalog import Catalog, Provider
from imageedit_server.providers.openai.rules import RuleSetName
from imageedit_server.providers.registry import ADAPTERS
from imageedit_testing.provider_contract import *  # noqa: F403  the suite
from imageedit_testing.provider_contract import Idle, fixtures_for, idle_adapter
from tests.contracts.providers import PROVIDERS

member, bench, paid, keyed = fixtures_for(PROVIDERS)


def test_every_adapter_is_under_contract() -> None:
    """An adapter in the registry without a line in ``PROVIDERS`` fails here."""
    assert {member.adapter for member in PROVIDERS.values()} == set(ADAPTERS)


def test_every_rule_set_of_openai_is_under_contract() -> None:
    members = [member.options() for member in PROVIDERS.values() if member.adapter == "openai"]
    assert {getattr(options, "rules", "") for options in members} == set(get_args(RuleSetName))


def test_all_of_them_can_be_served_together() -> None:
    providers = [
        Provider(name=name, adapter=idle_adapter(member, Idle(), name), options=member.options())
        for name, member in PROVIDERS.items()
    ]
    assert {model.provider for model in Catalog(providers).models()} == set(PROVIDERS)
