"""Paid calls of adapters under test whose vendor is a coroutine: its outcome goes the way of every answer."""

import asyncio
import pickle
from datetime import UTC, datetime
from functools import partial
from typing import Any

from imageedit_server.outbound.answers import Answer, Ended, PaidCall, Payer, Place
from imageedit_server.providers.base import Accepted, Adapter, Finished, Prepared, Report, SubmitError


class InPerson(Adapter):
    """``submit`` is what the vendor does; what came of it is written into the answer, and read from it."""

    limit_seconds: float

    @property
    def payer(self) -> Payer:  # type: ignore[override]
        return self

    def paid_call(self, prepared: Prepared, report: Report) -> PaidCall:
        return PaidCall(
            path="/", json=partial(self.submit, prepared, report), limit_seconds=self.limit_seconds
        )

    async def pay(self, call: PaidCall, place: Place | None) -> Answer:
        call_time = datetime.now(UTC)
        body = await self._said(call)
        if place is not None:
            place.head(200, {})
            place.piece(body)
            place.end(Ended.WHOLE, "")
        return Answer(
            status=200,
            headers={},
            body=body,
            ended=Ended.WHOLE,
            brief=call.brief,
            call_time=call_time,
            answer_time=datetime.now(UTC),
        )

    def understand(self, answer: Answer) -> Accepted | Finished:
        said: Any = pickle.loads(answer.body)
        if isinstance(said, tuple):
            kind, failure, facts = said
            error = kind(failure)
            vars(error).update(facts)
            raise error
        assert isinstance(said, Accepted | Finished)
        return said

    async def _said(self, call: PaidCall) -> bytes:
        try:
            async with asyncio.timeout(call.limit_seconds):
                return pickle.dumps(await call.json())
        except SubmitError as error:
            return pickle.dumps((type(error), error.failure, vars(error)))
