"""Libraries on whose private parts the server stands: the versions that it was proven with.

Another version is named at the start and not refused: it may bring a security fix that cannot wait, and most
change nothing here. One without a part that is built on is refused, since what the part is for would be gone
in silence.
"""

import logging
import re
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

_log = logging.getLogger(__name__)


class Unsupported(Exception):
    """A library cannot be built on; the message is the whole sentence for the operator."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProvenVersions:
    """A library and its tested versions, ``first`` to before ``below``, as pyproject.toml bounds them."""

    library: str
    first: str
    below: str

    @property
    def bounds(self) -> str:
        """The tested versions, as pip takes them."""
        return f"{self.library}>={self.first},<{self.below}"

    def require(self, holder: Any, *parts: str) -> None:
        """Raise ``Unsupported`` when a module or a class has no attribute of one of these names.

        Those that a class gives its objects when they are made count too.
        """
        made = getattr(getattr(holder, "__init__", None), "__code__", None)
        names = {*dir(holder), *(made.co_names if made else ())}
        if missing := [f"{holder.__name__}.{part}" for part in parts if part not in names]:
            found = f"{self.library} {version(self.library)}"
            raise Unsupported(
                f"{found} has no {', '.join(missing)}, which this server is built on; install {self.bounds}"
            )

    def name_untested(self) -> None:
        """Log a warning when the version that is installed was not tested."""
        found = version(self.library)
        if not _numbers(self.first) <= _numbers(found) < _numbers(self.below):
            _log.warning(
                "%s %s was not tested with this server, which is built on private parts of it; tested is %s",
                self.library,
                found,
                self.bounds,
            )


def _numbers(of: str) -> tuple[int, ...]:
    """Read the release of a version: 1.86.0rc1 is 1.86."""
    release = re.match(r"[0-9.]+", of)
    numbers = [int(number) for number in release[0].split(".") if number] if release else []
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)
