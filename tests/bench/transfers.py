"""How fast a large picture goes in and out, and how much memory the server takes for it.

The picture is noise, a PNG without compression. Both servers get and send it in chunks of 256 KiB. The
service also hashes, decodes and fsyncs what comes in, and hashes what goes out; the baseline throws away and
makes up.
"""

import time
from functools import partial

from imageedit.v1 import image_edit_service_pb2 as pb
from tests.bench.accepts import small_picture, upload
from tests.bench.bench import Bench, Stub, connected
from tests.bench.figures import Figure, Goal
from tests.bench.pictures import noise
from tests.bench.processes import MIB
from tests.servers.processes import Server

UP_GOAL = Goal(bound=0.5)
DOWN_GOAL = Goal(bound=0.8)
FLAT_GOAL = Goal(bound=8, at_most=True)
CONFIG = """
[images]
max_bytes = 134217728
"""


async def measure(bench: Bench) -> list[Figure]:
    """Compare the rates, and the memory with that of a small picture."""
    picture = noise(bench.scale.image_mib)
    mib = len(picture) / MIB
    async with (
        bench.ours(CONFIG) as ours,
        connected(ours.address) as stub,
        bench.bare() as bare,
        connected(bare.address) as bare_stub,
    ):
        image_id = await upload(stub, picture)
        ups = await bench.alternate(
            f"transfers, {mib:.0f} MiB up", partial(_up, stub, picture), partial(_up, bare_stub, picture)
        )
        downs = await bench.alternate(
            f"transfers, {mib:.0f} MiB down",
            partial(_down, stub, image_id, len(picture)),
            partial(_down, bare_stub, str(len(picture)), len(picture)),
        )
        growth = [await _growth(ours, stub, picture) for _ in range(bench.scale.rounds)]
    rate = partial(Figure, measurement="transfers", unit="MiB/s")
    return [
        rate(name=f"upload of {mib:.0f} MiB", ours=ups[0], baseline=ups[1], goal=UP_GOAL),
        rate(name=f"download of {mib:.0f} MiB", ours=downs[0], baseline=downs[1], goal=DOWN_GOAL),
        Figure(
            measurement="transfers",
            name=f"most memory for {mib:.0f} MiB, above that for a small one",
            unit="MiB",
            ours=tuple(growth),
            goal=FLAT_GOAL,
        ),
    ]


async def _up(stub: Stub, picture: bytes) -> float:
    started = time.perf_counter()
    await upload(stub, picture)
    return len(picture) / MIB / (time.perf_counter() - started)


async def _down(stub: Stub, image_id: str, size: int) -> float:
    started = time.perf_counter()
    await download(stub, image_id, size)
    return size / MIB / (time.perf_counter() - started)


async def download(stub: Stub, image_id: str, size: int) -> None:
    """Download a picture of so many bytes, and throw it away."""
    received = 0
    async for response in stub.DownloadImage(pb.DownloadImageRequest(image_id=image_id)):
        received += len(response.chunk)
    assert received == size


async def _growth(server: Server, stub: Stub, picture: bytes) -> float:
    """Return how much higher the peak of the server's memory is for ``picture`` than for a small one."""
    peaks = []
    for content in (small_picture(), picture):
        server.forget_peak()
        await _down(stub, await upload(stub, content), len(content))
        peaks.append(server.memory_bytes("VmHWM"))
    return (peaks[1] - peaks[0]) / MIB
