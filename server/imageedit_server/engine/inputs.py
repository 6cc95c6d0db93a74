"""Inputs: what a task starts from, fetched and verified where the caller gave a URL."""

import errno
from dataclasses import replace
from functools import partial

from imageedit_server.core.errors import Code, FailureReason, Reason, Refusal
from imageedit_server.core.image import Image
from imageedit_server.core.request import Input, Request
from imageedit_server.images.library import ImageLibrary
from imageedit_server.outbound.fetch import FetchFailed, GuardedFetch, UrlRefused
from imageedit_server.providers.base import InputImage, NotProcessed, PrepareError
from imageedit_server.providers.outcomes import not_processed

FETCH_SECONDS = 60.0
_CANNOT_BE_READ = "A stored picture cannot be read just now."


class Inputs:
    """Brings a request's pictures to where adapters can read them."""

    def __init__(self, library: ImageLibrary, fetch: GuardedFetch, *, max_bytes: int) -> None:
        self._library = library
        self._fetch = fetch
        self._max_bytes = max_bytes

    async def fetched(self, request: Request) -> Request:
        """Return the request with every URL replaced by its picture. Raises ``PrepareError``."""
        return replace(
            request,
            images=tuple([await self._input(given) for given in request.images]),
            mask=await self._input(request.mask) if request.mask else None,
            reference_images=tuple([await self._input(given) for given in request.reference_images]),
        )

    def as_input(self, given: Input) -> InputImage:
        """Return a fetched input as adapters get it."""
        assert given.image is not None
        return InputImage(image=given.image, read=partial(self._bytes, given.image))

    async def _bytes(self, image: Image) -> bytes:
        try:
            return await self._library.content(image)
        except OSError as error:  # no descriptor to be had, and the like
            raise not_processed(FailureReason.INPUT_FETCH_FAILED, _CANNOT_BE_READ) from error
        except Refusal as refusal:
            if refusal.reason is Reason.IMAGE_CORRUPT and not _may_pass(refusal.__cause__):
                raise PrepareError(FailureReason.IMAGE_UNDECODABLE, "A stored picture is damaged.") from None
            raise not_processed(FailureReason.INPUT_FETCH_FAILED, refusal.message) from None

    async def _input(self, given: Input) -> Input:
        return Input(image=await self._picture(given.url)) if given.image is None else given

    async def _picture(self, url: str) -> Image:
        try:
            async with self._fetch.open(
                url, max_bytes=self._max_bytes, limit_seconds=FETCH_SECONDS
            ) as fetched:
                return await self._library.add(fetched.chunks(), field="The picture behind the URL")
        except UrlRefused as refused:
            raise PrepareError(FailureReason.URL_REFUSED, str(refused)) from None
        except FetchFailed as failed:  # the caller's server; one that is down is not worth a task's deadline
            raise PrepareError(FailureReason.INPUT_FETCH_FAILED, str(failed)) from None
        except Refusal as refusal:
            raise _unusable(refusal) from None


def _may_pass(cause: BaseException | None) -> bool:
    """Whether a picture is there all the same: the disk did not give it this time. Nothing is paid yet."""
    return isinstance(cause, OSError) and cause.errno != errno.ENOENT


def _unusable(refusal: Refusal) -> PrepareError | NotProcessed:
    """A picture that is refused ends the task; a full disk or a closing pool lets it wait."""
    message = f"{refusal.message}."
    if refusal.reason.code is Code.INVALID_ARGUMENT:
        return PrepareError(FailureReason(refusal.reason.name), message)
    return not_processed(FailureReason.INPUT_FETCH_FAILED, message)


def has_urls(request: Request) -> bool:
    """Whether a request has pictures that are still to be fetched."""
    given = request.inputs()
    return any(each.image is None for each in given)
