"""The embedded provider ``local``: no vendor, no network, no cost."""

from imageedit_server.providers.local.adapter import LocalAdapter

__all__ = ["LocalAdapter"]
