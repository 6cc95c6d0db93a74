"""From what gRPC says to what callers catch."""

import grpc
import pytest

import imageedit_client
from imageedit_client import AsyncClient, Client, FieldViolation, ImageEditError, InvalidArgument, errors

CASES = [
    ("INVALID_ARGUMENT", "IMAGE_TOO_LARGE", errors.InvalidArgument),
    ("NOT_FOUND", "TASK_NOT_FOUND", errors.NotFound),
    ("FAILED_PRECONDITION", "BASE_MODEL_ELSEWHERE", errors.FailedPrecondition),
    ("FAILED_PRECONDITION", "BASE_MODEL_NOT_READY", errors.NotReady),
    ("FAILED_PRECONDITION", "SOURCE_NOT_READY", errors.NotReady),
    ("FAILED_PRECONDITION", "REQUEST_ID_REUSED", errors.RequestIdReused),
    ("OUT_OF_RANGE", "SEQ_OUT_OF_RANGE", errors.OutOfRange),
    ("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", errors.ResourceExhausted),
    ("RESOURCE_EXHAUSTED", "SLOW_CONSUMER", errors.SlowConsumer),
    ("UNAUTHENTICATED", "CREDENTIALS_MISSING", errors.Unauthenticated),
    ("PERMISSION_DENIED", "NOT_ALLOWED", errors.PermissionDenied),
    ("UNAVAILABLE", "STORE_BUSY", errors.Unavailable),
    ("DEADLINE_EXCEEDED", "", errors.DeadlineExceeded),
    ("DATA_LOSS", "IMAGE_CORRUPT", errors.DataLoss),
    ("INTERNAL", "INTERNAL_ERROR", errors.Internal),
    ("UNIMPLEMENTED", "", ImageEditError),
    ("INVALID_ARGUMENT", "A_REASON_OF_TOMORROW", errors.InvalidArgument),
]


class FakeError(grpc.RpcError):
    """What both faces' errors have in common."""

    def __init__(self, code, trailers=()):
        self._code, self._trailers = code, trailers

    def code(self):
        return self._code

    def details(self):
        return "a message"

    def trailing_metadata(self):
        return self._trailers


@pytest.mark.parametrize(("code", "reason", "kind"), CASES)
def test_code_and_reason_choose_the_class(say, code, reason, kind):
    """The most specific row wins; an unknown reason falls to its code, an unknown code to the base."""
    status = say.Refusal(code=grpc.StatusCode[code], reason=reason).status()
    error = errors.translated(FakeError(status.code, status.trailing_metadata))
    assert type(error) is kind
    assert (error.code, error.reason) == (grpc.StatusCode[code], reason)


def test_every_row_of_the_table_is_tested():
    """The cases above know all classes of the table."""
    assert {kind for _, _, kind in CASES} >= set(errors.TABLE.values())


def test_every_error_is_exported():
    """What can be raised can be caught without reaching into modules."""
    raised = {*errors.TABLE.values(), errors.TaskFailed, ImageEditError}
    assert {kind.__name__ for kind in raised} <= set(imageedit_client.__all__)


def test_all_names_are_there():
    """__all__ promises nothing that is missing."""
    assert [name for name in imageedit_client.__all__ if not hasattr(imageedit_client, name)] == []


@pytest.mark.parametrize("trailers", [None, (), (("grpc-status-details-bin", b"\xff not a status"),)])
def test_odd_details_never_hide_the_error(trailers):
    """A proxy may drop or break the rich details."""
    error = errors.translated(FakeError(grpc.StatusCode.NOT_FOUND, trailers))
    assert type(error) is errors.NotFound
    assert str(error) == "a message"


async def test_both_faces_carry_the_rich_details(server, say):
    """Field violations and the delay of RetryInfo arrive over a real wire, in both faces alike."""
    refusal = say.Refusal(
        code=grpc.StatusCode.INVALID_ARGUMENT,
        reason="URL_REFUSED",
        fields={"images[0].url": "The URL must be https."},
        retry_seconds=2.5,
    )
    server.on("GetTask", refusal, refusal)
    async with AsyncClient(server.address) as client:
        with pytest.raises(InvalidArgument) as one:
            await client.get("task_1")
    with Client(server.address) as sync_client, pytest.raises(InvalidArgument) as other:
        sync_client.get("task_1")
    for error in (one.value, other.value):
        violation = FieldViolation(field="images[0].url", description="The URL must be https.")
        assert error.field_violations == (violation,)
        assert (error.reason, error.retry_after) == ("URL_REFUSED", 2.5)
        assert str(error) == "images[0].url: The URL must be https."
        assert isinstance(error.__cause__, grpc.RpcError)
