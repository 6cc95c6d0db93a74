"""The seam between the engine and the vendors. Everything an adapter must do stands on this page.

The engine calls, in this order: ``check`` when a task is created (and ``foresee`` in place of all that
follows, where it is only validated), then per attempt ``prepare`` (before the
intent to pay is durable), ``paid_call``, whose call the engine makes, once; ``understand`` of what came, and
``poll`` until the vendor is done. An adapter that made its paid call itself could forget to keep the answer;
one that only describes it cannot. Those that never bill have ``submit`` in place of the two. ``understand``
and ``submit`` raise one of

    SubmitError
     ├─ NotProcessed   proved that the vendor did nothing; may be sent again
     ├─ Refused        proved that the vendor will make nothing of it; final, and not always free
     └─ Ambiguous      the vendor may or may not have taken it; never sent again unasked

and any other exception out of them counts as Ambiguous. ``PrepareError`` ends a task before anything
was paid.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, ClassVar, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from imageedit_server.core.charge import BILLED, Billing, Charge
from imageedit_server.core.errors import FailureReason, Violation
from imageedit_server.core.failure import Failure
from imageedit_server.core.image import Image
from imageedit_server.core.model import Model
from imageedit_server.core.model import SubmitSafety as SubmitSafety  # noqa: PLC0414  adapters find it here
from imageedit_server.core.request import Request
from imageedit_server.outbound.answers import Answer, PaidCall, Payer
from imageedit_server.outbound.client import ApiClient
from imageedit_server.runtime.clock import Clock
from imageedit_server.runtime.workers import Workers

DAY = 24 * 3600

Seconds = Annotated[float, Field(gt=0, le=DAY)]
PollSeconds = tuple[Seconds, Seconds, Seconds]
"""Time between polls in the first 30 s, up to 2 minutes, and after."""


class ProviderOptions(BaseModel):
    """The settings that every provider takes; an adapter adds its own in a subclass.

    ``needs_key`` is set where nothing works without one.
    """

    needs_key: ClassVar[bool] = False
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    adapter: str
    enabled: bool = True
    base_url: str = ""
    api_key: SecretStr = SecretStr("")
    poll_seconds: PollSeconds = (2.5, 7, 20)
    submit_seconds: Seconds = 30
    """Wall limit of the paid call."""
    max_submits: str = ""
    """Most paid calls in a sliding window: ``18/10s``. Empty: no limit."""
    concurrency: int = Field(default=50, ge=1)
    """Most tasks at this provider at once."""

    @model_validator(mode="after")
    def _check_key(self) -> Self:
        key = self.api_key.get_secret_value()
        if self.enabled and self.needs_key and not key:
            raise ValueError(
                "api_key is missing; give api_key, api_key_env (the name of a variable) or api_key_file"
            )
        if not key.isascii() or not key.isprintable() or " " in key:
            raise ValueError("api_key has characters that no key has, such as a space or a line break")
        return self

    def secret_values(self) -> list[str]:
        """Return what no answer may be stored with."""
        values = (getattr(self, name) for name in type(self).model_fields)
        return [value.get_secret_value() for value in values if isinstance(value, SecretStr)]


Connect = Callable[[str, Mapping[str, str]], ApiClient]


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """What the house lends an adapter. ``connect`` makes the client for a base URL, with its headers."""

    provider: str
    clock: Clock
    workers: Workers
    connect: Connect


@dataclass(frozen=True, kw_only=True, slots=True)
class InputImage:
    """An input picture that was looked at: its facts, and the way to its bytes, wherever they are kept.

    ``read`` returns the picture's own bytes, checked against its digest. Raises ``PrepareError`` for what is
    damaged or gone, ``NotProcessed`` for what cannot be read just now. An adapter that reads in ``submit``
    makes a ``Refused`` of the first, which would be taken for ambiguous there.
    """

    image: Image
    read: Callable[[], Awaitable[bytes]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One attempt to carry out a task.

    ``attempt_key`` is the same each time this attempt is tried again; ``callback_url`` is empty where no
    callback can arrive. ``size`` is chosen already.
    """

    request: Request
    model: Model
    size: str
    images: tuple[InputImage, ...]
    mask: InputImage | None = None
    reference_images: tuple[InputImage, ...] = ()
    attempt_key: str
    callback_url: str = ""
    deadline: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """What ``prepare`` made of a job: ``payload`` is the adapter's own and goes back to it."""

    payload: object
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """One result picture: its bytes, or the URL to fetch it from."""

    content: bytes = b""
    url: str = ""
    revised_prompt: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Accepted:
    """The vendor took the work; ``vendor_task_id`` names it in ``poll``. ``usage`` is as ``Attempt``'s."""

    vendor_task_id: str
    vendor_request_id: str = ""
    usage: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class InProgress:
    """The vendor still works. ``progress_percent`` is None when it does not say."""

    progress_percent: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """The vendor succeeded. ``usage`` is as ``Attempt``'s."""

    outputs: tuple[Output, ...]
    warnings: tuple[str, ...] = ()
    vendor_request_id: str = ""
    usage: Mapping[str, str] = field(default_factory=dict)


