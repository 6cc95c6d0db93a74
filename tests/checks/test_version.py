"""The version is said in one place, pyproject.toml, and told by both packages and both commands."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import imageedit_client
import imageedit_server

VERSION = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]["version"]


@pytest.mark.parametrize("package", [imageedit_client, imageedit_server], ids=["client", "server"])
def test_a_package_tells_its_version_and_has_no_other_name_that_is_not_there(package) -> None:
    assert package.__version__ == VERSION
    with pytest.raises(AttributeError, match="no attribute '__versoin__'"):
        package.__versoin__  # noqa: B018


@pytest.mark.parametrize("command", ["imageedit", "imageedit-server"])
def test_a_command_tells_its_version_and_needs_nothing_for_it(command: str, tmp_path: Path) -> None:
    """Without a server, a configuration or a word more; whoever packages it asks this first."""
    program = Path(sys.executable).with_name(command)
    ran = subprocess.run(
        [program, "--version"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, f"{command} {VERSION}\n", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("package", ["imageedit_client", "imageedit_server"])
def test_who_does_not_ask_for_the_version_does_not_pay_for_it(package: str) -> None:
    """Reading a distribution's metadata takes a command milliseconds of its start."""
    asked = f"import sys, {package}; print('importlib.metadata' in sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", asked], capture_output=True, text=True, timeout=60, check=True
    )
    assert ran.stdout == "False\n"
