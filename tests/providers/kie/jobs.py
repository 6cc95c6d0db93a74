"""Jobs for the adapter, around pictures that are really there."""

import hashlib
import io
from dataclasses import replace
from datetime import timedelta
from typing import Any

from PIL import Image as Pillow
from PIL import ImageDraw, ImageOps
from PIL.ExifTags import Base as ExifTag

from imageedit_server.core.image import Image, image_id_of
from imageedit_server.core.request import Input, Kind, Request
from imageedit_server.providers.base import InputImage, Job
from imageedit_server.providers.kie import KieAdapter
from imageedit_server.providers.kie.models import CHARACTER_EDIT, SEEDREAM
from imageedit_testing.members import held
from tests.providers.adapters import NOW

CALLBACK_URL = "http://127.0.0.1:9/callbacks/kie/callback-token-that-nobody-may-see"
MEDIA_TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}


def picture(name: str = "JPEG", size: tuple[int, int] = (64, 48), **options: Any) -> bytes:
    """A picture whose left half is red and whose right half is blue."""
    image = Pillow.new("RGB", size, "red")
    ImageDraw.Draw(image).rectangle((size[0] // 2, 0, *size), fill="blue")
    return encoded(image, name, **options)


def mask(size: tuple[int, int] = (64, 48), name: str = "PNG") -> bytes:
    """A mask that edits the left half, keeps the right one, and has a half-transparent column between."""
    alpha = Pillow.new("L", size, 255)
    draw = ImageDraw.Draw(alpha)
    draw.rectangle((0, 0, size[0] // 2 - 1, size[1]), fill=0)
    draw.line((size[0] // 2, 0, size[0] // 2, size[1]), fill=128)
    image = Pillow.new("RGBA", size, "green")
    image.putalpha(alpha)
    return encoded(image, name, **({"lossless": True} if name == "WEBP" else {}))


def encoded(image: Pillow.Image, name: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, name, **options)
    return out.getvalue()


class Jobs:
    """Makes jobs."""

    def __init__(self, adapter: KieAdapter) -> None:
        self._models = {model.name: model for model in adapter.models}

    def seedream(self, *pictures: bytes, size: str = "4:3", model: str = SEEDREAM, **request: Any) -> Job:
        return self._job(model, pictures or (picture(),), size, request)

    def masked(self, model: str, **request: Any) -> Job:
        return replace(self._job(model, (picture(),), "", request), mask=self.input(mask()))

    def character(self, base: bytes | None = None, **request: Any) -> Job:
        job = self._job(CHARACTER_EDIT, (base or picture(),), "", request)
        with_reference = replace(job, reference_images=(self.input(picture("WEBP")),))
        return replace(with_reference, mask=self.input(mask()))

    def input(self, content: bytes) -> InputImage:
        """Return a picture with what the engine would say of it."""
        with Pillow.open(io.BytesIO(content)) as image:
            name = str(image.format)
            width, height = ImageOps.exif_transpose(image).size
            orientation = image.getexif().get(ExifTag.Orientation, 1)
        facts = Image(
            image_id=image_id_of(hashlib.sha256(content).hexdigest()),
            media_type=MEDIA_TYPES[name],
            width=width,
            height=height,
            size_bytes=len(content),
            upright=orientation == 1,
        )
        return InputImage(image=facts, read=held(content))

    def _job(self, model: str, pictures: tuple[bytes, ...], size: str, request: dict[str, Any]) -> Job:
        images = tuple(map(self.input, pictures))
        fields: dict[str, Any] = {"prompt": "Make it a summer evening.", **request}
        return Job(
            request=Request(
                kind=Kind.EDIT_IMAGE,
                model=model,
                provider="kie",
                images=tuple(Input(image=given.image) for given in images),
                size=size,
                **fields,
            ),
            model=self._models[model],
            size=size,
            images=images,
            attempt_key="task_1-1",
            callback_url=CALLBACK_URL,
            deadline=NOW + timedelta(minutes=15),
        )