class PrepareError(Exception):
    """The job cannot be prepared, and trying again would not help. Nothing was paid."""

    def __init__(self, reason: FailureReason, message: str) -> None:
        super().__init__(message)
        self.failure = Failure(reason=reason, message=message)


@dataclass(frozen=True, kw_only=True, slots=True)
class VendorIds:
    """What an answer that is no success calls the work and the call, empty where it does not say."""

    task_id: str = ""
    request_id: str = ""


NO_IDS = VendorIds()


class SubmitError(Exception):
    """The paid call brought no result. ``providers.outcomes`` makes these, with their ``failure``.

    ``vendor_trouble`` says whether the vendor is unwell, as far as this call shows: it did not answer, or
    answered with an error of its own servers. The operator's and the caller's mistakes are not (P15).
    ``ids`` and ``usage``, which is as ``Attempt``'s, are kept with the attempt: what may be paid for must be
    found again.
    """

    def __init__(
        self,
        failure: Failure,
        *,
        retry_after_seconds: float | None = None,
        vendor_trouble: bool = True,
        ids: VendorIds = NO_IDS,
    ) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.retry_after_seconds = retry_after_seconds
        self.vendor_trouble = vendor_trouble
        self.ids = ids
        self.usage: Mapping[str, str] = {}


class NotProcessed(SubmitError):
    """The vendor did nothing. ``failure`` is what the task fails with if this lasts to its deadline."""


class Refused(SubmitError):
    """The vendor will not do this. Some bill what they refuse after they have worked: ``billing`` says so."""

    def __init__(
        self,
        failure: Failure,
        *,
        billing: Billing = Billing.NOT_CHARGED,
        ids: VendorIds = NO_IDS,
    ) -> None:
        super().__init__(failure, vendor_trouble=False, ids=ids)
        self.billing = billing


class Ambiguous(SubmitError):
    """The vendor may or may not have taken the work."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Callback:
    """What a vendor's callback tells: only a hint to poll now, and the id of the work (DESIGN §4).

    The id is empty where the callback does not name it.
    """

    vendor_task_id: str


class CallbackRefused(Exception):
    """The callback is malformed (``forged`` False) or not the vendor's (``forged`` True)."""

    def __init__(self, *, forged: bool) -> None:
        super().__init__("forged" if forged else "malformed")
        self.forged = forged


class AccountRefused(Exception):
    """The vendor does not take the credential, or could not be asked; the message is a sentence."""


class VendorTaskUnknown(Exception):
    """The vendor does not know the id that it gave: not yet, or no more (F49)."""


class Report(Protocol):
    """Tells watchers how far the work is. May be called any time, also never. Does not raise."""

    async def __call__(self, *, progress_percent: int | None = None, preview: bytes | None = None) -> None:
        """Take a percentage (0 to 100; never shown falling) or a partial picture."""
        ...


