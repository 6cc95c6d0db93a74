"""Secrets: given as NAME, as NAME_env (the name of a variable that holds it) or as NAME_file."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from pydantic import BaseModel, SecretStr

from imageedit_server.settings.complaints import SettingsError

_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")


def with_secrets(
    where: str, table: Mapping[str, Any], model: type[BaseModel], environment: Mapping[str, str]
) -> dict[str, Any]:
    """Look up every secret of ``model`` that is named and not given itself."""
    filled = dict(table)
    secrets = (name for name, field in model.model_fields.items() if field.annotation is SecretStr)
    for name in secrets:
        variable = _text(f"{where}.{name}_env", filled.pop(f"{name}_env", ""))
        path = _text(f"{where}.{name}_file", filled.pop(f"{name}_file", ""))
        if filled.get(name):
            continue
        if variable:
            filled[name] = environment.get(variable) or _refuse_variable(f"{where}.{name}", variable)
        elif path:
            filled[name] = _read_secret(f"{where}.{name}_file", Path(path))
    return filled


def _refuse_variable(where: str, variable: str) -> NoReturn:
    """Name the variable only if it looks like one: it may be the secret itself."""
    shown = (
        f"the variable {variable} is not set" if _VARIABLE.fullmatch(variable) else "no such variable is set"
    )
    raise SettingsError(
        f"{where}_env: {shown}; set it, or write the secret itself as {where} or into a file as {where}_file"
    )


def _text(where: str, value: Any) -> str:
    if not isinstance(value, str):
        raise SettingsError(f"{where}: must be a text")
    return value


def _read_secret(where: str, path: Path) -> str:
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except OSError as error:  # the path is not named: it may be the secret itself
        raise SettingsError(
            f"{where}: cannot read that file: {error.strerror}; a relative path starts at {Path.cwd()}"
        ) from None
    except ValueError:
        raise SettingsError(f"{where}: that file is not a text") from None
    if not secret:
        raise SettingsError(f"{where}: that file is empty")
    return secret
