"""The freshness check names every file of generated/ that the protos would not give."""

import shutil

import pytest

from tests.tools.generate_stubs import GENERATED, differences


@pytest.fixture
def copy(tmp_path):
    return shutil.copytree(GENERATED, tmp_path / "generated")


def test_equal_folders_are_fresh(copy):
    (copy / "__pycache__").mkdir(exist_ok=True)
    (copy / "__pycache__" / "task_pb2.pyc").touch()
    assert list(differences(copy, GENERATED)) == []


def test_each_stray_file_is_named(copy):
    package = copy / "imageedit/v1"
    (package / "image_pb2.py").write_text("# edited by hand\n")
    (package / "model_pb2.pyi").unlink()
    (package / "old_pb2.py").touch()
    assert list(differences(copy, GENERATED)) == [
        "stale    generated/imageedit/v1/image_pb2.py",
        "missing  generated/imageedit/v1/model_pb2.pyi",
        "extra    generated/imageedit/v1/old_pb2.py",
    ]
