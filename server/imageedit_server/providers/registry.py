"""Every adapter, by the name that configuration gives it: a new one is one line here."""

from imageedit_server.providers.base import Adapter
from imageedit_server.providers.kie import KieAdapter
from imageedit_server.providers.local import LocalAdapter
from imageedit_server.providers.openai import OpenaiAdapter
from imageedit_server.providers.scripted import ScriptedAdapter
from imageedit_server.providers.suitme import SuitmeAdapter

ADAPTERS: dict[str, type[Adapter]] = {
    "kie": KieAdapter,
    "local": LocalAdapter,
    "openai": OpenaiAdapter,
    "scripted": ScriptedAdapter,
    "suitme": SuitmeAdapter,
}
