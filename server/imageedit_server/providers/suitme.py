"""Suitme's digital models: default models and their edits (vendor page 0, VENDORS §1).

A job is created by a POST that cannot be repeated, and polled. The service's own source is public (SUITME in
VENDORS); where it and its page differ, the source is what goes over the wire.
"""

import asyncio
import base64
import binascii
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, ClassVar, Self
from urllib.parse import quote

from PIL import Image, ImageOps
from pydantic import Field, model_validator

from imageedit_server.core.errors import FailureReason
from imageedit_server.core.failure import Failure
from imageedit_server.core.model import Model
from imageedit_server.core.request import BodyProfile, Kind, Request
from imageedit_server.outbound.answers import MAX_BODY_BYTES, Answer, PaidCall
from imageedit_server.outbound.client import BadBody, Reply, read_json
from imageedit_server.outbound.inflating import reply_of
from imageedit_server.providers.accounts import ask_account
from imageedit_server.providers.base import (
    Accepted,
    Adapter,
    Context,
    Finished,
    InProgress,
    Job,
    Output,
    PollSeconds,
    Prepared,
    ProviderOptions,
    Report,
    SubmitError,
    SubmitSafety,
    VendorTaskUnknown,
)
from imageedit_server.providers.error_codes import meaning_in
from imageedit_server.providers.origins import address_in, at_origin
from imageedit_server.providers.outcomes import (
    MESSAGES,
    ambiguous,
    bare_refusal,
    is_told,
    lost,
    made_ready,
    parse_retry_after,
    redact,
    refusal_of,
    refused,
    status_meaning,
)
from imageedit_server.providers.refusal_words import refuses_content
from imageedit_server.runtime.threads import work_on

MIB = 1024 * 1024
DEFAULT_MODEL_PATH = "/models/default"
EDIT_PATH = "/models/edit"
TASK_PATH = "/tasks/"
READ_SECONDS = 10.0

SIZES = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
DEFAULT_SIZE = "4:3"
MAX_INSTRUCTION_CHARS = 32_000
"""The vendor names no limit; this is the service's own for any prompt."""

MAX_TASK_BYTES = 32 * MIB
"""Of the answer to a poll: older builds of the vendor put the whole picture into it."""

MAX_ID_CHARS = 256
MAX_PROBLEMS = 5

SUCCESS = 0
NOT_FOUND = 1003
STATUS_OF_CODE: Mapping[int, int] = {1001: 400, 1002: 502, NOT_FOUND: 404, 1004: 500, 1005: 401}
"""The HTTP status that each of the vendor's own codes stands for (VENDORS §1.6)."""

NO_SUCH_BASE = (
    "The provider does not have the base; it edits only default models that CreateDefaultModel made there."
)
BASE_WITHOUT_PICTURE = "The provider has the base, but no picture of it to edit."
NO_PICTURE = "The provider reported success without a picture."

GENDERS = {"男": "男", "女": "女", "male": "男", "female": "女"}

_UPSTREAM_CODE = re.compile(r"\[(apimart_[a-z_]{1,40})\]")
_PASSING = frozenset({"apimart_rate_limited", "apimart_server_error", "apimart_timeout"})
"""What its own provider's trouble is called in its error messages, and which of it passes (SUITME)."""

_DATA_URI = re.compile(r"data:[a-z0-9.+-]{1,40}/[a-z0-9.+-]{1,40};base64,", re.IGNORECASE)
_FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP"}
_SAVE_OPTIONS: dict[str, dict[str, Any]] = {"JPEG": {"quality": 95}, "WEBP": {"lossless": True}, "PNG": {}}


class SuitmeOptions(ProviderOptions):
    """The settings of a Suitme service. It has no public home, so that its address must be given."""

    needs_key: ClassVar[bool] = True
    poll_seconds: PollSeconds = (5, 5, 10)
    """The vendor asks its own provider every 5 seconds: more often tells nothing new."""
    max_image_bytes: int = Field(default=20 * MIB, ge=1)
    """The largest picture of a person. The vendor names no limit; what stands before it may have one."""

    @model_validator(mode="after")
    def _check_address(self) -> Self:
        if self.enabled and not self.base_url:
            raise ValueError(
                "base_url is missing; give the address of the service, such as https://studio.example.com"
            )
        return self


@dataclass(frozen=True, slots=True)
class Form:
    """What is asked of the vendor, and where."""

    path: str
    body: Mapping[str, Any]


