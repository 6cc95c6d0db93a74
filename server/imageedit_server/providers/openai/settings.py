"""What an operator writes for one account at OpenAI or at a relay (DESIGN §6)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from imageedit_server.providers.base import ProviderOptions, Seconds
from imageedit_server.providers.openai.rules import GPT_IMAGE, RuleSetName

BASE_URL = "https://api.openai.com"
GPT_IMAGE_MODELS = MappingProxyType(
    {
        name: name
        for name in (
            "gpt-image-2",
            "gpt-image-2.5-flare",
            "gpt-image-2.5-sunburst",
            "gpt-image-2.6-flare",
            "gpt-image-2.6-sunburst",
        )
    }
)
"""Those of VENDORS §3.5 that nobody has announced the end of."""


class OpenaiProviderOptions(ProviderOptions):
    """``models`` is public id = vendor's name, and may be left out for the rule set gpt-image alone.

    The call answers only when the pictures are made, hence the long ``submit_seconds``.
    """

    needs_key: ClassVar[bool] = True
    base_url: str = BASE_URL
    path: str = "/v1/images/edits"
    """Joined to ``base_url`` as it is: vendor page 3 has a slash at its end."""
    rules: RuleSetName = GPT_IMAGE
    models: Mapping[str, str] = Field(default_factory=dict)
    response_format: Literal["", "b64_json", "url"] = "b64_json"
    """How results come, where the rule set lets it be chosen; empty leaves it to the vendor."""
    submit_seconds: Seconds = 600

    @field_validator("base_url")
    @classmethod
    def _default_base_url(cls, base_url: str) -> str:
        return base_url or BASE_URL

    @field_validator("path")
    @classmethod
    def _check_path(cls, path: str) -> str:
        if not path.startswith("/") or not path.isascii() or not path.isprintable() or " " in path:
            raise ValueError("must be an absolute path, such as /v1/images/edits")
        return path

    @field_validator("models")
    @classmethod
    def _check_models(cls, models: Mapping[str, str]) -> Mapping[str, str]:
        if not all(public and vendor for public, vendor in models.items()):
            raise ValueError('needs a name on both sides: "relay/dall-e-2" = "dall-e-2"')
        return models

    @model_validator(mode="after")
    def _check_served(self) -> Self:
        if self.enabled and not self.served_models():
            raise ValueError(
                f"models is missing; the rule set {self.rules} has no models of its own, so name them:"
                ' models = {"my/name" = "the vendor\'s name"}'
            )
        return self

    def served_models(self) -> Mapping[str, str]:
        """Return the vendor's name of each model, by its public id."""
        return self.models or (GPT_IMAGE_MODELS if self.rules == GPT_IMAGE else {})
