"""OpenAI's image edits, and everything that speaks like them (vendor pages 1 and 3, VENDORS §3 and §4)."""

from imageedit_server.providers.openai.adapter import OpenaiAdapter
from imageedit_server.providers.openai.settings import OpenaiProviderOptions

__all__ = ["OpenaiAdapter", "OpenaiProviderOptions"]
