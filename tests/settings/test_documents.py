"""docs/settings.md is what the models are: every setting with its default and what it may be."""

import re
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from imageedit_server.providers.base import ProviderOptions
from imageedit_server.providers.registry import ADAPTERS
from imageedit_server.settings import Settings, load_settings
from imageedit_server.settings.complaints import range_of

PAGE = (Path(__file__).parents[2] / "docs" / "settings.md").read_text()
BLOCKS = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
SECTION = re.compile(r"\[(\S+)\]")
LINE = re.compile(r"(?P<unset># )?(?P<name>\w+) = (?P<value>.+?)(?: +# (?P<comment>.+))?")
EXAMPLES = {("suitme", "base_url")}
"""What has no default, so that the page shows an example."""


@dataclass(frozen=True)
class Written:
    """One line of the page; ``value`` is None where it is not set."""

    value: Any
    comment: str


def _written() -> Iterator[tuple[str, str, Written]]:
    section = ""
    for line in "\n".join(BLOCKS).splitlines():
        if found := SECTION.match(line):
            section = found[1]
        elif found := LINE.fullmatch(line):
            value = None if found["unset"] else tomllib.loads(f"v = {found['value']}")["v"]
            yield section, found["name"], Written(value, found["comment"] or "")


WRITTEN: Mapping[tuple[str, str], Written] = {
    (section, name): written for section, name, written in _written()
}


def _settings() -> Iterator[tuple[str, str, FieldInfo]]:
    for section, holder in Settings.model_fields.items():
        if section != "providers":
            assert isinstance(holder.annotation, type)
            assert issubclass(holder.annotation, BaseModel)
            yield from ((section, name, field) for name, field in holder.annotation.model_fields.items())
    yield from (("providers.NAME", name, field) for name, field in ProviderOptions.model_fields.items())
    for adapter, kind in ADAPTERS.items():
        for name, field in kind.Options.model_fields.items():
            common = ProviderOptions.model_fields.get(name)
            if common is None or common.default != field.default or field.annotation != common.annotation:
                yield f"providers.{adapter}", name, field


SETTINGS = {f"{section}.{name}": (section, name, field) for section, name, field in _settings()}


@pytest.mark.parametrize("key", SETTINGS)
def test_a_setting_is_written_with_its_default_and_its_range(key: str) -> None:
    section, name, field = SETTINGS[key]
    if field.annotation is SecretStr:
        assert {(section, name), (section, f"{name}_env")} & WRITTEN.keys()
        return
    written = WRITTEN[section, name]
    if not field.is_required():
        assert (section.partition(".")[2], name) in EXAMPLES or written.value == _default(field)
    assert written.comment.startswith(range_of(field))


@pytest.mark.parametrize(
    "key", [key for key, (*_, field) in SETTINGS.items() if get_origin(field.annotation) is Literal]
)
def test_every_word_that_a_setting_may_be_is_written(key: str) -> None:
    section, name, field = SETTINGS[key]
    written = WRITTEN[section, name]
    for word in get_args(field.annotation):
        assert f'"{word}"' in f'"{written.value}" {written.comment}'


def test_nothing_is_written_that_is_not_there() -> None:
    """The page as a file is what a server takes, with the example of a relay and keys in the environment."""
    text = "\n".join(block for block in BLOCKS if "providers.NAME" not in block)
    text = text.replace("# nsfw_checker", "nsfw_checker")
    config = tomllib.loads(text)
    environment = {
        table["api_key_env"]: "k" for table in config["providers"].values() if "api_key_env" in table
    }
    loaded = _load(text, environment)
    assert set(loaded.providers) == {*ADAPTERS, "relay"}
    common = {name for section, name in WRITTEN if section == "providers.NAME"}
    assert common == ProviderOptions.model_fields.keys()


def _load(text: str, environment: dict[str, str]) -> Settings:
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        return load_settings(Path(file.name), environment, {})


def _default(field: FieldInfo) -> Any:
    """As TOML writes it."""
    match field.get_default(call_default_factory=True):
        case Path() as path:
            return f"./{path}" if path == Path("data") else str(path)
        case tuple() as several:
            return list(several)
        case default:
            return default
