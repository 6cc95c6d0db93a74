"""Every setting: its name, its default, and where it comes from (DESIGN §6).

A new setting is a field in ``sections``, or of a provider's ``Options``, and its row in docs/settings.md: all
else, its variable, its complaints and the forms of a secret, follows from that.
"""

from imageedit_server.settings.addresses import parse_address
from imageedit_server.settings.complaints import SettingsError
from imageedit_server.settings.loading import (
    keys_file_from_environment,
    load_settings,
    settings_from_environment,
)
from imageedit_server.settings.sections import (
    AuthSettings,
    LimitsSettings,
    LogSettings,
    OutboundSettings,
    ServerSettings,
    Settings,
    TlsSettings,
)
from imageedit_server.settings.unused_keys import UnusedKey

__all__ = [
    "AuthSettings",
    "LimitsSettings",
    "LogSettings",
    "OutboundSettings",
    "ServerSettings",
    "Settings",
    "SettingsError",
    "TlsSettings",
    "UnusedKey",
    "keys_file_from_environment",
    "load_settings",
    "parse_address",
    "settings_from_environment",
]
