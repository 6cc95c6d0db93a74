"""What an error means to a shell: one sentence on stderr and one exit code."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike

import grpc
import typer

from imageedit_client.errors import (
    DeadlineExceeded,
    ImageEditError,
    Internal,
    TaskFailed,
    Unavailable,
)

from . import words
from .output import note

DONE = 0
TASK_FAILED = 1
USAGE = 2
UNREACHABLE = 3
REFUSED = 4
INTERRUPTED = 130

# Most specific first.
CODES: tuple[tuple[type[Exception], int], ...] = (
    (TaskFailed, TASK_FAILED),
    (Unavailable, UNREACHABLE),
    (DeadlineExceeded, UNREACHABLE),
    (ImageEditError, REFUSED),
    (OSError, USAGE),
    (ValueError, USAGE),
)

REMEDIES = {
    "CREDENTIALS_MISSING": "; give a key by --api-key-file or IMAGEEDIT_API_KEY",
    "CREDENTIALS_INVALID": "; give another key by --api-key-file or IMAGEEDIT_API_KEY",
    "UNKNOWN_MODEL": "; `imageedit models` shows all",
    "TASK_NOT_FOUND": "; `imageedit list` shows yours",
}
# A hint names arguments of the library; these are the options that stand for them.
OPTION = re.compile(r"\b(tls|ca_file|cert_file|key_file)\b(=True)?")


@contextmanager
def sentences(address: str) -> Iterator[None]:
    """Turns the errors that a command can meet into a sentence and an exit code."""
    try:
        yield
    except BrokenPipeError:
        raise  # The reader of our output left: that is no news to anyone.
    except (ImageEditError, OSError, ValueError) as error:
        note(sentence(error, address))
        raise typer.Exit(code_of(error)) from error


def code_of(error: Exception) -> int:
    """The exit code of DESIGN section 6."""
    return next(code for kind, code in CODES if isinstance(error, kind))


def sentence(error: Exception, address: str) -> str:
    """What went wrong and what mends it, without internals."""
    match error:
        case TaskFailed():
            return words.ending(error.task)
        case Unavailable() | DeadlineExceeded():
            return _out_of_reach(error, address)
        case ImageEditError(hint=str() as hint) if hint:
            told = f" ({error.message})" if error.message else ""
            return f"{'refused' if error.lasting else 'the call failed'}: {_as_options(hint)}{told}"
        case ImageEditError():
            return f"{_verdict(error)}: {_words(error)}{_remedy(error)}"
        case OSError(strerror=str(), filename=str() | PathLike()):
            return f"{error.filename}: {error.strerror}"
    return str(error)


def _out_of_reach(error: ImageEditError, address: str) -> str:
    if error.reason:
        return f"the server at {address} cannot serve now: {_words(error)}"
    return f"could not reach {address}: {_as_options(error.hint) or _last_part(error.message)}"


def _verdict(error: ImageEditError) -> str:
    failed = isinstance(error, Internal) or error.code is grpc.StatusCode.UNKNOWN
    return "the server failed" if failed else "refused"


def _remedy(error: ImageEditError) -> str:
    return REMEDIES.get(error.reason, "")


def _words(error: ImageEditError) -> str:
    return str(error).rstrip(".") + (f" ({error.reason})" if error.reason else "")


def _as_options(hint: str) -> str:
    return OPTION.sub(lambda named: f"--{named[1].replace('_', '-')}", hint)


def _last_part(message: str) -> str:
    # gRPC nests: "failed to connect ...; last error: UNKNOWN: ipv4:...: Connection refused".
    return message.rstrip(". ]").rsplit(": ", 1)[-1]
