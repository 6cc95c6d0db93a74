"""Creating tasks: every check that can be made before anyone pays, then one durable row."""

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

from imageedit_server.core import transitions
from imageedit_server.core.draining import Draining
from imageedit_server.core.errors import Reason, Refusal, Violation, image_not_found, invalid, refuse_fields
from imageedit_server.core.fields import check_fields
from imageedit_server.core.image import Image
from imageedit_server.core.model import Model
from imageedit_server.core.model_limits import check_limits
from imageedit_server.core.request import (
    Content,
    Draft,
    ImageRef,
    Input,
    Kind,
    Request,
    Source,
    TaskOutput,
    Url,
    request_of,
)
from imageedit_server.core.sizing import with_size
from imageedit_server.core.task import State, Status, Task, new_task_id
from imageedit_server.editing.pictures import Pictures
from imageedit_server.editing.tasks import Tasks
from imageedit_server.images.library import ImageLibrary, Pending
from imageedit_server.providers.catalog import Catalog, Offer
from imageedit_server.runtime.clock import Clock
from imageedit_server.runtime.failpoints import failpoint
from imageedit_server.runtime.threads import work_on
from imageedit_server.runtime.workers import on_behalf_of
from imageedit_server.store.creation import NewTask, create_task, find_by_request_id
from imageedit_server.store.database import Database
from imageedit_server.store.quotas import NO_QUOTA, Quota, check_task

RefuseUrl = Callable[[str], str | None]
"""Says why a URL is refused by its text alone, None when it is not; completes the sentence "<field> …"."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Defaults:
    """The models of requests that name none."""

    edit_model: str
    model_edit_model: str


class Creating:
    """Turns drafts into tasks."""

    def __init__(
        self,
        *,
        database: Database,
        library: ImageLibrary,
        catalog: Catalog,
        tasks: Tasks,
        pictures: Pictures,
        clock: Clock,
        defaults: Defaults,
        refuse_url: RefuseUrl,
        draining: Draining,
        quota: Quota = NO_QUOTA,
    ) -> None:
        self._database = database
        self._library = library
        self._catalog = catalog
        self._tasks = tasks
        self._pictures = pictures
        self._clock = clock
        self._refuse_url = refuse_url
        self._draining = draining
        self._quota = quota
        self._models_if_unnamed = {
            Kind.EDIT_IMAGE: defaults.edit_model,
            Kind.MODEL_EDIT: defaults.model_edit_model,
            Kind.DEFAULT_MODEL: "",
        }

    async def create(self, tenant: str, draft: Draft) -> Task:
        """Return the new task, durable, or the one that the request_id already stands for.

        Raises a ``Refusal``; then nothing was stored and nothing is charged. A repeat of a request that was
        accepted once is answered with its task even if it would be refused now. With ``validate_only`` the
        task is neither stored nor named.
        """
        failpoint("create_before_commit")
        self._draining.refuse()
        _refuse(check_fields(draft))
        body_sha256 = await work_on(draft.content_bytes, draft.sha256) if draft.request_id else ""
        if not draft.content_bytes:
            return await self._create_or_find(tenant, draft, body_sha256)
        existing = await self._find_existing(tenant, draft, body_sha256)  # before pictures are looked into
        return existing or await self._create(tenant, draft, body_sha256)

    async def _create_or_find(self, tenant: str, draft: Draft, body_sha256: str) -> Task:
        """Create first: that is what nearly every call is for, and it finds the task of a repeat too."""
        try:
            return await self._create(tenant, draft, body_sha256)
        except Refusal:
            existing = await self._find_existing(tenant, draft, body_sha256)
            if existing is None:
                raise
            return existing

    async def _create(self, tenant: str, draft: Draft, body_sha256: str) -> Task:
        """Check everything, then store: pictures that came inline are only kept when nothing was refused."""
        offer = self._choose(draft)
        async with AsyncExitStack() as looking:
            looking.enter_context(on_behalf_of(tenant))
            looking.enter_context(self._library.holding())
            request, inline = await self._resolve(tenant, draft, offer, looking)
            if offer is not None:
                _refuse(check_limits(request, offer.model))
                _refuse(offer.provider.adapter.check(request, offer.model))
            new = self._new_task(tenant, draft, request, offer, body_sha256)
            if draft.validate_only:
                return _unstored(_foreseen(new, offer))
            images = [pending.image for pending in inline]
            if images and self._quota != NO_QUOTA:  # before there are files that nobody may have
                await looking.enter_async_context(self._pictures.room.granted(tenant, images, check_task))
            for pending in inline:
                await pending.keep()
            task = await self._database.write(create_task, new, images, self._quota)
        failpoint("create_after_commit")
        return task

    async def _find_existing(self, tenant: str, draft: Draft, body_sha256: str) -> Task | None:
        if draft.validate_only or not draft.request_id:
            return None
        return await self._database.look_up(
            find_by_request_id, tenant, draft.kind.value, draft.request_id, body_sha256
        )

    def _choose(self, draft: Draft) -> Offer | None:
        """Find who serves the draft's model; None for a default model that is the caller's own picture."""
        name = draft.model or self._models_if_unnamed[draft.kind]
        if not name:
            return None
        offer = self._catalog.find(name)
        if offer is None:
            nobodys = f"is {name!r}, which no provider here serves{self._catalog.near(name)}; see ListModels"
            raise invalid("model", nobodys, Reason.UNKNOWN_MODEL)
        _check_kind(draft, offer.model)
        _check_options(draft, offer.model)
        return offer

    async def _resolve(
        self, tenant: str, draft: Draft, offer: Offer | None, looking: AsyncExitStack
    ) -> tuple[Request, list[Pending]]:
        """Name every input by its content; return the request and the pictures that came inline.

        Those exist for as long as ``looking`` is open.
        """
        inputs: dict[str, Input] = {}
        inline: list[Pending] = []
        for field, source in draft.sources():
            if isinstance(source, Content):
                staged = self._library.stage_bytes(source.data, field=f"{field}.content")
                inline.append(await looking.enter_async_context(staged))
                inputs[field] = Input(image=inline[-1].image)
            else:
                inputs[field] = await self._input(tenant, field, source, for_good=not draft.validate_only)
        request = _request(draft, offer, inputs)
        if draft.kind is Kind.MODEL_EDIT:
            assert offer is not None
            request = await self._with_base(tenant, request, offer)
        return request, inline

    async def _input(self, tenant: str, field: str, source: Source, *, for_good: bool) -> Input:
        """Name an input; when it is not ``for_good``, nobody will look again whether it is still there."""
        match source:
            case ImageRef(image_id=image_id):
                look = self._pictures.recall if for_good else self._pictures.find
                return Input(image=await look(tenant, image_id))
            case TaskOutput() as output:
                return Input(image=await self._output(tenant, output))
            case Url(url=url):
                if reason := self._refuse_url(url):
                    raise invalid(f"{field}.url", reason, Reason.URL_REFUSED)
                return Input(url=url)
        raise AssertionError("inline content was staged, and check_fields refuses a source without a way")

    async def _output(self, tenant: str, output: TaskOutput) -> Image:
        task = await self._tasks.get(tenant, output.task_id)
        if not task.status.state.terminal:
            raise Refusal(Reason.SOURCE_NOT_READY, f"Task {task.task_id} is not finished; watch it first.")
        if output.index >= len(task.status.images):
            raise image_not_found()
        return task.status.images[output.index]

    async def _with_base(self, tenant: str, request: Request, offer: Offer) -> Request:
        """Add the picture of the base task, and its vendor's id where the provider needs that."""
        base = await self._tasks.get(tenant, request.base_model_task_id)
        if base.status.state is not State.SUCCEEDED or not base.status.images:
            raise Refusal(
                Reason.BASE_MODEL_NOT_READY,
                f"Task {base.task_id} is {base.status.state} and has no picture to edit.",
            )
        vendor_task_id = _vendor_task_id(base, offer) if offer.provider.adapter.edits_own_bases_only else ""
        return replace(
            request, images=(Input(image=base.status.images[0]),), base_vendor_task_id=vendor_task_id
        )

    def _new_task(
        self, tenant: str, draft: Draft, request: Request, offer: Offer | None, body_sha256: str
    ) -> NewTask:
        now = self._clock.now()
        return NewTask(
            task_id=new_task_id(),
            tenant=tenant,
            request=request,
            status=with_size(Status(), request, offer.model) if offer else Status(),
            method=draft.kind.value,
            body_sha256=body_sha256,
            create_time=now,
            deadline=now + draft.timeout,
        )


