"""The table of httpx's errors is total, and says what PROMISES §2 says."""

import httpx
import pytest

from imageedit_server.outbound.errors import MEANINGS, Broken, NotSent, classify, outbound_error

ROOTS = (
    httpx.HTTPError,
    httpx.RequestError,
    httpx.TransportError,
    httpx.InvalidURL,
    httpx.StreamError,
    httpx.CookieConflict,
)


def family(root: type[BaseException]) -> set[type[BaseException]]:
    return {root}.union(*map(family, root.__subclasses__()))


EVERY = sorted(set().union(*map(family, ROOTS)), key=lambda kind: kind.__name__)


def made(kind: type[BaseException]) -> BaseException:
    error = kind.__new__(kind)
    error.args = ("a secret in the text",)
    return error


@pytest.mark.parametrize("kind", EVERY)
def test_every_error_of_httpx_has_a_row_of_its_own(kind: type[BaseException]) -> None:
    assert kind in MEANINGS


def test_every_exception_that_httpx_exports_was_walked() -> None:
    exported = {
        each for each in vars(httpx).values() if isinstance(each, type) and issubclass(each, Exception)
    }
    assert exported <= set(EVERY)


@pytest.mark.parametrize(
    "kind",
    [
        httpx.UnsupportedProtocol,
        httpx.InvalidURL,
        httpx.ConnectError,
        httpx.ConnectTimeout,
        httpx.PoolTimeout,
    ],
)
def test_only_these_prove_that_nothing_was_sent(kind: type[BaseException]) -> None:
    assert classify(made(kind)) is NotSent
    not_sent = {each for each in EVERY if classify(made(each)) is NotSent}
    assert len(not_sent) == 5


@pytest.mark.parametrize(
    "kind",
    [
        httpx.WriteError,
        httpx.WriteTimeout,
        httpx.ReadError,
        httpx.ReadTimeout,
        httpx.RemoteProtocolError,
        httpx.LocalProtocolError,
        httpx.DecodingError,
    ],
)
def test_these_may_have_arrived(kind: type[BaseException]) -> None:
    assert classify(made(kind)) is Broken


def test_a_class_that_is_not_in_the_table_means_what_its_ancestor_means() -> None:
    class Later(httpx.ConnectError):
        pass

    class Unheard(httpx.TransportError):
        pass

    assert classify(made(Later)) is NotSent
    assert classify(made(Unheard)) is Broken


@pytest.mark.parametrize("error", [OSError("x"), RuntimeError("x"), KeyError("x"), MemoryError()])
def test_what_is_not_of_httpx_may_have_arrived(error: Exception) -> None:
    assert classify(error) is Broken


@pytest.mark.parametrize("kind", EVERY)
def test_the_message_is_ours_and_repeats_nothing(kind: type[BaseException]) -> None:
    message = str(outbound_error(made(kind)))
    assert "secret" not in message
    assert kind.__name__ not in message
    assert message.endswith(".")
