/** What a user ends is over at once, however patient the client is. */

import assert from "node:assert/strict";
import { createServer } from "node:net";
import { test } from "node:test";

import { Client } from "../src/index.js";

/** An address where somebody takes connections and says nothing. */
async function silent(): Promise<{ address: string; close: () => void }> {
  const sockets = new Set<{ destroy: () => void }>();
  const server = createServer((socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const close = (): void => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  return { address: `127.0.0.1:${port}`, close };
}

test("a client that is closed tries nothing again", { timeout: 20_000 }, async () => {
  const client = new Client("127.0.0.1:1");
  client.close();
  await assert.rejects(client.getTask("x"));
  await assert.rejects(client.wait("x"));
  await assert.rejects(client.download("x"));
});

test("a watch ends with its signal", { timeout: 20_000 }, async () => {
  const { address, close } = await silent();
  const client = new Client(address);
  const reason = new Error("enough");
  const controller = new AbortController();
  const waiting = client.wait("x", { signal: controller.signal });
  controller.abort(reason);
  await assert.rejects(waiting, reason);
  await assert.rejects(client.wait("x", { signal: AbortSignal.abort(reason) }), reason);
  client.close();
  close();
});

test("a file that is not there is the caller's own error", async () => {
  const client = new Client("127.0.0.1:1");
  await assert.rejects(client.upload("/nowhere/at/all"), { code: "ENOENT" });
  client.close();
});
