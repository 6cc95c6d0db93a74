"""What is told of files that are gone, and what is not (F28)."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from imageedit_server.runtime.standing import StandingFolder, lost


def test_a_file_is_gone_replaced_or_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    before = file.stat()
    file.write_text("changed")
    assert lost(file, before) == ""
    other = tmp_path / "other"
    other.touch()
    file.rename(tmp_path / "kept")
    assert lost(file, before) == f"file is gone from {tmp_path}"
    other.rename(file)
    assert lost(file, before) == f"file was replaced in {tmp_path}"


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ENOMEM])
def test_what_cannot_be_looked_at_is_not_called_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    before = tmp_path.stat()

    def fail(*_: object, **_more: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", fail)
        assert lost(tmp_path, before) == ""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda folder: (folder / "new").touch(), ""),
        (lambda folder: (folder / "more").mkdir(), ""),
        (lambda folder: (folder / "inner").rename(folder.with_name("inner")), "has lost"),
        (lambda folder: folder.rename(folder.with_name("moved")), "is gone"),
    ],
    ids=["a file in it", "a folder more", "a folder less", "moved"],
)
def test_a_folder_knows_its_folders(tmp_path: Path, change: Callable[[Path], object], words: str) -> None:
    folder = tmp_path / "folder"
    (folder / "inner").mkdir(parents=True)
    standing = StandingFolder(folder)
    change(folder)
    assert words in standing.lost()
    assert bool(standing.lost()) == bool(words)


def test_a_new_folder_in_its_place_is_another(tmp_path: Path) -> None:
    """Also where the file system gives the number of a deleted folder to the next one."""
    folder = tmp_path / "folder"
    folder.mkdir()
    standing = StandingFolder(folder)
    folder.rmdir()
    folder.mkdir()
    assert "was replaced" in standing.lost()
