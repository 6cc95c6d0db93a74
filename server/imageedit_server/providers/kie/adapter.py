"""kie.ai as a provider: what is called when. What its answers mean is in ``answers``.

``nsfw_checker`` of seedream is on none of our pages and its default is off (VENDORS §2.1): it is sent only
when the setting of that name says so.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Literal

from pydantic import Field, SecretStr, field_validator

from imageedit_server.core.errors import FailureReason, Violation
from imageedit_server.core.failure import Failure
from imageedit_server.core.model import Model
from imageedit_server.core.options import IdeogramOptions
from imageedit_server.core.request import Request
from imageedit_server.outbound.answers import Answer, PaidCall
from imageedit_server.outbound.client import OutboundError
from imageedit_server.providers.base import (
    Accepted,
    AccountRefused,
    Adapter,
    Callback,
    Context,
    Finished,
    InProgress,
    Job,
    Prepared,
    PrepareError,
    ProviderOptions,
    Report,
    SubmitSafety,
)
from imageedit_server.providers.kie.answers import Answers, CreditsUnknown
from imageedit_server.providers.kie.briefs import brief_of
from imageedit_server.providers.kie.callbacks import read_callback
from imageedit_server.providers.kie.models import (
    KNOWN,
    PAGE_MODELS,
    family_of,
    input_of,
    models_of,
    served_family,
)
from imageedit_server.providers.kie.records import Records
from imageedit_server.providers.kie.uploads import Uploads
from imageedit_server.providers.origins import at_origin

CREATE_PATH = "/api/v1/jobs/createTask"
RECORD_PATH = "/api/v1/jobs/recordInfo"
CREDIT_PATH = "/api/v1/chat/credit"
READ_SECONDS = 10.0
EXPECTED_BYTES = 16 * 1024
"""Of the answer to the paid call: an id, or an error and whatever stands before the vendor."""


class KieOptions(ProviderOptions):
    """The settings of a kie.ai account."""

    needs_key: ClassVar[bool] = True
    base_url: str = "https://api.kie.ai"
    upload_url: str = "https://kieai.redpandaai.co"
    models: Mapping[str, str] = Field(default_factory=dict)
    """The vendor's name of each model, by its public one; empty for those of vendor pages 2 and 4."""
    callback_hmac_key: SecretStr = SecretStr("")
    """The account's webhookHmacKey. Set: a callback must be signed with it, or with one of several that
    white space divides, as while it is changed."""
    mask_edit_color: Literal["black", "white"] = "black"
    """Which colour of character-edit's mask means edit; the vendor does not say."""
    nsfw_checker: bool | None = None
    """Whether kie.ai filters seedream's results. None: the field is not sent, which means no."""
    max_submits: str = "18/10s"

    @field_validator("models")
    @classmethod
    def _check_models(cls, models: Mapping[str, str]) -> Mapping[str, str]:
        for public, vendor_name in models.items():
            if not public or not vendor_name:
                raise ValueError('needs a name on both sides: "my/seedream" = "seedream/4.5-edit"')
            if family_of(vendor_name) is None:
                raise ValueError(f"{vendor_name!r} is of no family that is known here; those are {KNOWN}")
        return models

    def served_models(self) -> Mapping[str, str]:
        """Return the vendor's name of each model, by its public one."""
        return self.models or PAGE_MODELS


