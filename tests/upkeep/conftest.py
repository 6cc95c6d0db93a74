"""This room's tests run in virtual time, each in a house of its own."""

from tests.engine.serving import house, pytest_asyncio_loop_factories, vendor

__all__ = ["house", "pytest_asyncio_loop_factories", "vendor"]
