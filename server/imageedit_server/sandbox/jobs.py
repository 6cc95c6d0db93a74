"""Jobs, written for worker processes in the form that ``worker_process`` describes."""

import pickle
from io import BytesIO
from typing import Any

from imageedit_server.sandbox.confinement import KIB
from imageedit_server.sandbox.worker_process import JOB_HEADER, LENGTH

FEW_BYTES = 64 * KIB
"""Up to so many, copying them with the words costs less than sending them on their own."""


def packed(job: tuple[Any, ...]) -> list[bytes]:
    """Return what is to be sent for ``job``, piece by piece; its pictures are pieces as they are."""
    words = BytesIO()
    pickler = _Pickler(words)
    pickler.dump(job)
    pickled = words.getvalue()
    lengths = [LENGTH.pack(len(content)) for content in pickler.contents]
    header = JOB_HEADER.pack(len(pickler.contents), len(pickled))
    return [b"".join((header, *lengths, pickled)), *pickler.contents]


class _Pickler(pickle.Pickler):
    """Writes a number in the place of bytes that are not few, and keeps those aside."""

    def __init__(self, words: BytesIO) -> None:
        super().__init__(words)
        self.contents: list[bytes] = []

    def persistent_id(self, obj: Any) -> int | None:
        if type(obj) is not bytes or len(obj) <= FEW_BYTES:
            return None
        self.contents.append(obj)
        return len(self.contents) - 1
