"""Jobs for the adapter, around pictures that are really there."""

import hashlib
import io
from datetime import timedelta
from typing import Any

from PIL import Image as Pillow
from PIL import ImageDraw

from imageedit_server.core.image import Image, image_id_of
from imageedit_server.core.options import OpenaiOptions
from imageedit_server.core.request import Input, Kind, Request
from imageedit_server.core.sizes import AUTO, nearest
from imageedit_server.images.inspection import inspect
from imageedit_server.providers.base import Adapter, InputImage, Job
from imageedit_testing.members import held
from tests.providers.adapters import NOW

PROMPT = "Make it a summer evening."
Size = tuple[int, int]


def picture(name: str = "PNG", size: Size = (64, 48), **options: Any) -> bytes:
    """A picture whose left half is red and whose right half is blue."""
    image = Pillow.new("RGB", size, "red")
    ImageDraw.Draw(image).rectangle((size[0] // 2, 0, *size), fill="blue")
    return encoded(image, name, **options)


def mask(name: str = "PNG", size: Size = (64, 48)) -> bytes:
    """A mask that edits the left half and keeps the right one."""
    alpha = Pillow.new("L", size, 255)
    ImageDraw.Draw(alpha).rectangle((0, 0, size[0] // 2 - 1, size[1]), fill=0)
    image = Pillow.new("RGBA", size, "green")
    image.putalpha(alpha)
    return encoded(image, name, **({"lossless": True} if name == "WEBP" else {}))


def encoded(image: Pillow.Image, name: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, name, **options)
    return out.getvalue()


def decoded(content: bytes) -> Pillow.Image:
    image = Pillow.open(io.BytesIO(content))
    image.load()
    return image


def opened(content: bytes) -> Pillow.Image:
    """Decode to what a viewer would show."""
    return decoded(content).convert("RGBA")


class Jobs:
    """Makes jobs for an adapter's first model."""

    def make(
        self,
        adapter: Adapter,
        *pictures: bytes,
        mask: bytes | None = None,
        size: str = "",
        options: OpenaiOptions | None = None,
        kind: Kind = Kind.EDIT_IMAGE,
        **request: Any,
    ) -> Job:
        model = adapter.models[0]
        images = tuple(map(self.input, pictures or (picture(),)))
        mask_image = self.input(mask) if mask is not None else None
        chosen = size if size not in ("", AUTO) else nearest(model.sizes, 64, 48)
        fields: dict[str, Any] = {"prompt": PROMPT, **request}
        return Job(
            request=Request(
                kind=kind,
                model=model.name,
                provider=model.provider,
                images=tuple(Input(image=given.image) for given in images),
                mask=Input(image=mask_image.image) if mask_image else None,
                size=size,
                options=options,
                **fields,
            ),
            model=model,
            size=chosen,
            images=images,
            mask=mask_image,
            attempt_key="task_1-1",
            deadline=NOW + timedelta(minutes=15),
        )

    def input(self, content: bytes) -> InputImage:
        """Return a picture with what the library says of it."""
        found = inspect(content, max_pixels=50_000_000)
        facts = Image(
            image_id=image_id_of(hashlib.sha256(content).hexdigest()),
            media_type=found.media_type,
            width=found.width,
            height=found.height,
            size_bytes=len(content),
            transparency=found.transparency,
            upright=found.upright,
        )
        return InputImage(image=facts, read=held(content))
