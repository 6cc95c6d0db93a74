"""No path crosses the seam of the providers: pictures may be kept where there are no files."""

import ast
from pathlib import Path

import pytest

import imageedit_server.providers

PROVIDERS = Path(imageedit_server.providers.__file__).parent
MODULES = sorted(PROVIDERS.rglob("*.py"))


def opens_files(text: str) -> bool:
    """Whether a module names files of its own accord."""
    for node in ast.walk(ast.parse(text)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        if {"os", "pathlib", "shutil", "tempfile"} & {name.partition(".")[0] for name in names}:
            return True
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "open":
            return True
    return False


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PROVIDERS)))
def test_providers_open_no_files(module: Path) -> None:
    assert not opens_files(module.read_text())


@pytest.mark.parametrize(
    "text",
    ["from pathlib import Path", "import os", "import os.path", "from os.path import join", "open('x')"],
)
def test_one_that_does_is_seen(text: str) -> None:
    assert opens_files(text)
