"""Runs the vendor server for a demo: ``python -m tests.vendors.openai [--personality relay] [--seconds 2]``.

Prints one line with its host when it serves, then one line for each charge.
"""

import argparse
import asyncio
import contextlib

from tests.vendors.openai.server import OpenaiVendor, Personality


async def _main() -> None:
    parser = argparse.ArgumentParser(description="An OpenAI-style image API on loopback.")
    parser.add_argument(
        "--personality", type=Personality, choices=list(Personality), default=Personality.OPENAI
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="how long an edit takes")
    parser.add_argument("--api-key", default="sk-openai-test-key")
    parser.add_argument("--port", type=int, default=0)
    given = parser.parse_args()
    vendor = OpenaiVendor(
        personality=given.personality, api_key=given.api_key, work_seconds=given.seconds, port=given.port
    )
    async with vendor:
        print(f"ready api={vendor.url}", flush=True)
        await _print_charges(vendor)


async def _print_charges(vendor: OpenaiVendor) -> None:
    printed = 0
    while True:
        for charge in vendor.ledger[printed:]:
            print(f"charged {charge.pictures} of {charge.model} {charge.request_id}", flush=True)
            printed += 1
        await asyncio.sleep(0.2)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main())
