"""The models, the settings and the account (DESIGN §6, vendor pages 2 and 4)."""

import socket
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from imageedit_server.core.errors import Violation
from imageedit_server.core.model import MaskUse, Model
from imageedit_server.core.model_limits import check_limits
from imageedit_server.core.options import IdeogramOptions
from imageedit_server.core.request import Input, Kind
from imageedit_server.providers.kie import KieAdapter
from imageedit_server.providers.kie.adapter import KieOptions
from imageedit_server.providers.kie.answers import CreditsUnknown
from tests.providers.kie.conftest import MakeAdapter
from tests.providers.kie.jobs import Jobs, picture
from tests.vendors.kie.behaviours import BROKEN_WIRES, UNREADABLE, Behaviour, page, rewrites, says
from tests.vendors.kie.server import KieVendor

MIB = 1024 * 1024
MEDIA_TYPES = ("image/png", "image/jpeg", "image/webp")


def test_the_models_are_those_of_the_pages(adapter: KieAdapter) -> None:
    assert list(adapter.models) == [
        Model(
            name="seedream/4.5-edit",
            vendor_name="seedream/4.5-edit",
            provider="kie",
            kinds=frozenset({Kind.EDIT_IMAGE, Kind.MODEL_EDIT}),
            option_family="seedream",
            max_prompt_chars=3000,
            min_images=1,
            max_images=14,
            sizes=("1:1", "4:3", "3:4", "16:9", "9:16", "2:3", "3:2", "21:9"),
            max_image_bytes=10 * MIB,
            makes_fit=True,
            media_types=MEDIA_TYPES,
        ),
        Model(
            name="ideogram/character-edit",
            vendor_name="ideogram/character-edit",
            provider="kie",
            kinds=frozenset({Kind.EDIT_IMAGE}),
            option_family="ideogram",
            max_prompt_chars=5000,
            min_images=1,
            max_images=1,
            max_reference_images=1,
            mask=MaskUse.REQUIRED,
            max_n=4,
            max_image_bytes=10 * MIB,
            makes_fit=True,
            media_types=MEDIA_TYPES,
        ),
    ]


@pytest.mark.parametrize("count", [0, 2])
def test_character_edit_takes_exactly_one_reference(adapter: KieAdapter, jobs: Jobs, count: int) -> None:
    """Page 4: required, and all but the first are ignored, which would drop a picture in silence."""
    job = jobs.character()
    one = Input(image=jobs.input(picture()).image)
    request = replace(job.request, reference_images=(one,) * count, mask=None)
    found = [*check_limits(request, job.model), *adapter.check(request, job.model)]
    assert [violation.field for violation in found if violation.field != "mask"] == ["reference_images"]


def test_one_reference_is_right(adapter: KieAdapter, jobs: Jobs) -> None:
    job = jobs.character()
    one = Input(image=jobs.input(picture()).image)
    assert adapter.check(replace(job.request, reference_images=(one,)), job.model) == ()


def test_the_violation_names_field_and_limit(adapter: KieAdapter, jobs: Jobs) -> None:
    job = jobs.character()
    assert adapter.check(job.request, job.model) == (
        Violation(field="reference_images", description="has 0 pictures; ideogram/character-edit needs 1"),
    )


def test_seedream_has_no_rule_beyond_its_limits(adapter: KieAdapter, jobs: Jobs) -> None:
    job = jobs.seedream()
    assert adapter.check(job.request, job.model) == ()


# The table of models


def test_a_new_model_of_a_known_family_is_a_line_of_configuration(make_adapter: MakeAdapter) -> None:
    lite = "seedream/5-lite-image-to-image"
    served = {
        lite: lite,
        "our/pro": "seedream/5-pro-image-to-image",
        "our/6": "seedream/6-edit",
        "our/v3": "ideogram/v3-edit",
    }
    found = {model.name: model for model in make_adapter(models=served).models}
    assert {name: model.vendor_name for name, model in found.items()} == served
    assert (found[lite].max_prompt_chars, found[lite].max_images) == (3000, 14)
    assert (found["our/pro"].max_prompt_chars, found["our/pro"].max_images) == (5000, 10)
    assert (found["our/6"].max_prompt_chars, found["our/6"].max_images) == (3000, 10)
    assert {found[name].option_family for name in (lite, "our/pro", "our/6")} == {"seedream"}
    v3 = found["our/v3"]
    assert (v3.mask, v3.max_reference_images, v3.max_n) == (MaskUse.REQUIRED, 0, 1)
    assert (v3.option_family, v3.sizes) == ("ideogram", ())


