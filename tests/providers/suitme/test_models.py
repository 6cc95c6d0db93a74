"""The model and the settings (DESIGN §2, §6, vendor page 0)."""

import pytest
from pydantic import ValidationError

from imageedit_server.core.model import Model
from imageedit_server.core.model_limits import check_limits
from imageedit_server.core.request import Kind
from imageedit_server.core.sizing import with_size
from imageedit_server.core.task import Status
from imageedit_server.outbound.client import ApiClient
from imageedit_server.providers.base import Context
from imageedit_server.providers.suitme import SuitmeAdapter, SuitmeOptions
from tests.providers.adapters import TRUST, StandingClock, ThreadWorkers
from tests.providers.suitme.conftest import MakeAdapter
from tests.providers.suitme.jobs import Jobs

MIB = 1024 * 1024
NEEDED = {"adapter": "suitme", "base_url": "https://studio.example.com", "api_key": "a-key"}


def test_the_model_is_that_of_the_page(adapter: SuitmeAdapter) -> None:
    assert list(adapter.models) == [
        Model(
            name="suitme/model-edit",
            provider="suitme",
            kinds=frozenset({Kind.DEFAULT_MODEL, Kind.MODEL_EDIT}),
            max_prompt_chars=32_000,
            sizes=("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9"),
            default_size="4:3",
            max_n=1,
            max_image_bytes=20 * MIB,
            makes_fit=True,
            media_types=("image/png", "image/jpeg", "image/webp"),
        )
    ]


def test_the_model_is_named_after_its_provider(make_adapter: MakeAdapter) -> None:
    [model] = make_adapter(provider="studio", max_image_bytes=7).models
    assert (model.name, model.provider, model.max_image_bytes) == ("studio/model-edit", "studio", 7)


def test_it_edits_what_it_made_itself(adapter: SuitmeAdapter) -> None:
    assert adapter.edits_own_bases_only


def test_a_request_without_a_size_gets_the_vendors(jobs: Jobs) -> None:
    for job in (jobs.default_model(), jobs.edit("task_1")):
        status = with_size(Status(), job.request, job.model)
        assert (status.size, status.warnings) == ("4:3", ())


def test_its_requests_are_within_the_limits(adapter: SuitmeAdapter, jobs: Jobs) -> None:
    for job in (jobs.default_model(), jobs.edit("task_1")):
        assert [*check_limits(job.request, job.model), *adapter.check(job.request, job.model)] == []


# Settings


def test_the_defaults() -> None:
    options = SuitmeOptions.model_validate(NEEDED)
    assert options.model_dump(exclude={"api_key"}) == {
        "adapter": "suitme",
        "enabled": True,
        "base_url": "https://studio.example.com",
        "poll_seconds": (5, 5, 10),
        "submit_seconds": 30,
        "max_submits": "",
        "concurrency": 50,
        "max_image_bytes": 20 * MIB,
    }


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        ({"base_url": ""}, "base_url"),
        ({"api_key": ""}, "api_key"),
        ({"api_key": "hidden\n"}, "api_key"),
        ({"api_key": "hidden key"}, "api_key"),
        ({"api_key": "ключ"}, "api_key"),
        ({"submit_seconds": 0}, "submit_seconds"),
        ({"max_image_bytes": 0}, "max_image_bytes"),
        ({"path": "/x"}, "path"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, object], where: str) -> None:
    with pytest.raises(ValidationError) as raised:
        SuitmeOptions.model_validate(NEEDED | settings)
    first = raised.value.errors()[0]
    assert first["loc"] == (where,) or first["msg"].startswith(f"Value error, {where} ")
    assert "hidden" not in str(raised.value)


@pytest.mark.parametrize("missing", ["base_url", "api_key"])
def test_a_missing_setting_is_named(missing: str) -> None:
    with pytest.raises(ValidationError, match=f"{missing} is missing"):
        SuitmeOptions.model_validate({name: value for name, value in NEEDED.items() if name != missing})


def test_secrets_are_masked(adapter: SuitmeAdapter) -> None:
    assert "a-key" not in repr(SuitmeOptions.model_validate(NEEDED))


def test_the_adapter_calls_nobody_when_it_is_made() -> None:
    connected = []

    def connect(base_url: str, headers: object) -> ApiClient:
        connected.append(base_url)
        return ApiClient(base_url, {}, trust=TRUST)

    context = Context(provider="suitme", clock=StandingClock(), workers=ThreadWorkers(), connect=connect)
    SuitmeAdapter(SuitmeOptions.model_validate(NEEDED), context)
    assert connected == ["https://studio.example.com"]
