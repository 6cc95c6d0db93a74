"""What answers mean, read as often as it takes: reading is free, and acts on nothing (P31)."""

import logging
from collections.abc import Sequence

from imageedit_server.outbound.answers import Answer
from imageedit_server.outbound.inflating import is_coded
from imageedit_server.providers.base import (
    Accepted,
    Adapter,
    Ambiguous,
    Finished,
    SubmitError,
)
from imageedit_server.providers.outcomes import ambiguous
from imageedit_server.runtime.threads import LONG_BYTES, work_on

_log = logging.getLogger(__name__)


async def understood(adapter: Adapter, answer: Answer) -> Accepted | Finished:
    """Return what an answer means. Raises ``SubmitError``, ``Ambiguous`` where the adapter broke off."""
    size = LONG_BYTES if is_coded(answer) else len(answer.body)
    try:
        return await work_on(size, adapter.understand, answer)
    except SubmitError:
        raise
    except Exception:  # noqa: BLE001  logged, and no error may pass for an answer
        _log.exception("an answer cannot be read")
        raise ambiguous("The provider's answer cannot be read.") from None


async def best_of(adapter: Adapter, answers: Sequence[Answer]) -> tuple[Answer, Accepted | Finished]:
    """Return the answer that says most of those to the calls of one attempt, and what it means.

    A result counts before accepted work, and that before a refusal; a refusal of one call proves nothing
    about another. Raises the ``SubmitError`` of the best one where none brought anything.
    """
    taken: list[tuple[Answer, Accepted | Finished]] = []
    errors: list[SubmitError] = []
    for answer in answers:
        try:
            taken.append((answer, await understood(adapter, answer)))
        except SubmitError as error:
            errors.append(error)
    if taken:
        return min(taken, key=lambda each: isinstance(each[1], Accepted))
    unknown = next((error for error in errors if isinstance(error, Ambiguous)), None)
    raise unknown or (errors[0] if errors else ambiguous("The provider's answer was lost."))
