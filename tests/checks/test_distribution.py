"""What is built for others to install holds what its metadata names, and names no place on a network."""

import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

# As a first user writes them, with both faces, the messages and the stubs.
RIGHT = """\
import grpc
from pathlib import Path
from imageedit.v1 import image_edit_service_pb2, image_edit_service_pb2_grpc, task_pb2
from imageedit_client import AsyncClient, Client, Image, Task, succeeded

def edited(client: Client, photo: Path) -> list[str]:
    task: task_pb2.Task = client.edit_image("warmer", [photo, b"", ("task_1", 0)], n=1, timeout=60)
    return [image.image_id for image in succeeded(client.wait(task.task_id)).images]

async def followed(client: AsyncClient, task: Task) -> Image | None:
    seqs: list[int] = [event.seq async for event in client.watch(task.task_id)]
    return (await client.get(task.task_id)).images[0] if seqs else None

def models(channel: grpc.Channel) -> list[str]:
    stub = image_edit_service_pb2_grpc.ImageEditServiceStub(channel)
    return [model.name for model in stub.ListModels(image_edit_service_pb2.ListModelsRequest()).models]
"""
# Each line with the code of what is wrong with it.
WRONG = (
    ("from imageedit.v1 import image_pb2, task_pb2\n", ""),
    ("from imageedit_client import Client, Task\n", ""),
    ("def slips(client: Client, task: Task) -> None:\n", ""),
    ("    task.pictures\n", "attr-defined"),
    ("    task_pb2.Task(promt='')\n", "call-arg"),
    ("    client.edit_image('x', [1.5])\n", "list-item"),
    ("    client.edit_image('x', [], sise='4:3')\n", "call-arg"),
    ("    image_pb2.Picture()\n", "attr-defined"),
    ("    number: int = client.get('task_1').task_id\n", "assignment"),
)
PACKAGES = {"imageedit", "imageedit_client", "imageedit_server", "imageedit_testing"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel of this tree. The build itself refuses a classifier that does not exist."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def test_two_clones_build_the_same_wheel_to_the_byte(tmp_path: Path) -> None:
    """Whatever their folders, the times of their files, the umask and the time zone."""
    built = []
    for name, umask, zone in (("a", 0o022, "UTC"), ("b/deeper", 0o077, "Pacific/Auckland")):
        clone, dist = tmp_path / name, tmp_path / name / "dist"
        settings = {"SOURCE_DATE_EPOCH": "1700000000", "TZ": zone, "PATH": os.environ["PATH"]}
        for command in (
            ["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(clone)],
            [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(dist)],
        ):
            folder = ROOT if command[0] == "git" else clone
            subprocess.run(
                command, cwd=folder, env=settings, umask=umask, check=True, capture_output=True, timeout=120
            )
        built.append(next(dist.glob("*.whl")).read_bytes())
    assert built[0] == built[1]


def metadata_of(wheel: zipfile.ZipFile) -> Message:
    (path,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return Parser().parsestr(wheel.read(path).decode())


def test_the_licence_that_is_named_is_inside_whole(wheel: zipfile.ZipFile) -> None:
    metadata = metadata_of(wheel)
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata.get_all("License-File") == ["LICENSE"]
    (path,) = (name for name in wheel.namelist() if name.endswith("/licenses/LICENSE"))
    assert wheel.read(path) == (ROOT / "LICENSE").read_bytes()
    assert b"Version 2.0, January 2004" in wheel.read(path)


def test_the_metadata_are_those_of_the_project_and_name_no_address(wheel: zipfile.ZipFile) -> None:
    metadata = metadata_of(wheel)
    assert (metadata["Name"], metadata["Version"]) == (PROJECT["name"], PROJECT["version"])
    assert metadata["Author"] == "the imageedit authors"
    assert metadata["Keywords"].split(",") == PROJECT["keywords"]
    assert metadata.get_all("Classifier") == PROJECT["classifiers"]
    assert not {"Project-URL", "Home-page", "Download-URL", "Author-email"} & set(metadata)


def test_the_page_of_the_wheel_is_the_readme(wheel: zipfile.ZipFile) -> None:
    assert metadata_of(wheel).get_payload() == (ROOT / "README.md").read_text()


def test_the_wheel_holds_the_packages_and_what_they_read(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == PACKAGES
    typed = {f"{package}/py.typed" for package in ("imageedit/v1", "imageedit_client", "imageedit_testing")}
    assert typed | {"imageedit_client/service_config.json"} <= set(names)


@pytest.fixture(scope="module")
def installed(wheel: zipfile.ZipFile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a fresh environment with the wheel, beside the packages that the wheel asks for."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    wheel.extractall(site)
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))  # which holds no tree of ours
    return folder / "bin/python"


def test_whoever_installs_it_has_its_types(installed: Path, tmp_path: Path) -> None:
    """A strict check takes a program that is right, and finds each slip of one that is not."""
    right, wrong = tmp_path / "right.py", tmp_path / "wrong.py"
    right.write_text(RIGHT)
    wrong.write_text("".join(line for line, _ in WRONG))
    command = [sys.executable, "-m", "mypy", "--strict", f"--python-executable={installed}"]
    command += [f"--cache-dir={tmp_path / 'cache'}", "--no-error-summary", "--hide-error-context"]
    checked = subprocess.run(
        [*command, str(right), str(wrong)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    found = re.findall(r"error: .*\[([a-z-]+)\]$", checked.stdout, re.MULTILINE)
    assert found == [code for _, code in WRONG if code], checked.stdout + checked.stderr
    assert "right.py" not in checked.stdout
