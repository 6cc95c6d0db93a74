"""Runs the vendor server for a demo: ``python -m tests.vendors.kie [--seconds 2] [--webhook-key KEY]``.

Prints one line with its hosts when it serves, then one line for each charge.
"""

import argparse
import asyncio
import contextlib

from tests.vendors.kie.server import KieVendor


async def _main() -> None:
    parser = argparse.ArgumentParser(description="A kie.ai on loopback.")
    parser.add_argument("--seconds", type=float, default=2.0, help="how long a task takes")
    parser.add_argument("--api-key", default="kie-test-key")
    parser.add_argument("--webhook-key", default="", help="sign callbacks with it")
    parser.add_argument("--side", type=int, default=2048, help="long side of a basic result, in pixels")
    parser.add_argument("--ports", type=int, nargs=3, default=(0, 0, 0), help="api, upload and result")
    given = parser.parse_args()
    vendor = KieVendor(
        api_key=given.api_key,
        webhook_key=given.webhook_key,
        work_seconds=given.seconds,
        picture_side=given.side,
        ports=tuple(given.ports),
    )
    async with vendor:
        print(f"ready api={vendor.api_url} upload={vendor.upload_url} result={vendor.result_url}", flush=True)
        await _print_charges(vendor)


async def _print_charges(vendor: KieVendor) -> None:
    printed = 0
    while True:
        for charge in vendor.ledger[printed:]:
            print(f"charged {charge.credits:g} credits for {charge.model} {charge.task_id}", flush=True)
            printed += 1
        await asyncio.sleep(0.2)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main())
