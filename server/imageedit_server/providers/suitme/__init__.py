"""Suitme's digital models: default models and their edits (vendor page 0, VENDORS §1)."""

from imageedit_server.providers.suitme.adapter import SuitmeAdapter, SuitmeOptions

__all__ = ["SuitmeAdapter", "SuitmeOptions"]
