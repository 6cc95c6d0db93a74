"""The image-editing gateway: one gRPC service in front of many vendors."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    __version__: str
    """The version of the installed distribution, as pyproject.toml states it."""
else:

    def __getattr__(name: str) -> str:
        """Read ``__version__`` when it is asked for: the metadata that holds it take milliseconds."""
        if name != "__version__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib.metadata import version  # noqa: PLC0415  whoever does not ask does not pay

        return version("imageedit")
