"""One attempt of an adapter from its paid call to what it means, as the engine carries it out."""

from imageedit_server.outbound.client import NotSent
from imageedit_server.providers.base import Accepted, Adapter, Finished, Prepared, Report
from imageedit_server.providers.outcomes import paid_call_error


async def carry_out(adapter: Adapter, prepared: Prepared, report: Report) -> Accepted | Finished:
    """Make the call, once, and understand its answer, or do the free work. Raises ``SubmitError``."""
    if adapter.charge.is_free:
        return await adapter.submit(prepared, report)
    try:
        answer = await adapter.payer.pay(adapter.paid_call(prepared, report), None)
    except NotSent as error:
        raise paid_call_error(error) from error
    return adapter.understand(answer)
