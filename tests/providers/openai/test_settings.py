"""The settings of an account: what may be left out, and what stops the start."""

from typing import Any

import pytest
from pydantic import ValidationError

from imageedit_server.providers.openai import OpenaiProviderOptions

KEY = "sk-openai-test-key"


def options(**given: Any) -> OpenaiProviderOptions:
    return OpenaiProviderOptions(**{"adapter": "openai", "api_key": KEY, **given})


def test_a_key_is_all_that_openai_needs() -> None:
    made = options()
    assert (made.base_url, made.path) == ("https://api.openai.com", "/v1/images/edits")
    assert (made.rules, made.submit_seconds) == ("gpt-image", 600)
    assert list(made.served_models()) == [
        "gpt-image-2",
        "gpt-image-2.5-flare",
        "gpt-image-2.5-sunburst",
        "gpt-image-2.6-flare",
        "gpt-image-2.6-sunburst",
    ]


def test_an_empty_base_url_is_openai_s() -> None:
    assert options(base_url="").base_url == "https://api.openai.com"


def test_the_settings_of_the_design() -> None:
    """The example of DESIGN §6."""
    made = options(
        base_url="https://relay.example.com",
        path="/v1/images/edits/",
        rules="dall-e-2",
        models={"relay/dall-e-2": "dall-e-2"},
    )
    assert made.served_models() == {"relay/dall-e-2": "dall-e-2"}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"api_key": ""}, "api_key is missing"),
        ({"api_key": "sk-one\nsk-two"}, "api_key has characters"),
        ({"api_key": "sk-密钥"}, "api_key has characters"),
        ({"rules": "relay"}, "models is missing; the rule set relay has no models of its own"),
        ({"rules": "dall-e-2"}, "models is missing"),
        ({"rules": "dall-e-3"}, "Input should be 'relay', 'dall-e-2' or 'gpt-image'"),
        ({"path": "v1/images/edits"}, "must be an absolute path"),
        ({"path": "/v1/images edits"}, "must be an absolute path"),
        ({"models": {"": "dall-e-2"}}, "needs a name on both sides"),
        ({"models": {"relay/dall-e-2": ""}}, "needs a name on both sides"),
        ({"response_format": "png"}, "Input should be"),
        ({"submit_seconds": 0}, "greater than 0"),
        ({"modles": {}}, "Extra inputs are not permitted"),
    ],
    ids=str,
)
def test_what_stops_the_start(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError) as raised:
        options(**given)
    assert sentence in raised.value.errors()[0]["msg"]


def test_an_account_that_is_switched_off_needs_nothing() -> None:
    assert not OpenaiProviderOptions(adapter="openai", enabled=False, rules="relay").enabled


def test_the_key_is_not_shown() -> None:
    assert KEY not in repr(options())
    assert KEY not in str(options())
