"""What an operator would write, from Python values."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

Table = Mapping[str, Any]


def write_config(folder: Path, tables: Mapping[str, Table]) -> Path:
    """Write a configuration file; ``tables`` are by their dotted names."""
    path = folder / "imageedit.toml"
    lines = [
        line
        for name, table in tables.items()
        for line in (f"[{name}]", *(f"{key} = {_value(value)}" for key, value in table.items()), "")
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def base_tables(*, public_url: str = "", allow: Iterable[str] = (), **engine: Any) -> dict[str, Table]:
    """Return the tables that every server here has."""
    return {
        "server": {"public_url": public_url, "drain_seconds": 0},
        "fetch": {"allow": sorted({place_of(url) for url in allow})},
        # An hour: no lease is renewed while these tests run, however slow the machine is.
        "engine": {"concurrency": 500, "lease_seconds": 3600, **engine},
    }


def place_of(url: str) -> str:
    """Return ``host:port`` of a base URL."""
    return url.removeprefix("http://").split("/")[0]


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        inner = ", ".join(f"{json.dumps(key)} = {_value(each)}" for key, each in value.items())
        return f"{{ {inner} }}"
    return json.dumps(value, ensure_ascii=False)
