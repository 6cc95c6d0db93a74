"""What comes before the paid call, free and repeatable: inputs, the form the adapter sends, the pace."""

from imageedit_server.core.errors import FailureReason, refuse_fields
from imageedit_server.core.model_limits import check_limits
from imageedit_server.core.request import Request
from imageedit_server.core.sizing import with_size
from imageedit_server.engine.gates import Gate
from imageedit_server.engine.inputs import has_urls
from imageedit_server.engine.recorder import Recorder
from imageedit_server.engine.tools import Tools
from imageedit_server.providers.base import Job, Prepared, PrepareError
from imageedit_server.providers.catalog import Offer
from imageedit_server.telemetry.metrics import provider_call


class Preparing:
    """Makes attempts of one task ready to be sent."""

    def __init__(self, recorder: Recorder, offer: Offer, gate: Gate, tools: Tools) -> None:
        self._recorder = recorder
        self._offer = offer
        self._gate = gate
        self._tools = tools
        self._adapter = offer.provider.adapter

    async def prepare(self, number: int, token: str) -> Prepared:
        """Do it all, in the order in which it can fail. ``token`` is empty where the vendor has it already.

        Raises ``PrepareError``, or ``NotProcessed`` to try later.
        """
        request = await self._inputs()
        with provider_call(self._offer.provider.name, "prepare") as call:
            prepared = call.ended(await self._adapter.prepare(self._job(request, number, token)))
        await self._gate.pace.wait()
        return prepared

    async def _inputs(self) -> Request:
        """Fetch what the caller gave as URLs; only now can those pictures be held against the limits."""
        request, model = self._recorder.task.request, self._offer.model
        if not has_urls(request):
            return request
        fetched = await self._tools.inputs.fetched(request)
        violations = [*check_limits(fetched, model), *self._adapter.check(fetched, model)]
        if violations:
            raise PrepareError(FailureReason.INVALID_FIELD, refuse_fields(violations).message)
        await self._recorder.decide(lambda status, _: with_size(status, fetched, model))
        return fetched

    def _job(self, request: Request, number: int, token: str) -> Job:
        task, as_input = self._recorder.task, self._tools.inputs.as_input
        return Job(
            request=request,
            model=self._offer.model,
            size=task.status.size,
            images=tuple(map(as_input, request.images)),
            mask=as_input(request.mask) if request.mask else None,
            reference_images=tuple(map(as_input, request.reference_images)),
            attempt_key=f"{task.task_id}-{number}",
            callback_url=self._callback_url(token),
            deadline=task.deadline,
        )

    def _callback_url(self, token: str) -> str:
        public_url = self._tools.public_url
        return f"{public_url}/callbacks/{self._offer.provider.name}/{token}" if public_url and token else ""
