"""Proves that requirements.lock still answers pyproject.toml, without asking an index."""

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]

PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)", re.MULTILINE)
ADDRESS = re.compile(r"^.*(?:://|--(?:extra-)?index-url|--find-links).*$", re.MULTILINE)


def main() -> None:
    """Print every problem; exit 1 when there is one."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    found = list(problems(pyproject, (ROOT / "requirements.lock").read_text()))
    if found:
        sys.exit("\n".join([*found, "`make lock` brings the lock in line with pyproject.toml."]))


def problems(pyproject: dict[str, Any], lock: str) -> Iterator[str]:
    """One sentence per dependency the lock does not satisfy, and per address the lock names."""
    pinned: dict[str, list[str]] = {}
    for name, version in PINNED.findall(lock):
        pinned.setdefault(canonicalize_name(name), []).append(version)
    for requirement in dependencies(pyproject):
        versions = pinned.get(canonicalize_name(requirement.name), [])
        if not versions:
            yield f"{requirement.name} is in pyproject.toml but not in requirements.lock"
        elif not any(requirement.specifier.contains(version, prereleases=True) for version in versions):
            yield f"{requirement} is asked for, but requirements.lock has {', '.join(versions)}"
    for line in ADDRESS.findall(lock):
        yield f"requirements.lock must name no address: {line.strip()}"


def dependencies(pyproject: dict[str, Any]) -> Iterator[Requirement]:
    """Every requirement of pyproject.toml, for building, running and developing, but the project itself."""
    project = pyproject["project"]
    groups = [
        pyproject["build-system"]["requires"],
        project["dependencies"],
        *project["optional-dependencies"].values(),
        *pyproject["dependency-groups"].values(),
    ]
    for group in groups:
        yield from (named for line in group if (named := Requirement(line)).name != project["name"])


if __name__ == "__main__":
    main()
