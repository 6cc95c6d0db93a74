"""The routes of the HTTP door."""

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from imageedit_server.access.rules import Rule, require_rules
from imageedit_server.web.callbacks import Receive, callback_route
from imageedit_server.web.metrics import Measure, metrics_route
from imageedit_server.web.rules import RULES

NotReady = Callable[[], str]
"""Returns why the server should get no traffic, empty when it should."""


def http_app(not_ready: NotReady, receive: Receive, measure: Measure) -> Starlette:
    """Build the application. ``/healthz`` says alive, ``/readyz`` whether traffic is wanted."""

    async def healthz(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_request: Request) -> Response:
        reason = not_ready()
        return PlainTextResponse(f"{reason or 'ready'}\n", status_code=503 if reason else 200)

    routes = [
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        metrics_route(measure),
        callback_route(receive),
    ]
    _check_rules({route.path for route in routes})
    app = Starlette(routes=routes)
    app.router.redirect_slashes = False  # to whatever host a stranger names
    return app


def _check_rules(paths: set[str]) -> None:
    require_rules(paths, RULES, "web/rules.py")
    if guarded := {path for path in paths if RULES[path] is Rule.TENANT}:
        raise AssertionError(f"{', '.join(guarded)}: here nobody is asked for a key")
