"""kie.ai: its unified jobs API, with uploads and callbacks (vendor pages 2 and 4, VENDORS §2)."""

from imageedit_server.providers.kie.adapter import KieAdapter

__all__ = ["KieAdapter"]
