"""What is sent to Suitme (VENDORS §1.2, §1.3)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pybase64

from imageedit_server.core.request import BodyProfile, Request
from imageedit_server.pictures.ready import Ready
from imageedit_server.providers.base import Job
from imageedit_server.providers.sending import changes

DEFAULT_MODEL_PATH = "/models/default"
EDIT_PATH = "/models/edit"

GENDERS = {"男": "男", "女": "女", "male": "男", "female": "女"}


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


def warnings_of(request: Request, ready: Ready) -> tuple[str, ...]:
    """Say what was changed, and what the vendor's call for default models has no field for."""
    warnings = list(changes("image", ready))
    if request.angle not in ("", "front"):
        warnings.append(f"angle {request.angle} was recorded and not sent: the provider does not take it.")
    return tuple(warnings)


def data_uri(content: bytes, media_type: str) -> str:
    """Return a picture as a data URI."""
    return f"data:{media_type};base64,{pybase64.b64encode_as_string(content)}"
