"""What the room's tests share with the pictures' room: real worker processes."""

from tests.images.conftest import blobs, library, photo, pool, results

__all__ = ["blobs", "library", "photo", "pool", "results"]
