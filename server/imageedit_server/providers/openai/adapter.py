"""The adapter of OpenAI's image edits: one synchronous call, whole or streamed (vendor pages 1 and 3)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from imageedit_server.core.errors import Violation
from imageedit_server.core.model import MaskUse, Model
from imageedit_server.core.request import Kind, Request
from imageedit_server.outbound.answers import Answer, PaidCall
from imageedit_server.providers.accounts import ask_account
from imageedit_server.providers.base import (
    Adapter,
    Context,
    Finished,
    Job,
    Prepared,
    Report,
    SubmitSafety,
)
from imageedit_server.providers.openai.answers import read_answer, reply_bytes
from imageedit_server.providers.openai.asks import brief_of
from imageedit_server.providers.openai.calls import Form, prepare_call
from imageedit_server.providers.openai.checking import check_request
from imageedit_server.providers.openai.previews import onlooker_of
from imageedit_server.providers.openai.refusals import Judge
from imageedit_server.providers.openai.rules import MAX_N, MIB, Rules, rules_of
from imageedit_server.providers.openai.settings import OpenaiProviderOptions
from imageedit_server.providers.origins import at_origin

OPTION_FAMILY = "openai"
MODELS_PATH = "/v1/models"
EXPECTED_BYTES = 4 * MIB
"""Of one picture in an answer."""


class OpenaiAdapter(Adapter):
    """Serves the models of one account under one rule set. No answer can be asked for again."""

    Options = OpenaiProviderOptions
    usual_key_variable: ClassVar[str] = "OPENAI_API_KEY"
    submit_safety: ClassVar[SubmitSafety] = SubmitSafety.NONE

    def __init__(self, options: OpenaiProviderOptions, context: Context) -> None:
        key = options.api_key.get_secret_value()
        served = options.served_models().items()
        self._options = options
        self._workers = context.workers
        self._judge = Judge(secrets=(key,))
        self._client = self.payer = context.connect(options.base_url, {"Authorization": f"Bearer {key}"})
        self._rules = {public: rules_of(options.rules, vendor) for public, vendor in served}
        self.models = [
            _model(public, vendor, context.provider, self._rules[public]) for public, vendor in served
        ]

    def check(self, request: Request, model: Model) -> Sequence[Violation]:
        """Hold the request against the model's family (VENDORS §3.1)."""
        return check_request(request, self._rules[model.name], model.name)

    async def prepare(self, job: Job) -> Prepared:
        """Bring the pictures into the vendor's formats and make the form."""
        return await prepare_call(
            job, self._rules[job.model.name], self._workers, self._options.response_format
        )

    def paid_call(self, prepared: Prepared, report: Report) -> PaidCall:
        """Describe the call; where partial pictures were asked for, ``report`` gets them as they come."""
        form = prepared.payload
        assert isinstance(form, Form)
        ask = replace(form.ask, base_url=self._options.base_url)
        return PaidCall(
            path=self._options.path,
            parts=form.parts,
            limit_seconds=self._options.submit_seconds,
            max_body_bytes=reply_bytes(ask),
            expected_bytes=ask.n * EXPECTED_BYTES,
            brief=brief_of(ask),
            onlooker=onlooker_of(ask, report),
        )

    def understand(self, answer: Answer) -> Finished:
        """Return the result that the answer holds, in whatever form."""
        return at_origin(read_answer(answer, self._judge), self._options.base_url)

    async def check_account(self) -> str:
        """List the models, which OpenAI and its relays do for whoever has a key."""
        return await ask_account(self._client, MODELS_PATH)


def _model(public: str, vendor: str, provider: str, rules: Rules) -> Model:
    return Model(
        name=public,
        vendor_name=vendor,
        provider=provider,
        kinds=frozenset({Kind.EDIT_IMAGE, Kind.MODEL_EDIT}),
        option_family=OPTION_FAMILY,
        max_prompt_chars=rules.max_prompt_chars,
        max_images=rules.max_images,
        mask=MaskUse.OPTIONAL,
        sizes=rules.sizes,
        max_n=MAX_N,
        max_image_bytes=rules.max_image_bytes,
        makes_fit=True,
        shutdown_date=rules.shutdown_date,
    )