class Adapter(ABC):
    """One vendor API, configured as one provider. ``options`` is an instance of its ``Options``."""

    Options: ClassVar[type[ProviderOptions]] = ProviderOptions
    submit_safety: ClassVar[SubmitSafety] = SubmitSafety.NONE
    charge: ClassVar[Charge] = BILLED
    """How the vendor bills; ``FREE`` where nothing it does is ever billed."""
    usual_key_variable: ClassVar[str] = ""
    """The environment variable that usually holds this vendor's key; set, it adds the provider unasked.

    Not where the vendor's address must be given, nor beside a file: there it is named as unused. Read of
    the adapters that ship alone, since those of other distributions are imported when asked for.
    """
    edits_own_bases_only: ClassVar[bool] = False
    """Whether model edits name the base by the vendor's id, so that only this provider's bases will do."""

    models: Sequence[Model]
    """What this provider serves, under ``context.provider``."""
    work_seconds: float = 0.0
    """How long ``submit`` works by design, which does not count against ``submit_seconds``."""
    payer: Payer
    """Makes the paid calls: the vendor's client, from ``Context.connect``. Not where nothing is billed."""

    @property
    def polls(self) -> bool:
        """Whether accepted work is asked for; an id of work that cannot be is kept for people alone."""
        return type(self).poll is not Adapter.poll

    @abstractmethod
    def __init__(self, options: Any, context: Context) -> None:
        """Take the settings, an instance of ``Options``, and what the house lends. Must not call anyone."""

    def check(self, request: Request, model: Model) -> Sequence[Violation]:
        """Return what else breaks this vendor's rules, beyond the model's limits. Must not call anyone.

        The images of ``request`` that are not URLs carry their facts; those of URLs are not known yet.
        """
        return ()

    def foresee(self, request: Request, model: Model) -> Sequence[str]:
        """Return the warnings that a task of ``request`` would have, as far as its words alone tell.

        For ``validate_only``, when all checks have passed. Must be pure: it is called on the loop. Raises a
        ``Refusal`` for what would certainly fail the task.
        """
        return ()

    @abstractmethod
    async def prepare(self, job: Job) -> Prepared:
        """Do everything free and repeatable. Raises ``PrepareError``, or ``NotProcessed`` to try later."""

    def paid_call(self, prepared: Prepared, report: Report) -> PaidCall:
        """Describe the paid call. Pure: ``report`` is for the call's onlooker.

        Everything that ``understand`` needs of the request stands in the call's ``brief``.
        """
        raise NotImplementedError  # for adapters whose submit does the work

    def understand(self, answer: Answer) -> Accepted | Finished:
        """Say what an answer to a paid call means. Raises ``SubmitError``.

        Pure, and blocking while it decodes: it may be asked again years later, by a newer version and after
        the settings changed, with the same answer. So it looks at no clock (``answer.answer_time`` is when
        the answer had come), calls nobody, and takes defaults for what ``answer.brief`` does not say. An
        answer without a head, or one that is not whole, comes here too.
        """
        raise NotImplementedError  # for adapters whose submit does the work

    async def submit(self, prepared: Prepared, report: Report) -> Accepted | Finished:
        """Do the work, where nothing is ever billed for it. Raises ``SubmitError``."""
        raise NotImplementedError  # for adapters with a vendor to pay

    async def poll(self, vendor_task_id: str, report: Report) -> InProgress | Finished | Failure:
        """Read how the accepted work stands. Any exception means: ask again later.

        Raises ``VendorTaskUnknown``, which ends the task when the vendor had time enough to know.
        """
        raise NotImplementedError  # for adapters whose submit always finishes

    def read_callback(self, headers: Mapping[str, str], body: bytes) -> Callback:
        """Read a callback to ``Job.callback_url``; header names are lower-case. Raises ``CallbackRefused``.

        Must not trust anything in it but the vendor's id of the work.
        """
        raise CallbackRefused(forged=False)

    async def check_account(self) -> str:
        """Ask the vendor, for nothing, whether it takes the credential; return a sentence.

        Raises ``AccountRefused``. For the operator's check, never while serving.
        """
        return "There is nothing to ask."