@pytest.mark.parametrize("style", ["AUTO", "FICTION"])
def test_a_style_is_refused_where_the_vendor_has_none(make_adapter: MakeAdapter, style: str) -> None:
    adapter = make_adapter(models={"our/v3": "ideogram/v3-edit"})
    job = Jobs(adapter).masked("our/v3", options=IdeogramOptions(style=style))
    refused = (
        [] if style == "AUTO" else [Violation(field="ideogram.style", description="is not taken by our/v3")]
    )
    assert list(adapter.check(job.request, job.model)) == refused


# Settings


def test_the_defaults() -> None:
    options = KieOptions.model_validate({"adapter": "kie", "api_key": "a-key"})
    expected = {
        "adapter": "kie",
        "enabled": True,
        "base_url": "https://api.kie.ai",
        "upload_url": "https://kieai.redpandaai.co",
        "mask_edit_color": "black",
        "nsfw_checker": None,
        "poll_seconds": (2.5, 7, 20),
        "submit_seconds": 30,
        "max_submits": "18/10s",
        "concurrency": 50,
    }
    assert {name: getattr(options, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        ({}, "api_key"),
        ({"api_key": ""}, "api_key"),
        ({"api_key": "hidden\n"}, "api_key"),
        ({"api_key": "ключ"}, "api_key"),
        ({"api_key": "k", "mask_edit_color": "grey"}, "mask_edit_color"),
        ({"api_key": "k", "max_submit": "1/s"}, "max_submit"),
        ({"api_key": "k", "models": {"": "seedream/4.5-edit"}}, "models"),
        ({"api_key": "k", "models": {"our/4.5": ""}}, "models"),
        ({"api_key": "k", "models": {"our/flux": "flux-2/pro-image-to-image"}}, "models"),
        ({"api_key": "k", "models": {"our/text": "seedream/4.5-text-to-image"}}, "models"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], where: str) -> None:
    with pytest.raises(ValidationError) as raised:
        KieOptions.model_validate({"adapter": "kie", **settings})
    first = raised.value.errors()[0]
    assert first["loc"] == (where,) or first["msg"].startswith(f"Value error, {where} ")
    assert "hidden" not in str(raised.value)


def test_secrets_are_masked(vendor: KieVendor) -> None:
    secrets = {"api_key": vendor.api_key, "callback_hmac_key": vendor.webhook_key}
    options = KieOptions.model_validate({"adapter": "kie", **secrets})
    assert vendor.api_key not in repr(options)
    assert vendor.webhook_key not in repr(options)


def test_a_model_of_no_known_family_is_told_which_there_are() -> None:
    with pytest.raises(ValidationError, match=r"'flux-2/pro' is of no family .* ideogram/v3-edit"):
        KieOptions.model_validate({"adapter": "kie", "api_key": "k", "models": {"our/flux": "flux-2/pro"}})


# Credits


async def test_credits(adapter: KieAdapter, vendor: KieVendor) -> None:
    vendor.balance = 5916.25
    assert await adapter.credits() == 5916.25


@pytest.mark.parametrize(
    "behaviour",
    [
        *UNREADABLE,
        says(401),
        says(500),
        page(502),
        rewrites("text", lambda body: body | {"data": "5916.25"}),
        rewrites("true", lambda body: body | {"data": True}),
        BROKEN_WIRES[5],
    ],
    ids=lambda behaviour: behaviour.name,
)
async def test_credits_that_cannot_be_read(
    adapter: KieAdapter, vendor: KieVendor, behaviour: Behaviour
) -> None:
    vendor.misbehave("credit", behaviour)
    with pytest.raises(CreditsUnknown, match=r"^[A-Z].*\.$"):
        await adapter.credits()


async def test_credits_of_nobody(make_adapter: MakeAdapter) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(CreditsUnknown):
        await make_adapter(base_url=f"http://127.0.0.1:{port}").credits()
