"""What each rule set takes, as data and as refusals, before anything is sent (VENDORS §3.1)."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageedit_server.core.errors import FailureReason
from imageedit_server.core.image import Image, Transparency
from imageedit_server.core.model import MaskUse
from imageedit_server.core.model_limits import check_limits
from imageedit_server.core.options import OpenaiOptions
from imageedit_server.core.request import Input, Kind, Request
from imageedit_server.core.sizes import MAX_RATIO_PART, parse_size
from imageedit_server.providers.base import PrepareError
from imageedit_server.providers.openai import OpenaiAdapter
from imageedit_server.providers.openai.rules import rules_of
from imageedit_server.providers.openai.sizes import broken_rule, pixels_of
from tests.providers.openai.conftest import SETTINGS, MakeAdapter
from tests.providers.openai.jobs import Jobs, mask, picture
from tests.vendors.openai.server import Personality

MIB = 1024 * 1024


def gpt(make_adapter: MakeAdapter, vendor_name: str = "gpt-image-2") -> OpenaiAdapter:
    return make_adapter(models={vendor_name: vendor_name})


def named(make_adapter: MakeAdapter, personality: Personality) -> OpenaiAdapter:
    return make_adapter(**SETTINGS[personality])


def image(**facts: Any) -> Input:
    sound: dict[str, Any] = {
        "image_id": "sha256:0",
        "media_type": "image/png",
        "width": 64,
        "height": 64,
        "size_bytes": 1000,
    }
    return Input(image=Image(**sound | facts))


def violations(adapter: OpenaiAdapter, **request: Any) -> list[tuple[str, str]]:
    """Return every field that is refused, with the sentence."""
    model = adapter.models[0]
    whole = Request(
        **{"kind": Kind.EDIT_IMAGE, "model": model.name, "prompt": "x", "images": (image(),)} | request
    )
    found = [*check_limits(whole, model), *adapter.check(whole, model)]
    return [(violation.field, violation.description) for violation in found]


def fields(adapter: OpenaiAdapter, **request: Any) -> list[str]:
    return [field for field, _ in violations(adapter, **request)]


# What ListModels shows


def test_gpt_image_without_models_serves_the_newest(make_adapter: MakeAdapter) -> None:
    adapter = make_adapter()
    assert [(model.name, model.vendor_name, model.provider) for model in adapter.models] == [
        ("gpt-image-2", "gpt-image-2", "openai"),
        ("gpt-image-2.5-flare", "gpt-image-2.5-flare", "openai"),
        ("gpt-image-2.5-sunburst", "gpt-image-2.5-sunburst", "openai"),
        ("gpt-image-2.6-flare", "gpt-image-2.6-flare", "openai"),
        ("gpt-image-2.6-sunburst", "gpt-image-2.6-sunburst", "openai"),
    ]


def test_the_limits_of_gpt_image(make_adapter: MakeAdapter) -> None:
    model = make_adapter().models[0]
    assert model.kinds == {Kind.EDIT_IMAGE, Kind.MODEL_EDIT}
    assert model.option_family == "openai"
    assert (model.max_prompt_chars, model.min_images, model.max_images, model.max_n) == (32_000, 1, 16, 10)
    assert (model.mask, model.max_reference_images) == (MaskUse.OPTIONAL, 0)
    assert model.sizes == ("auto", "1024x1024", "1536x1024", "1024x1536", "WxH", "W:H")
    assert model.max_image_bytes == 20 * MIB
    assert model.media_types == ("image/png", "image/jpeg", "image/webp")


def test_the_limits_of_a_relay(make_adapter: MakeAdapter) -> None:
    model = named(make_adapter, Personality.RELAY).models[0]
    assert (model.name, model.vendor_name) == ("relay/image", "relay-image")
    assert (model.max_prompt_chars, model.max_images, model.max_n) == (32_000, 16, 10)
    assert (model.mask, model.sizes) == (MaskUse.OPTIONAL, ("WxH",))


def test_the_limits_of_dall_e_2(make_adapter: MakeAdapter) -> None:
    model = named(make_adapter, Personality.PAGE_3).models[0]
    assert (model.max_prompt_chars, model.max_images, model.max_n) == (1000, 1, 10)
    assert (model.mask, model.sizes) == (MaskUse.OPTIONAL, ("256x256", "512x512", "1024x1024"))
    assert model.max_image_bytes == 4 * MIB - 1


# dall-e-2

TRANSPARENT = {"transparency": Transparency.TRANSPARENT}
MASK = image(transparency=Transparency.TRANSPARENT)


@pytest.mark.parametrize(
    ("request_fields", "refused"),
    [
        ({"images": (image(**TRANSPARENT),)}, []),
        ({"mask": MASK}, []),
        ({"mask": MASK, "images": (image(media_type="image/jpeg"),)}, []),
        ({}, ["images[0]"]),
        ({"images": (image(transparency=Transparency.OPAQUE),)}, ["images[0]"]),
        ({"images": (image(width=65, **TRANSPARENT),)}, ["images[0]"]),
        ({"images": (image(size_bytes=4 * MIB, **TRANSPARENT),)}, ["images[0]"]),
        ({"images": (image(size_bytes=4 * MIB - 1, **TRANSPARENT),)}, []),
        ({"images": (image(**TRANSPARENT),) * 2}, ["images"]),
        ({"images": (image(size_bytes=4 * MIB, upright=False, **TRANSPARENT),)}, []),
        ({"mask": image(size_bytes=4 * MIB, **TRANSPARENT)}, []),
        ({"mask": image(width=32, height=32, **TRANSPARENT)}, ["mask"]),
        ({"mask": MASK, "prompt": "x" * 1000, "n": 10, "size": "512x512"}, []),
        ({"mask": MASK, "prompt": "x" * 1001}, ["prompt"]),
        ({"mask": MASK, "n": 11}, ["n"]),
        ({"mask": MASK, "size": "1536x1024"}, ["size"]),
        ({"mask": MASK, "size": "auto"}, []),
        ({"mask": MASK, "options": OpenaiOptions(quality="standard")}, []),
        ({"mask": MASK, "options": OpenaiOptions(quality="high")}, ["openai.quality"]),
        ({"images": (Input(url="https://pictures.example/1.png"),)}, []),
    ],
    ids=str,
)
def test_dall_e_2(make_adapter: MakeAdapter, request_fields: dict[str, Any], refused: list[str]) -> None:
    assert fields(named(make_adapter, Personality.PAGE_3), **request_fields) == refused


def test_a_model_edit_names_its_base(make_adapter: MakeAdapter) -> None:
    adapter = named(make_adapter, Personality.PAGE_3)
    base = (image(width=65),)
    assert fields(adapter, kind=Kind.MODEL_EDIT, images=base) == ["base_model_task_id"] * 2


# Options


@pytest.mark.parametrize(
    "options",
    [
        OpenaiOptions(quality="high"),
        OpenaiOptions(background="opaque"),
        OpenaiOptions(output_format="png"),
        OpenaiOptions(input_fidelity="low"),
        OpenaiOptions(output_compression=100),
        OpenaiOptions(partial_images=1),
        OpenaiOptions(moderation="low"),
    ],
    ids=str,
)
def test_a_relay_takes_no_option(make_adapter: MakeAdapter, options: OpenaiOptions) -> None:
    """Page 1 has a field for none of them; nothing is dropped in silence."""
    adapter = named(make_adapter, Personality.RELAY)
    [(field, sentence)] = violations(adapter, options=options)
    assert field in {f"openai.{name}" for name in OpenaiOptions.__dataclass_fields__}
    assert sentence == "is not taken by relay/image"


@pytest.mark.parametrize(
    ("vendor_name", "options", "refused"),
    [
        ("gpt-image-2", {}, []),
        ("gpt-image-2", {"quality": "high"}, []),
        ("gpt-image-2", {"quality": "xhigh"}, ["openai.quality"]),
        ("gpt-image-2", {"quality": "HIGH"}, ["openai.quality"]),
        ("gpt-image-2", {"quality": "standard"}, ["openai.quality"]),
        ("gpt-image-2-2026-04-21", {"quality": "max"}, ["openai.quality"]),
        ("gpt-image-2.5-flare", {"quality": "xhigh"}, []),
        ("gpt-image-2.5-sunburst-2026-09-08", {"quality": "max"}, []),
        ("gpt-image-2.6-flare", {"quality": "high"}, []),
        ("gpt-image-2.6-flare", {"quality": "xhigh"}, ["openai.quality"]),
        ("gpt-image-2.6-sunburst", {"quality": "max"}, ["openai.quality"]),
        ("gpt-image-9", {"quality": "max"}, []),
        ("gpt-image-1.5", {"quality": "max"}, ["openai.quality"]),
        ("openai/gpt-image-1.5", {"quality": "max"}, ["openai.quality"]),
        ("gpt-image-1.5", {"input_fidelity": "high"}, []),
        ("gpt-image-1", {"input_fidelity": "high"}, []),
        ("chatgpt-image-latest", {"input_fidelity": "high"}, []),
        ("gpt-image-1-mini", {"input_fidelity": "high"}, ["openai.input_fidelity"]),
        ("gpt-image-1-mini", {"input_fidelity": "low"}, []),
        ("gpt-image-1.5", {"input_fidelity": "medium"}, ["openai.input_fidelity"]),
        *(
            (name, {"input_fidelity": word}, ["openai.input_fidelity"])
            for name in (
                "gpt-image-2",
                "gpt-image-2-2026-04-21",
                "gpt-image-2.5-flare",
                "gpt-image-2.6-flare",
            )
            for word in ("low", "high")
        ),
        ("gpt-image-2", {"background": "transparent"}, []),
        ("gpt-image-2", {"background": "transparent", "output_format": "webp"}, []),
        ("gpt-image-2", {"background": "transparent", "output_format": "jpeg"}, ["openai.background"]),
        ("gpt-image-2", {"background": "blue"}, ["openai.background"]),
        ("gpt-image-2", {"output_format": "gif"}, ["openai.output_format"]),
        ("gpt-image-2.6-flare", {"output_format": "gif"}, ["openai.output_format"]),
        ("gpt-image-2.5-flare", {"output_format": "svg"}, ["openai.output_format"]),
        ("gpt-image-2.5-flare", {"background": "transparent"}, []),
        ("gpt-image-2.6-flare", {"background": "transparent", "output_format": "png"}, []),
        ("gpt-image-2", {"output_compression": 50, "output_format": "jpeg"}, []),
        ("gpt-image-2", {"output_compression": 0, "output_format": "webp"}, []),
        ("gpt-image-2", {"output_compression": 50, "output_format": "png"}, ["openai.output_compression"]),
        ("gpt-image-2", {"output_compression": 50}, ["openai.output_compression"]),
        ("gpt-image-2", {"partial_images": 3}, []),
        ("gpt-image-2", {"moderation": "low"}, []),
        ("gpt-image-1.5", {"moderation": "auto"}, []),
        ("gpt-image-2.6-flare", {"moderation": "off"}, ["openai.moderation"]),
    ],
    ids=str,
)
def test_options_of_gpt_image(
    make_adapter: MakeAdapter, vendor_name: str, options: dict[str, Any], refused: list[str]
) -> None:
    assert fields(gpt(make_adapter, vendor_name), options=OpenaiOptions(**options)) == refused


def test_only_a_single_picture_is_streamed(make_adapter: MakeAdapter) -> None:
    """The vendor answers 400, "Streaming is only supported with n=1."."""
    assert violations(make_adapter(), n=2, options=OpenaiOptions(partial_images=1)) == [
        ("openai.partial_images", "needs n 1, not 2: only a single picture is sent in parts")
    ]


# Sizes


@pytest.mark.parametrize(
    ("size", "broken"),
    [
        ("", ""),
        ("auto", ""),
        ("1024x1024", ""),
        ("1536x864", ""),
        ("3840x2160", ""),
        ("2160x3840", ""),
        ("2880x2880", ""),
        ("3072x1024", ""),
        ("1024x3072", ""),
        ("4:3", ""),
        ("21:9", ""),
        ("3:1", ""),
        ("1000x1000", "divisible by 16"),
        ("1024x1000", "divisible by 16"),
        ("3088x1024", "between 1:3 and 3:1"),
        ("4:1", "between 1:3 and 3:1"),
        ("1:4", "between 1:3 and 3:1"),
        ("3856x2048", "no side above 3840"),
        ("3840x2176", "no side above 3840"),
        ("2896x2880", "no side above 3840"),
        ("1024x640", ""),
        ("1024x624", "at least 655360 pixels"),
        ("800x800", "at least 655360 pixels"),
        ("512x512", "at least 655360 pixels"),
        ("64x64", "at least 655360 pixels"),
    ],
)
def test_flexible_sizes(make_adapter: MakeAdapter, size: str, broken: str) -> None:
    found = violations(make_adapter(), size=size)
    assert [field for field, _ in found] == (["size"] if broken else [])
    assert all(broken in sentence for _, sentence in found)


@pytest.mark.parametrize("size", ["1536x864", "4:3", "512x512"])
def test_older_models_take_three_sizes_only(make_adapter: MakeAdapter, size: str) -> None:
    assert fields(gpt(make_adapter, "gpt-image-1.5"), size=size) == ["size"]
    assert fields(gpt(make_adapter, "gpt-image-1.5"), size="1536x1024") == []


def test_a_relay_takes_any_pixels_and_no_ratio(make_adapter: MakeAdapter) -> None:
    """Only the caller knows which pixels the model behind it takes."""
    adapter = named(make_adapter, Personality.RELAY)
    assert fields(adapter, size="1000x700") == []
    assert fields(adapter, size="4:3") == ["size"]


parts = st.integers(min_value=1, max_value=MAX_RATIO_PART)


@given(parts, parts)
def test_a_ratio_becomes_pixels_of_exactly_that_ratio(width: int, height: int) -> None:
    """And they keep every rule, the vendor's smallest number of pixels too."""
    ratio = parse_size(f"{width}:{height}")
    assert ratio is not None
    if broken_rule(ratio):
        assert max(width, height) > 3 * min(width, height)
        return
    pixels = parse_size(pixels_of(ratio))
    assert pixels is not None
    assert pixels.width * height == pixels.height * width
    assert not broken_rule(pixels)
    assert pixels.width * pixels.height >= 655_360


