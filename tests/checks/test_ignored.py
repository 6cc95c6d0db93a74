"""What the commands of the README and of docs/ leave in a clone is none of git's business.

A first visitor who follows them and asks `git status` sees a clean tree, and commits no key by accident.
"""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
LEFT = re.compile(r"(?:(?<!\S)(?:-o|-out|-keyout|--save|--export|touch|cp \S+) +|> *)([\w.-]+)")
BY_ITSELF = ("data/", "keys.toml", "ca.srl", "photo-edited.jpeg", "demo/", ".venv/")
"""What commands leave without being told the name."""


def left_by(page: str) -> Iterator[str]:
    """Yield the files that the commands of a page write, as far as they are named."""
    for language, block in BLOCK.findall(page):
        for line in () if language else block.splitlines():
            yield from LEFT.findall(line.partition("  #")[0])


def is_ignored(name: str) -> bool:
    asked = subprocess.run(["git", "check-ignore", "--quiet", "--no-index", name], cwd=ROOT, check=False)
    assert asked.returncode in (0, 1), asked
    return asked.returncode == 0


def test_what_the_commands_leave_is_ignored() -> None:
    left = {name for page in PAGES for name in left_by(page.read_text(encoding="utf-8"))}
    assert {
        "edited.jpg",
        "imageedit.toml",
        "server.key",
        "ca.pem",
        "shop.key",
        "body.bin",
        "photo.jpg",
    } <= left
    assert sorted(name for name in {*left, *BY_ITSELF} if not is_ignored(name)) == []


@pytest.mark.parametrize("name", ["README.md", "tests/photos/grace_hopper.jpg", "docs/demo.jpg"])
def test_what_belongs_to_the_source_is_not(name: str) -> None:
    assert not is_ignored(name)
