"""An adapter from outside: a studio that sends every picture back, for money (docs/adapters.md)."""

import base64
from typing import Any

from imageedit_server.core.model import Model
from imageedit_server.core.request import Kind
from imageedit_server.core.sizes import AUTO
from imageedit_server.outbound.answers import Answer, PaidCall
from imageedit_server.outbound.client import BadBody, read_json
from imageedit_server.outbound.inflating import reply_of
from imageedit_server.providers.base import (
    Adapter,
    Context,
    Finished,
    Job,
    Output,
    Prepared,
    ProviderOptions,
    Report,
)
from imageedit_server.providers.outcomes import ambiguous, is_told, lost, refusal_of

MIB = 1024 * 1024
MAX_ANSWER_BYTES = 64 * MIB


class EchoOptions(ProviderOptions):
    """What a table ``[providers.NAME]`` with ``adapter = "echo_studio"`` may say, beside what all may."""

    needs_key = True

    base_url: str = "https://echo.example"


class EchoAdapter(Adapter):
    """Sends a picture and its instructions; the answer is the result."""

    Options = EchoOptions

    def __init__(self, options: EchoOptions, context: Context) -> None:
        self._options = options
        self._workers = context.workers
        headers = {"Authorization": f"Bearer {options.api_key.get_secret_value()}"}
        self.payer = context.connect(options.base_url, headers)
        self.models = [
            Model(
                name=f"{context.provider}/echo",
                vendor_name="echo",
                provider=context.provider,
                kinds=frozenset({Kind.EDIT_IMAGE, Kind.MODEL_EDIT}),
                max_prompt_chars=1000,
                sizes=(AUTO,),
                max_image_bytes=20 * MIB,
            )
        ]

    async def prepare(self, job: Job) -> Prepared:
        """Write the body of the paid call: free, and the same however often it is done."""
        picture = await self._workers.run_on(job.images[0].read, base64_of)
        return Prepared(payload={"prompt": job.request.prompt, "picture": picture.decode()})

    def paid_call(self, prepared: Prepared, report: Report) -> PaidCall:
        """Describe the paid call. The engine makes it, once, and keeps what comes."""
        return PaidCall(
            path="/edits",
            json=prepared.payload,
            limit_seconds=self._options.submit_seconds,
            max_body_bytes=MAX_ANSWER_BYTES,
        )

    def understand(self, answer: Answer) -> Finished:
        """Read what came, now or once more later. What its end means is for ``providers.outcomes``."""
        reply = reply_of(answer, MAX_ANSWER_BYTES)
        if not is_told(answer):
            raise lost(answer)
        if reply.status != 200:
            raise refusal_of(reply.status)
        return Finished(outputs=(Output(content=_picture_in(reply.body)),))


def base64_of(picture: bytes) -> bytes:
    """Write a picture as base64: in a worker process, as all work on pictures is done."""
    return base64.b64encode(picture)


def _picture_in(body: bytes) -> bytes:
    try:
        said: Any = read_json(body)
        return base64.b64decode(said["picture"], validate=True)
    except (BadBody, KeyError, TypeError, ValueError) as error:
        raise ambiguous("The provider's answer has no picture.") from error