@pytest.mark.parametrize(
    ("ratio", "pixels"),
    [("1:1", "1024x1024"), ("3:2", "1536x1024"), ("4:6", "1024x1536"), ("16:9", "1792x1008")],
)
def test_the_sizes_of_common_ratios(ratio: str, pixels: str) -> None:
    shape = parse_size(ratio)
    assert shape is not None
    assert pixels_of(shape) == pixels


# Pictures that came by URL are known only when the job is prepared


async def test_a_fetched_picture_is_held_against_the_rules(make_adapter: MakeAdapter, jobs: Jobs) -> None:
    adapter = named(make_adapter, Personality.PAGE_3)
    job = jobs.make(adapter, picture(size=(64, 48)), mask=mask(size=(64, 48)))
    fetched = replace(
        job, request=replace(job.request, images=(Input(url="https://pictures.example/1.png"),))
    )
    with pytest.raises(PrepareError) as raised:
        await adapter.prepare(fetched)
    assert raised.value.failure.reason is FailureReason.INVALID_FIELD
    assert raised.value.failure.message == "images[0] is 64x48; relay/dall-e-2 takes square pictures only"


@pytest.mark.parametrize(
    ("vendor_name", "day"),
    [
        ("gpt-image-1", "2026-10-23"),
        ("gpt-image-1.5", "2026-12-01"),
        ("gpt-image-1-mini", "2026-12-01"),
        ("chatgpt-image-latest", "2026-12-01"),
        ("gpt-image-2", None),
        ("gpt-image-2.6-flare", None),
        ("unheard-of", None),
    ],
)
def test_models_say_when_the_vendor_ends_them(
    make_adapter: MakeAdapter, vendor_name: str, day: str | None
) -> None:
    [model] = gpt(make_adapter, vendor_name).models
    assert model.shutdown_date == (date.fromisoformat(day) if day else None)


def test_a_relay_s_models_may_outlive_those_of_their_name(make_adapter: MakeAdapter) -> None:
    [model] = named(make_adapter, Personality.PAGE_3).models
    assert model.shutdown_date is None


def test_every_family_has_rules() -> None:
    assert rules_of("gpt-image", "gpt-image-1-mini") is not rules_of("gpt-image", "gpt-image-1")
    assert rules_of("gpt-image", "gpt-image-2") is rules_of("gpt-image", "gpt-image-2-2026-04-21")
    assert rules_of("gpt-image", "unheard-of") is rules_of("gpt-image", "gpt-image-2.5-flare")