class KieAdapter(Adapter):
    """Uploads, creates a task, polls it. The paid call is createTask; no key makes it repeatable."""

    Options = KieOptions
    submit_safety: ClassVar[SubmitSafety] = SubmitSafety.CALLBACK_CORRELATED
    usual_key_variable: ClassVar[str] = "KIE_API_KEY"

    def __init__(self, options: KieOptions, context: Context) -> None:
        self._options = options
        self._clock = context.clock
        key = options.api_key.get_secret_value()
        hmac_key = options.callback_hmac_key.get_secret_value()
        self._hmac_keys = hmac_key.split()
        if hmac_key and not self._hmac_keys:  # or nobody would be asked for a signature
            raise ValueError("callback_hmac_key is blank")
        headers = {"Authorization": f"Bearer {key}"}
        self._client = self.payer = context.connect(options.base_url, headers)
        secrets = (key, *self._hmac_keys)
        self._answers = Answers(secrets, context.clock)
        self._records = Records(secrets, context.clock)
        self._uploads = Uploads(
            context.connect(options.upload_url, headers),
            context.workers,
            self._answers,
            options.mask_edit_color,
        )
        self.models: Sequence[Model] = models_of(context.provider, options.served_models())

    def check(self, request: Request, model: Model) -> Sequence[Violation]:
        """Ask for the reference picture that a model cannot do without; refuse an option that it lacks."""
        return tuple(_violations(request, model))

    async def prepare(self, job: Job) -> Prepared:
        """Upload every input and write the body of the paid call."""
        _check_mask_size(job)
        uploaded, warnings = await self._uploads.upload(job)
        given = input_of(job, uploaded)
        checker = self._options.nsfw_checker
        if checker is not None and served_family(job.model.vendor_name).has_nsfw_checker:
            given["nsfw_checker"] = checker
        callback = {"callBackUrl": job.callback_url} if job.callback_url else {}
        body = {"model": job.model.vendor_name, **callback, "input": given}
        return Prepared(payload=body, warnings=warnings)

    def paid_call(self, prepared: Prepared, report: Report) -> PaidCall:
        """Describe the creation of the task. Its brief knows the callback's token by its hash alone."""
        body = prepared.payload
        assert isinstance(body, dict)
        return PaidCall(
            path=CREATE_PATH,
            json=body,
            limit_seconds=self._options.submit_seconds,
            expected_bytes=EXPECTED_BYTES,
            brief=brief_of(body.get("callBackUrl", "")),
        )

    def understand(self, answer: Answer) -> Accepted:
        """Return the id of the created task."""
        return self._answers.accepted(answer)

    async def poll(self, vendor_task_id: str, report: Report) -> InProgress | Finished | Failure:
        """Read the task's record. Raises ``AskAgain`` where its answer settles nothing."""
        reply = await self._client.send(
            "GET", RECORD_PATH, params={"taskId": vendor_task_id}, limit_seconds=READ_SECONDS
        )
        return at_origin(self._records.standing(vendor_task_id, reply), self._options.base_url)

    def read_callback(self, headers: Mapping[str, str], body: bytes) -> Callback:
        """Read the id of the work, and the signature where a key is set."""
        return read_callback(headers, body, keys=self._hmac_keys, now=self._clock.now())

    async def check_account(self) -> str:
        """Ask what is left on the account."""
        try:
            left = await self.credits()
        except CreditsUnknown as error:
            raise AccountRefused(str(error)) from error
        return f"The provider takes the credential; {left:g} credits are left."

    async def credits(self) -> float:
        """Return what is left on the account. Raises ``CreditsUnknown`` with a sentence."""
        try:
            reply = await self._client.send("GET", CREDIT_PATH, limit_seconds=READ_SECONDS)
        except OutboundError as error:
            raise CreditsUnknown(str(error)) from error
        return self._answers.credits(reply)


def _violations(request: Request, model: Model) -> Iterator[Violation]:
    family, options = served_family(model.vendor_name), request.options
    count, needed = len(request.reference_images), family.references_needed
    if count < needed:
        description = f"has {count} pictures; {model.name} needs {needed}"
        yield Violation(field="reference_images", description=description)
    if (
        isinstance(options, IdeogramOptions)
        and options.style != IdeogramOptions().style
        and not family.has_style
    ):
        yield Violation(field="ideogram.style", description=f"is not taken by {model.name}")


def _check_mask_size(job: Job) -> None:
    """The vendor's mask must be as large as the picture, whose size may be known only now."""
    if job.mask is None:
        return
    mask, image = job.mask.image, job.images[0].image
    if (mask.width, mask.height) != (image.width, image.height):
        sizes = f"{mask.width}x{mask.height}, the image {image.width}x{image.height}"
        raise PrepareError(FailureReason.INVALID_FIELD, f"The mask is {sizes}; they must be equally large.")
