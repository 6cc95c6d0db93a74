"""What is stored is read by every later version, and written as it always was."""

from imageedit_server.core.errors import FailureReason
from imageedit_server.core.failure import Failure
from imageedit_server.store import codec

STORED = (
    '{"reason":"PROVIDER_FAILED","message":"m","provider_code":"501","provider_message":"p","retryable":true}'
)


def test_a_failure_is_stored_as_in_the_first_schema() -> None:
    failure = Failure(
        reason=FailureReason.PROVIDER_FAILED,
        message="m",
        provider_code="501",
        provider_message="p",
        retryable=True,
    )
    assert codec.ERROR.load(STORED) == failure
    assert codec.ERROR.dump(failure) == STORED
    assert codec.STATUS.load(f'{{"state":"FAILED","error":{STORED}}}').error == failure
