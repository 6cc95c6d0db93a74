"""Who may ask for which path: a route without a row in the table does not start (P23)."""

from collections.abc import Mapping

import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from imageedit_server.access.rules import Rule
from imageedit_server.web.app import http_app
from imageedit_server.web.rules import RULES

PATHS = sorted(RULES)


async def _nothing(*_args: object) -> None:
    """No vendor calls, nothing is measured."""


def _app() -> Starlette:
    return http_app(lambda: "", _nothing, _nothing)


def test_every_route_has_a_rule_and_every_rule_a_route() -> None:
    """So a route that is gone leaves no row behind."""
    routes = _app().routes
    assert {route.path for route in routes if isinstance(route, Route)} == set(RULES)
    assert len(routes) == len(RULES)


@pytest.mark.parametrize("path", PATHS)
def test_a_route_without_a_rule_does_not_start(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named, and so is the table."""
    monkeypatch.delitem(RULES, path)
    with pytest.raises(AssertionError, match=r"who may call this\? See web/rules.py") as refused:
        _app()
    assert path in str(refused.value)


@pytest.mark.parametrize("path", PATHS)
def test_a_route_for_tenants_does_not_start_where_nobody_is_asked_for_a_key(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row alone would promise what this door does not do."""
    monkeypatch.setitem(RULES, path, Rule.TENANT)
    with pytest.raises(AssertionError, match="here nobody is asked for a key") as refused:
        _app()
    assert path in str(refused.value)


def test_only_callbacks_need_more_than_coming_here() -> None:
    """They bring a token that only the vendor was told."""
    needing: Mapping[str, Rule] = {path: rule for path, rule in RULES.items() if rule is not Rule.ANYONE}
    assert needing == {"/callbacks/{provider}/{token}": Rule.TOKEN}