class SuitmeAdapter(Adapter):
    """Creates a default model or an edit of one, then polls. Nothing makes the creation repeatable."""

    Options = SuitmeOptions
    submit_safety: ClassVar[SubmitSafety] = SubmitSafety.NONE
    edits_own_bases_only: ClassVar[bool] = True

    def __init__(self, options: SuitmeOptions, context: Context) -> None:
        key = options.api_key.get_secret_value()
        self._base_url = options.base_url
        self._submit_seconds = options.submit_seconds
        self._workers = context.workers
        self._client = self.payer = context.connect(options.base_url, {"Authorization": f"Bearer {key}"})
        self._answers = Answers((key,))
        self.models = [
            Model(
                name=f"{context.provider}/model-edit",
                provider=context.provider,
                kinds=frozenset({Kind.DEFAULT_MODEL, Kind.MODEL_EDIT}),
                max_prompt_chars=MAX_INSTRUCTION_CHARS,
                sizes=SIZES,
                default_size=DEFAULT_SIZE,
                max_image_bytes=options.max_image_bytes,
            )
        ]

    async def prepare(self, job: Job) -> Prepared:
        """Write the body of the paid call; a default model's picture goes into it whole."""
        if job.request.kind is Kind.MODEL_EDIT:
            return Prepared(payload=Form(EDIT_PATH, edit_body(job)))
        [given] = job.images
        image = given.image
        if image.upright:
            content = await given.read()
        else:
            content = await made_ready(self._workers, given, upright, image.media_type)
        picture = await work_on(len(content), data_uri, content, image.media_type)
        form = Form(DEFAULT_MODEL_PATH, default_model_body(job, picture))
        return Prepared(payload=form, warnings=_warnings(job.request, turned=not image.upright))

    def paid_call(self, prepared: Prepared, report: Report) -> PaidCall:
        """Describe the creation of the job."""
        form = prepared.payload
        assert isinstance(form, Form)
        return PaidCall(path=form.path, json=form.body, limit_seconds=self._submit_seconds)

    def understand(self, answer: Answer) -> Accepted:
        """Return the id of the created job."""
        return self._answers.accepted(answer)

    async def poll(self, vendor_task_id: str, report: Report) -> InProgress | Finished | Failure:
        """Read how the job stands. Raises ``AskAgain`` for an answer that settles nothing."""
        reply = await self._client.send(
            "GET",
            f"{TASK_PATH}{quote(vendor_task_id, safe='')}",
            limit_seconds=READ_SECONDS,
            max_body_bytes=MAX_TASK_BYTES,
        )
        standing = await asyncio.to_thread(self._answers.standing, vendor_task_id, reply)
        return at_origin(standing, self._base_url)

    async def check_account(self) -> str:
        """Ask for a task that does not exist: the token is looked at first (VENDORS §1)."""
        return await ask_account(self._client, f"{TASK_PATH}0")


# What is sent (VENDORS §1.2, §1.3)


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


def _warnings(request: Request, *, turned: bool) -> tuple[str, ...]:
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


# What is answered (VENDORS §1.4 to §1.6; PROMISES §2)


class AskAgain(Exception):
    """The answer to a poll settles nothing. The message holds no secret."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Envelope:
    """An answer in any of the vendor's shapes. ``code`` is its own, None where it gives none."""

    http_status: int
    code: int | None = None
    msg: str = ""
    data: Any = None
    is_bare: bool = False
    """Whether it is in none of the vendor's shapes."""

    @property
    def succeeded(self) -> bool:
        """Whether HTTP and body agree that all is well."""
        return 200 <= self.http_status < 300 and self.code == SUCCESS

    @property
    def may_be_accepted(self) -> bool:
        """Whether HTTP leaves it open, whatever the body says: it may say so too late, or too early."""
        if self.http_status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return status_meaning(self.http_status) is None
        return self.code == SUCCESS and self.http_status < HTTPStatus.BAD_REQUEST

    @property
    def status(self) -> int:
        """What the answer is, as an HTTP status: the vendor's own code tells it better than HTTP does.

        A success of HTTP's with a code that is not the vendor's counts by that code (F41).
        """
        if self.code is None:
            return self.http_status
        return STATUS_OF_CODE.get(self.code, self.code if self.http_status < 300 else self.http_status)


def read_envelope(reply: Reply) -> Envelope:
    """Read ``{"code", "msg", "data"}``, flat as documented or under ``detail`` as sent.

    FastAPI's own errors have a text or a list of problems there, and no code.
    """
    content = _object(reply.body)
    if not content:
        return Envelope(http_status=reply.status, is_bare=True)
    match content.get("detail"):
        case dict() as inner:
            content = inner
        case str() as msg:
            return Envelope(http_status=reply.status, msg=msg)
        case list() as problems:
            return Envelope(http_status=reply.status, msg=_problems(problems))
    return Envelope(
        http_status=reply.status,
        code=_integer(content.get("code")),
        msg=_text(content.get("msg")),
        data=content.get("data"),
    )


