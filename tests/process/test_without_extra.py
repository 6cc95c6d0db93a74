"""``imageedit-server`` where only the client is installed: it says what to install, as ``imageedit`` does."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import run

import pytest

import imageedit_server
from imageedit_server.cli import EXTRA

BASE = {"google", "grpc", "imageedit", "imageedit_server"}
"""What is there without any extra, and what is ours."""


@pytest.mark.parametrize("package", ["typer", "sqlmodel"], ids=["no extra at all", "the client's alone"])
def test_without_the_extra_the_command_says_what_to_install(package: str) -> None:
    """One sentence instead of a traceback; exit code 2."""
    code = f"import sys; sys.modules[{package!r}] = None; from imageedit_server.cli import main; main()"
    result = run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        "imageedit-server: the command needs more packages: pip install 'imageedit[server]'\n"
    )


def test_a_file_of_what_is_installed_that_cannot_be_read_is_named() -> None:
    """A short disk or too few descriptors: one sentence, and exit code 2."""
    code = """
import sys
class Unreadable:
    def find_spec(self, name, *_):
        if name == "imageedit_server.bootstrap":
            raise OSError(24, "Too many open files", "/lib/bootstrap.py")
sys.meta_path.insert(0, Unreadable())
from imageedit_server.cli import main
main()
"""
    result = run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        "imageedit-server: a file of what is installed cannot be read:"
        " [Errno 24] Too many open files: '/lib/bootstrap.py'\n"
    )


def test_the_command_looks_for_no_code_in_other_packages_of_its_own_accord() -> None:
    """pydantic would read a file of every package that is installed, and run what one names."""
    code = """
import sys
from pydantic.plugin import _loader
def entry_points(**_):
    raise AssertionError("looked for plugins")
_loader.entry_points = entry_points
sys.argv = ["imageedit-server", "--version"]
from imageedit_server.cli import main
main()
"""
    result = run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_what_the_server_imports_is_known_to_come_with_the_extra() -> None:
    """And nothing else is: a module of Python's own that is missing is no matter of the extra."""
    folder = Path(imageedit_server.__file__).parent
    imported = {name for path in folder.rglob("*.py") for name in _imported(path)}
    assert imported - sys.stdlib_module_names - BASE == EXTRA


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]
