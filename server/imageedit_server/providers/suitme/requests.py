"""What is sent to Suitme (VENDORS §1.2, §1.3)."""

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageOps

from imageedit_server.core.request import BodyProfile, Request
from imageedit_server.providers.base import Job

DEFAULT_MODEL_PATH = "/models/default"
EDIT_PATH = "/models/edit"

GENDERS = {"男": "男", "女": "女", "male": "男", "female": "女"}

_FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP"}
_SAVE_OPTIONS: dict[str, dict[str, Any]] = {"JPEG": {"quality": 95}, "WEBP": {"lossless": True}, "PNG": {}}


@dataclass(frozen=True, slots=True)
class Form:
    """What is asked of the vendor, and where."""

    path: str
    body: Mapping[str, Any]


def edit_body(job: Job) -> dict[str, Any]:
    """Return the body of /models/edit. The vendor keeps the base's picture and takes its id alone."""
    return {
        "user_id": job.request.user_id,
        "base_model_task_id": job.request.base_vendor_task_id,
        "edit_instructions": job.request.prompt,
        "size": job.size,
    }


def default_model_body(job: Job, picture: str) -> dict[str, Any]:
    """Return the body of /models/default. ``body_profile`` may be empty but not left out."""
    return {
        "user_id": job.request.user_id,
        "picture_url": picture,
        "body_profile": _body_profile(job.request.body_profile or BodyProfile()),
        "size": job.size,
    }


def _body_profile(profile: BodyProfile) -> dict[str, Any]:
    members = {
        "gender": GENDERS.get(profile.gender, ""),
        "height": profile.height_cm,
        "weight": profile.weight_kg,
        "age": profile.age,
        "skin_color": profile.skin_color,
        "body_type": profile.body_type,
    }
    return {name: value for name, value in members.items() if value}


def warnings_of(request: Request, *, turned: bool) -> tuple[str, ...]:
    """Say what was changed, and what the vendor's call for default models has no field for."""
    warnings = []
    if turned:
        warnings.append("image was turned upright for the provider, without its metadata.")
    if request.angle not in ("", "front"):
        warnings.append(f"angle {request.angle} was recorded and not sent: the provider does not take it.")
    return tuple(warnings)


def data_uri(content: bytes, media_type: str) -> str:
    """Return a picture as a data URI."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"


def upright(content: bytes, media_type: str) -> bytes:
    """Return a turned picture as people see it, in its own format. Runs in a worker process.

    The vendor's provider may ignore the EXIF orientation.
    """
    name = _FORMATS[media_type]
    with Image.open(io.BytesIO(content), formats=(name,)) as image:
        out = io.BytesIO()
        turned = ImageOps.exif_transpose(image)
        turned.save(out, name, icc_profile=image.info.get("icc_profile"), **_SAVE_OPTIONS[name])
        return out.getvalue()
