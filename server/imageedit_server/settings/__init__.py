"""Every setting: its name, its default, and where it comes from (DESIGN §6)."""

from imageedit_server.settings.complaints import SettingsError
from imageedit_server.settings.loading import (
    keys_file_from_environment,
    load_keys_file,
    load_settings,
    settings_from_environment,
)
from imageedit_server.settings.sections import (
    AuthSettings,
    LimitsSettings,
    LogSettings,
    ServerSettings,
    Settings,
    TlsSettings,
    parse_address,
)

__all__ = [
    "AuthSettings",
    "LimitsSettings",
    "LogSettings",
    "ServerSettings",
    "Settings",
    "SettingsError",
    "TlsSettings",
    "keys_file_from_environment",
    "load_keys_file",
    "load_settings",
    "parse_address",
    "settings_from_environment",
]