def _refuse(violations: Sequence[Violation]) -> None:
    if violations:
        raise refuse_fields(violations)


def _check_kind(draft: Draft, model: Model) -> None:
    if draft.kind not in model.kinds:
        can = ", ".join(sorted(kind.value for kind in model.kinds))
        raise invalid("model", f"{model.name} serves {can} tasks only")


def _check_options(draft: Draft, model: Model) -> None:
    if draft.options is not None and draft.options.family != model.option_family:
        takes = f"takes {model.option_family} options" if model.option_family else "takes no options"
        raise invalid(
            draft.options.family, f"is not for {model.name}, which {takes}", Reason.OPTION_NOT_SUPPORTED
        )


def _request(draft: Draft, offer: Offer | None, inputs: dict[str, Input]) -> Request:
    pictures = list(inputs.items())
    return request_of(
        draft,
        model=offer.model.name if offer else "",
        provider=offer.provider.name if offer else "",
        images=tuple(given for field, given in pictures if field.startswith("image")),
        mask=inputs.get("mask"),
        reference_images=tuple(given for field, given in pictures if field.startswith("reference_images")),
    )


def _vendor_task_id(base: Task, offer: Offer) -> str:
    """Return the vendor's id of a default model that the offer's provider made itself."""
    made = base.status.attempts if base.request.kind is Kind.DEFAULT_MODEL else ()
    for attempt in reversed(made):
        if attempt.provider == offer.provider.name and attempt.vendor_task_id:
            return attempt.vendor_task_id
    raise Refusal(
        Reason.BASE_MODEL_ELSEWHERE,
        f"{offer.model.name} edits only default models that {offer.provider.name} made; create one there.",
    )


def _foreseen(new: NewTask, offer: Offer | None) -> NewTask:
    """Add the warnings that the provider knows already. Raises a ``Refusal`` for a task that would fail."""
    warnings = offer.provider.adapter.foresee(new.request, offer.model) if offer else ()
    return replace(new, status=transitions.warn(new.status, tuple(warnings)))


def _unstored(new: NewTask) -> Task:
    return Task(
        task_id="",
        tenant=new.tenant,
        request=new.request,
        status=new.status,
        seq=0,
        create_time=new.create_time,
        deadline=new.deadline,
    )
