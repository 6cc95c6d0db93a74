"""Runs the vendor server for a demo: ``python -m tests.vendors.suitme [--port 9101] [--int-ids]``.

Prints one line with its address when it serves, then one line for each charge.
"""

import argparse
import asyncio
import contextlib

from tests.vendors.suitme.server import ImageAs, SuitmeVendor


async def _main() -> None:
    parser = argparse.ArgumentParser(description="A Suitme on loopback.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--api-key", default="suitme-test-key")
    parser.add_argument("--side", type=int, default=1024, help="long side of a result, in pixels")
    parser.add_argument("--int-ids", action="store_true", help="ids as the page says they are")
    parser.add_argument("--image-as", type=ImageAs, choices=list(ImageAs), default=ImageAs.URL)
    given = parser.parse_args()
    vendor = SuitmeVendor(
        api_key=given.api_key,
        picture_side=given.side,
        int_ids=given.int_ids,
        image_as=given.image_as,
        port=given.port,
    )
    async with vendor:
        print(f"ready api={vendor.url}", flush=True)
        await _print_charges(vendor)


async def _print_charges(vendor: SuitmeVendor) -> None:
    printed = 0
    while True:
        for charge in vendor.ledger[printed:]:
            print(f"charged for {charge.path} {charge.task_id}", flush=True)
            printed += 1
        await asyncio.sleep(0.2)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main())
