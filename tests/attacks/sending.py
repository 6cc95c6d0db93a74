"""``python -m tests.attacks.sending NAME GRPC HTTP RATE CONNECTIONS``: a process that attacks.

In a process of its own, since what the attack takes of ours would make the honest caller look slow. It says
``ready``, reads from stdin until when by the monotonic clock, and prints how many bytes it sent.
"""

import asyncio
import sys
from dataclasses import dataclass

from tests.attacks.kinds import KINDS
from tests.attacks.load import Load
from tests.servers.processes import Server, Servers
from tests.servers.programs import ROOT


@dataclass(frozen=True, kw_only=True, slots=True)
class Sender:
    """The process, which waits for the word to begin."""

    process: Server

    @classmethod
    async def prepared(
        cls, servers: Servers, name: str, target: Server, bytes_per_second: int, connections: int
    ) -> "Sender":
        """Start one that will attack ``target``; return when it is ready."""
        arguments = (name, target.grpc, target.http, str(bytes_per_second), str(connections))
        process = await servers.spawn(
            [sys.executable, "-m", "tests.attacks.sending", *arguments],
            stdin=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        sender = cls(process=process)
        assert await sender.says() == "ready", process.stderr()
        return sender

    async def attack(self, end: float) -> int:
        """Have it attack until ``end``; return how many bytes it sent."""
        stdin = self.process.process.stdin
        assert stdin is not None
        stdin.write(f"{end}\n".encode())
        return int(await self.says())

    async def says(self) -> str:
        """Wait for its next line."""
        stdout = self.process.process.stdout
        assert stdout is not None
        return (await stdout.readline()).decode().strip()


def main(name: str, grpc: str, http: str, bytes_per_second: str, connections: str) -> None:
    """Be the process."""
    kind = KINDS[name]
    kind.prepare()
    print("ready", flush=True)
    load = Load(
        grpc=grpc,
        http=http,
        end=float(sys.stdin.readline()),
        bytes_per_second=int(bytes_per_second),
        connections=int(connections),
    )
    print(asyncio.run(kind.sending(load)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
