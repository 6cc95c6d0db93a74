"""A change that breaks a client of the newest release is found; without a release nothing can break."""

import shutil
import subprocess

import pytest

from tests.tools.check_breaking import ROOT, compare, newest_tag


def git(folder, *arguments):
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.test"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path):
    shutil.copy(ROOT / "buf.yaml", tmp_path)
    shutil.copytree(ROOT / "protos", tmp_path / "protos")
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--no-gpg-sign", "-m", "protos")
    return tmp_path


def test_the_newest_tag_is_the_highest_version(repository):
    assert newest_tag(repository) is None
    for tag in ("v1.2.0", "v1.10.0", "v1.10.0-rc1", "other"):
        git(repository, "tag", "--no-sign", tag)
    assert newest_tag(repository) == "v1.10.0"


def test_a_field_that_goes_missing_breaks(repository, capfd):
    git(repository, "tag", "--no-sign", "v0.1.0")
    assert compare(repository, "v0.1.0") == 0
    proto = repository / "protos/imageedit/v1/image.proto"
    proto.write_text(proto.read_text().replace("string source_url =", "string origin_url ="))
    assert compare(repository, "v0.1.0") != 0
    assert "image.proto" in capfd.readouterr().out
