"""Where servers live: their data and their configuration stay when they die."""

from dataclasses import dataclass
from pathlib import Path

from tests.servers.programs import ANY_PORT, serve_arguments

SCRIPTED = """
[server]
default_model = "scripted/ok"
default_model_edit_model = "scripted/ok"

[engine]
lease_seconds = 3600

[providers.scripted]
adapter = "scripted"
seconds = {seconds}
steps = {steps}
poll_seconds = [0.05, 0.05, 0.05]
"""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A place whose server has the scripted provider, which takes so many seconds for so many steps."""

    folder: Path
    seconds: float = 0.2
    steps: int = 4

    @property
    def data_dir(self) -> Path:
        """Its data."""
        return self.folder / "data"

    def config(self) -> Path:
        """Write the file and return it."""
        path = self.folder / "config.toml"
        path.write_text(SCRIPTED.format(seconds=self.seconds, steps=self.steps))
        return path

    def arguments(self, listen: str = ANY_PORT, http_listen: str = ANY_PORT) -> list[str]:
        """Return the arguments of ``imageedit-server``."""
        return serve_arguments(self.config(), self.data_dir, listen=listen, http_listen=http_listen)
