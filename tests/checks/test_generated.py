"""The freshness check names every file of generated/ that the protos would not give."""

import shutil

import pytest

from imageedit.v1 import image_edit_service_pb2, image_pb2, model_pb2, task_pb2
from tests.tools.generate_stubs import GENERATED, PROTOS, differences


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


@pytest.mark.parametrize("file", [image_pb2, image_edit_service_pb2, model_pb2, task_pb2])
def test_other_languages_get_a_package_of_their_own(file):
    """From the protos alone, without an option on the command line."""
    options = file.DESCRIPTOR.GetOptions()
    assert options.go_package == "imageedit/clients/go/imageeditv1"
    assert (options.java_package, options.java_multiple_files) == ("imageedit.v1", True)
    assert options.csharp_namespace == "ImageEdit.V1"


def test_every_proto_is_looked_at():
    assert {path.stem for path in PROTOS.rglob("*.proto")} == {"image", "image_edit_service", "model", "task"}