class Answers:
    """Reads the answers to one account, whose ``secrets`` get no further than this."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        self._secrets = secrets

    def accepted(self, answer: Answer) -> Accepted:
        """Return the id of the created job. Raises ``SubmitError``."""
        reply = reply_of(answer, MAX_BODY_BYTES)
        envelope = read_envelope(reply)
        if envelope.code is None and not is_told(answer):
            raise lost(answer)
        if not envelope.succeeded:
            raise self._refusal(envelope, reply, answer.answer_time)
        data = envelope.data if isinstance(envelope.data, dict) else {}
        if found := vendor_id(data.get("task_id")):
            return Accepted(vendor_task_id=found)
        raise ambiguous(
            "The provider reported success and named no task.", code=str(reply.status), vendor_trouble=False
        )

    def standing(self, vendor_task_id: str, reply: Reply) -> InProgress | Finished | Failure:
        """Return how a job stands. Raises ``AskAgain`` and ``VendorTaskUnknown``."""
        envelope = read_envelope(reply)
        if envelope.code == NOT_FOUND:
            raise VendorTaskUnknown(f"HTTP {reply.status} code {envelope.code}")
        data = envelope.data
        if not envelope.succeeded or not isinstance(data, dict):
            raise AskAgain(f"HTTP {reply.status} code {envelope.code}")
        if _text(data.get("task_id")) not in ("", vendor_task_id):
            raise AskAgain("another task's standing")
        match data.get("status"):
            case "completed":
                return _finished(data.get("image"))
            case "failed":
                return self._failed(_text(data.get("error_message")))
        return InProgress(progress_percent=_percent(data.get("progress")))

    def _refusal(self, envelope: Envelope, reply: Reply, now: datetime) -> SubmitError:
        code = str(reply.status if envelope.code is None else envelope.code)
        said = redact(envelope.msg, self._secrets)
        wait = parse_retry_after(reply.headers.get("retry-after"), now)
        if envelope.is_bare:
            return bare_refusal(reply.status, reply.headers, reply.body, always_json=True, retry_after=wait)
        if envelope.may_be_accepted:
            return ambiguous(f"The provider answered HTTP {reply.status}.", code=code, provider_message=said)
        if envelope.status in (400, 422) and (meaning_in(said) or refuses_content(said)):
            return refused(FailureReason.CONTENT_REFUSED, code=code, provider_message=said)
        return refusal_of(
            envelope.status,
            message=_missing_base(envelope),
            code=code,
            provider_message=said,
            retry_after=wait,
        )

    def _failed(self, error_message: str) -> Failure:
        said = redact(error_message, self._secrets)
        found = _UPSTREAM_CODE.search(said)
        code = found[1] if found else ""
        quoted = meaning_in(said)
        refuses = quoted is not None and quoted.reason is FailureReason.CONTENT_REFUSED
        refuses = refuses or (quoted is None and refuses_content(said))
        reason = FailureReason.CONTENT_REFUSED if refuses else FailureReason.PROVIDER_FAILED
        return Failure(
            reason=reason,
            message=MESSAGES[reason],
            provider_code=code,
            provider_message=said,
            retryable=not refuses and code in _PASSING,
        )


def vendor_id(value: Any) -> str:
    """Return an id as opaque text of at most 256 printable characters; empty for what cannot be one (F46).

    Dots alone would be steps in a path and no name in it.
    """
    text = _text(value)
    fits = len(text) <= MAX_ID_CHARS and text.isascii() and text.isprintable() and text.strip() == text
    return text if fits and text not in (".", "..") else ""


def _missing_base(envelope: Envelope) -> str:
    if envelope.code != NOT_FOUND:
        return ""
    return BASE_WITHOUT_PICTURE if "(no image" in envelope.msg else NO_SUCH_BASE


def _finished(image: Any) -> Finished | Failure:
    """Return the picture, which older builds send whole.

    A job that is completed without one stays so: the vendor could not keep its copy (VENDORS §1.5).
    """
    members = image if isinstance(image, dict) else {}
    if url := address_in(members.get("image_url")):
        return Finished(outputs=(Output(url=url),))
    if content := _decoded(members.get("image_base64")):
        return Finished(outputs=(Output(content=content),))
    return Failure(reason=FailureReason.PROVIDER_BAD_RESULT, message=NO_PICTURE)


def _decoded(text: Any) -> bytes:
    """Decode strictly, with or without a data URI's head (F53); empty for what is not Base64."""
    if not isinstance(text, str):
        return b""
    head = _DATA_URI.match(text)
    try:
        return binascii.a2b_base64("".join(text[head.end() if head else 0 :].split()), strict_mode=True)
    except ValueError:
        return b""


def _problems(problems: list[Any]) -> str:
    """Say what FastAPI found wrong: where, and the rule. Never its ``input``, which is the caller's."""
    found = [problem for problem in problems[:MAX_PROBLEMS] if isinstance(problem, dict)]
    return "; ".join(f"{_place(problem.get('loc'))}: {_text(problem.get('msg'))}" for problem in found)


def _place(loc: Any) -> str:
    return ".".join(map(_text, loc)) if isinstance(loc, list) else _text(loc)


def _object(body: bytes) -> dict[str, Any]:
    try:
        content = read_json(body)
    except BadBody:
        return {}
    return content if isinstance(content, dict) else {}


def _integer(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: Any) -> str:
    """Return a string, or an integer where a string is due (the page says ids are), as text."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""


def _percent(progress: Any) -> int | None:
    if not isinstance(progress, int | float) or isinstance(progress, bool):
        return None
    return int(min(max(progress, 0), 100))
