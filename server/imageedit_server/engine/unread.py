"""Answers that an earlier run left, matched with their attempts before the first claim (P31).

Before it, since a claim ends what is overdue: the facts that an answer brings come first. What they mean for
the task is decided by the run that goes on with it, or by the collector of late results.
"""

import logging
from datetime import datetime

from imageedit_server.answers.reading import Stored
from imageedit_server.core.charge import Billing
from imageedit_server.core.errors import FailureReason
from imageedit_server.core.task import Attempt, Outcome
from imageedit_server.engine.answered import head_of
from imageedit_server.engine.patience import in_the_end
from imageedit_server.engine.reading import best_of
from imageedit_server.engine.tools import Tools
from imageedit_server.outbound.answers import Answer
from imageedit_server.providers.base import Accepted, Ambiguous, Finished, Refused, SubmitError
from imageedit_server.providers.catalog import Catalog, Provider
from imageedit_server.store.answers import AnsweredAttempt, answered_attempt, learn_from_file
from imageedit_server.store.attempts import AttemptKey, Fact, VendorTaskTaken

_log = logging.getLogger(__name__)


async def match(tools: Tools, catalog: Catalog) -> list[Stored]:
    """Give every answer that was left to its attempt, and remove those that nobody needs.

    Returns the kept ones.
    """
    matched: dict[AttemptKey, AnsweredAttempt] = {}
    left = await tools.answered.open()
    for stored in left:
        if not stored.tried and (found := await _whose(stored, tools, catalog)):
            matched[found.key] = found
    for found in matched.values():
        if provider := catalog.providers.get(found.attempt.provider):
            await _learn(found, provider, tools)
    return [stored for stored in left if stored.tried]


async def _whose(stored: Stored, tools: Tools, catalog: Catalog) -> AnsweredAttempt | None:
    """Return the attempt that waits for an answer; None where none does."""
    asked, answered = stored.asked, tools.answered
    key = AttemptKey(asked.task_id, asked.attempt)
    found = await tools.database.look_up(answered_attempt, key, asked.token_sha256)
    if found is None:
        _log.warning("an answer is removed, since nobody here asked for it: task %s", asked.task_id)
        answered.drop(stored.path)
    elif _is_bad(found.attempt):
        await answered.keep_file(stored.path)
    elif _is_settled(found, catalog):
        answered.drop(stored.path)
    else:
        answered.found(key, stored.path)
        return found
    return None


def _is_bad(attempt: Attempt) -> bool:
    """Whether the answer was read, and its result found to be unusable."""
    bad = attempt.error is not None and attempt.error.reason is FailureReason.PROVIDER_BAD_RESULT
    return bad and attempt.outcome is Outcome.FAILED


def _is_settled(found: AnsweredAttempt, catalog: Catalog) -> bool:
    """Whether the answer says nothing that is not known, or brought home."""
    attempt, provider = found.attempt, catalog.providers.get(found.attempt.provider)
    named = bool(attempt.vendor_task_id) and (provider is None or provider.adapter.polls)
    return named or attempt.outcome in (Outcome.NOT_PROCESSED, Outcome.FAILED) or found.is_home


async def _learn(found: AnsweredAttempt, provider: Provider, tools: Tools) -> None:
    """Write what an answer says of its attempt, where that must not wait for the run that acts on it."""
    now = tools.clock.now()
    try:
        answer, meant = await best_of(provider.adapter, await tools.answered.read(found.key))
        await _write(found.key, fact_of(answer, meant, provider, now), tools)
    except VendorTaskTaken:
        _log.critical("%s gave one id to two attempts", provider.name)
        await tools.answered.keep(found.key)
    except OSError as error:  # the run, or the next start, tries again
        _log.warning("an answer cannot be read yet: %s", error.strerror)
    except Ambiguous:
        if found.task.status.state.terminal:
            await tools.answered.keep(found.key)
    except SubmitError as error:
        if found.task.status.state.terminal:
            await _write(found.key, _refusal(error, provider, now), tools)
            tools.answered.acted_on(found.key)
    else:
        if isinstance(meant, Accepted):
            tools.answered.acted_on(found.key)


async def _write(key: AttemptKey, fact: Fact, tools: Tools) -> None:
    await in_the_end(lambda now: tools.database.record(learn_from_file, key, fact, now), tools)


def _refusal(error: SubmitError, provider: Provider, now: datetime) -> Fact:
    outcome, billing = Outcome.NOT_PROCESSED, provider.adapter.charge.not_processed
    if isinstance(error, Refused) and error.billing is not Billing.NOT_CHARGED:
        outcome, billing = Outcome.FAILED, error.billing
    return Fact(
        outcome=outcome,
        billing=billing,
        vendor_request_id=error.ids.request_id,
        error=error.failure,
        end_time=now,
    )


def fact_of(answer: Answer, meant: Accepted | Finished, provider: Provider, now: datetime) -> Fact:
    """Return what an answer that is read later says of its attempt."""
    head = head_of(answer)
    if isinstance(meant, Accepted):
        return Fact(
            outcome=Outcome.ACCEPTED,
            vendor_task_id=meant.vendor_task_id,
            vendor_request_id=meant.vendor_request_id,
            answer=head,
            usage=meant.usage,
        )
    return Fact(
        outcome=Outcome.SUCCEEDED,
        billing=provider.adapter.charge.succeeded,
        vendor_request_id=meant.vendor_request_id,
        end_time=now,
        result_urls=tuple(output.url for output in meant.outputs if output.url),
        answer=head,
        usage=meant.usage,
    )
