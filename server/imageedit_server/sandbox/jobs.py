"""Jobs, written for worker processes in the form that ``worker_process`` describes."""

import os
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from imageedit_server.sandbox.limits import KIB
from imageedit_server.sandbox.worker_process import CONTENT, FILE, JOB_HEADER, LENGTH

FEW_BYTES = 64 * KIB
"""Up to so many, copying them with the words costs less than sending them on their own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Packed:
    """A job as it is sent: the ``descriptors`` of its files with the first of its ``pieces``."""

    pieces: Sequence[bytes]
    descriptors: Sequence[int]

    def close(self) -> None:
        """Let go of the files; a worker that was sent them has them."""
        for descriptor in self.descriptors:
            os.close(descriptor)


def packed(job: tuple[Any, ...]) -> Packed:
    """Return what is to be sent for ``job``; its pictures are pieces as they are, or files.

    A worker opens nothing by name: it is given each path's file, open for reading. Blocks for those; raises
    ``OSError`` where one cannot be opened.
    """
    written = BytesIO()
    writer = _Pickler(written)
    writer.dump(job)
    words, descriptors = written.getvalue(), _opened(writer.paths)
    lengths = [*map(len, writer.contents), *(os.fstat(descriptor).st_size for descriptor in descriptors)]
    header = JOB_HEADER.pack(len(writer.contents), len(descriptors), len(words))
    first = b"".join((header, *map(LENGTH.pack, lengths), words))
    return Packed(pieces=[first, *writer.contents], descriptors=descriptors)


def _opened(paths: Sequence[Path]) -> list[int]:
    descriptors: list[int] = []
    try:
        for path in paths:
            descriptors.append(os.open(path, os.O_RDONLY))
    except OSError:
        for descriptor in descriptors:
            os.close(descriptor)
        raise
    return descriptors


class _Pickler(pickle.Pickler):
    """Writes numbers in the places of bytes that are not few and of paths, and keeps those aside."""

    def __init__(self, words: BytesIO) -> None:
        super().__init__(words)
        self.contents: list[bytes] = []
        self.paths: list[Path] = []

    def persistent_id(self, obj: Any) -> tuple[str, int] | None:
        if type(obj) is bytes and len(obj) > FEW_BYTES:
            return CONTENT, _place(self.contents, obj)
        return (FILE, _place(self.paths, obj)) if isinstance(obj, Path) else None


def _place(kept: list[Any], new: Any) -> int:
    kept.append(new)
    return len(kept) - 1
