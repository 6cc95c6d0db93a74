"""The Go module is written as Go is, and gets its host by the command of its README."""

import re
import shutil
import subprocess
from pathlib import Path

from tests.conformance.test_conformance import found
from tests.tools import toolchains


def test_one_command_gives_the_module_its_host(tmp_path: Path) -> None:
    """Every import follows, tests too, and all of them are found."""
    go = found(toolchains.go)
    readme = (toolchains.GO / "README.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^`(M=.+)`$", readme, re.MULTILINE)
    copy = shutil.copytree(toolchains.GO, tmp_path / "go")
    subprocess.run(["sh", "-c", command], cwd=copy, check=True)
    listing = [go, "list", "-deps", "-test", "./..."]
    listed = subprocess.run(listing, cwd=copy, check=True, capture_output=True, text=True).stdout.split()
    ours = {path for path in listed if path.endswith(("clients/go", "clients/go/imageeditv1"))}
    module = command.split()[0].removeprefix("M=")
    assert ours == {module, f"{module}/imageeditv1"}


def test_it_is_formatted_and_vetted() -> None:
    go = found(toolchains.go)
    for command in ((str(Path(go).with_name("gofmt")), "-l", "."), (go, "vet", ".")):
        ran = subprocess.run(command, cwd=toolchains.GO, capture_output=True, text=True, check=False)
        assert (ran.stdout, ran.returncode) == ("", 0), ran.stderr
