"""Jobs for the adapter, around pictures that are really there."""

import hashlib
import io
from datetime import timedelta
from typing import Any

from PIL import Image as Pillow
from PIL import ImageDraw, ImageOps
from PIL.ExifTags import Base as ExifTag

from imageedit_server.core.image import Image, image_id_of
from imageedit_server.core.request import Input, Kind, Request
from imageedit_server.providers.base import InputImage, Job
from imageedit_server.providers.suitme import SuitmeAdapter
from imageedit_testing.members import held
from tests.providers.adapters import NOW

MEDIA_TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}
INSTRUCTIONS = "将发型改为短发，肤色调亮一些"


def picture(name: str = "JPEG", size: tuple[int, int] = (64, 48), **options: Any) -> bytes:
    """A picture whose left half is red and whose right half is blue."""
    image = Pillow.new("RGB", size, "red")
    ImageDraw.Draw(image).rectangle((size[0] // 2, 0, *size), fill="blue")
    out = io.BytesIO()
    image.save(out, name, **options)
    return out.getvalue()


class Jobs:
    """Makes jobs."""

    def __init__(self, adapter: SuitmeAdapter) -> None:
        [self._model] = adapter.models

    def default_model(self, content: bytes | None = None, *, size: str = "4:3", **request: Any) -> Job:
        given = self.input(content or picture())
        return self._job(Kind.DEFAULT_MODEL, given, size, {"angle": "front", **request})

    def edit(self, base: str, prompt: str = INSTRUCTIONS, *, size: str = "4:3", **request: Any) -> Job:
        """An edit of what the vendor calls ``base``; as in the engine, the base's picture comes along."""
        fields = {"prompt": prompt, "base_model_task_id": f"task_{'0' * 32}", "base_vendor_task_id": base}
        return self._job(Kind.MODEL_EDIT, self.input(picture("PNG")), size, fields | request)

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

    def _job(self, kind: Kind, given: InputImage, size: str, request: dict[str, Any]) -> Job:
        fields: dict[str, Any] = {"user_id": "user-123", **request}
        return Job(
            request=Request(
                kind=kind,
                model=self._model.name,
                provider="suitme",
                images=(Input(image=given.image),),
                **fields,
            ),
            model=self._model,
            size=size,
            images=(given,),
            attempt_key="task_1-1",
            callback_url="",
            deadline=NOW + timedelta(minutes=15),
        )
