"""Suitme as a provider: what is called when (vendor page 0, VENDORS §1).

A job is created by a POST that cannot be repeated, and polled. The service's own source is public (SUITME in
VENDORS); where it and its page differ, the source is what goes over the wire.
"""

import asyncio
from typing import ClassVar, Self
from urllib.parse import quote

from pydantic import Field, model_validator

from imageedit_server.core.failure import Failure
from imageedit_server.core.model import Model
from imageedit_server.core.request import Kind
from imageedit_server.outbound.answers import Answer, PaidCall
from imageedit_server.pictures.ready import Taken
from imageedit_server.providers.accounts import ask_account
from imageedit_server.providers.base import (
    Accepted,
    Adapter,
    Context,
    Finished,
    InProgress,
    Job,
    PollSeconds,
    Prepared,
    ProviderOptions,
    Report,
    SubmitSafety,
)
from imageedit_server.providers.origins import at_origin
from imageedit_server.providers.sending import picture_for, refuse_too_large
from imageedit_server.providers.suitme.answers import Answers
from imageedit_server.providers.suitme.requests import (
    DEFAULT_MODEL_PATH,
    EDIT_PATH,
    Form,
    data_uri,
    default_model_body,
    edit_body,
    warnings_of,
)
from imageedit_server.providers.suitme.standings import Standings
from imageedit_server.runtime.threads import work_on

MIB = 1024 * 1024
TASK_PATH = "/tasks/"
READ_SECONDS = 10.0

SIZES = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
DEFAULT_SIZE = "4:3"
MAX_INSTRUCTION_CHARS = 32_000
"""The vendor names no limit; this is the service's own for any prompt."""

MAX_TASK_BYTES = 32 * MIB
"""Of the answer to a poll: older builds of the vendor put the whole picture into it."""

EXPECTED_BYTES = 16 * 1024
"""Of the answer to the paid call: an id, or an error and whatever stands before the vendor."""


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


class SuitmeAdapter(Adapter):
    """Creates a default model or an edit of one, then polls. Nothing makes the creation repeatable."""

    Options = SuitmeOptions
    submit_safety: ClassVar[SubmitSafety] = SubmitSafety.NONE
    usual_key_variable: ClassVar[str] = "SUITME_API_KEY"
    edits_own_bases_only: ClassVar[bool] = True

    def __init__(self, options: SuitmeOptions, context: Context) -> None:
        key = options.api_key.get_secret_value()
        self._base_url = options.base_url
        self._submit_seconds = options.submit_seconds
        self._workers = context.workers
        self._max_image_bytes = options.max_image_bytes
        self._client = self.payer = context.connect(options.base_url, {"Authorization": f"Bearer {key}"})
        self._answers = Answers((key,))
        self._standings = Standings((key,))
        self.models = [
            Model(
                name=f"{context.provider}/model-edit",
                provider=context.provider,
                kinds=frozenset({Kind.DEFAULT_MODEL, Kind.MODEL_EDIT}),
                max_prompt_chars=MAX_INSTRUCTION_CHARS,
                sizes=SIZES,
                default_size=DEFAULT_SIZE,
                max_image_bytes=options.max_image_bytes,
                makes_fit=True,
            )
        ]

    async def prepare(self, job: Job) -> Prepared:
        """Write the body of the paid call; a default model's picture goes into it whole."""
        if job.request.kind is Kind.MODEL_EDIT:
            return Prepared(payload=Form(EDIT_PATH, edit_body(job)))
        [given] = job.images
        ready = await picture_for(self._workers, given, Taken(max_bytes=self._max_image_bytes))
        refuse_too_large("image", ready, self._max_image_bytes)
        picture = await work_on(len(ready.content), data_uri, ready.content, ready.media_type)
        form = Form(DEFAULT_MODEL_PATH, default_model_body(job, picture))
        return Prepared(payload=form, warnings=warnings_of(job.request, ready))

    def paid_call(self, prepared: Prepared, report: Report) -> PaidCall:
        """Describe the creation of the job."""
        form = prepared.payload
        assert isinstance(form, Form)
        return PaidCall(
            path=form.path,
            json=form.body,
            limit_seconds=self._submit_seconds,
            expected_bytes=EXPECTED_BYTES,
        )

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
        standing = await asyncio.to_thread(self._standings.standing, vendor_task_id, reply)
        return at_origin(standing, self._base_url)

    async def check_account(self) -> str:
        """Ask for a task that does not exist: the token is looked at first (VENDORS §1)."""
        return await ask_account(self._client, f"{TASK_PATH}0")
