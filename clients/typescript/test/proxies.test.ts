/** Something on the way answers in the service's place, in HTTP's words and not in gRPC's. */

import assert from "node:assert/strict";
import { createServer } from "node:http2";
import { test } from "node:test";

import { status } from "@grpc/grpc-js";

import { Client, ImageEditError } from "../src/index.js";

const REFUSES = [400, 401, 403, 404, 413];
const BROKEN = [502, 503, 504];

/** How often a proxy that answers `code` to everything is asked, and what the caller gets. */
async function asked(code: number): Promise<{ times: number; error: ImageEditError }> {
  let times = 0;
  const proxy = createServer();
  proxy.on("stream", (stream) => {
    times += 1;
    stream.on("error", () => {});
    stream.respond({ ":status": code, "content-type": "text/html" });
    stream.end("<h1>no</h1>");
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  const { port } = proxy.address() as { port: number };
  const client = new Client(`127.0.0.1:${port}`, { patienceSeconds: 0.3 });
  try {
    const error: unknown = await client.upload(Buffer.alloc(1000)).catch((each: unknown) => each);
    assert.ok(error instanceof ImageEditError);
    return { times, error };
  } finally {
    client.close();
    proxy.close();
  }
}

for (const code of REFUSES) {
  test(`${code} is asked once`, { timeout: 20_000 }, async () => {
    const { times, error } = await asked(code);
    assert.equal(times, 1, error.message);
    assert.equal(error.reason, "");
  });
}

for (const code of BROKEN) {
  test(`${code} is asked again`, { timeout: 20_000 }, async () => {
    const { times, error } = await asked(code);
    assert.ok(times > 1);
    assert.equal(error.code, status.UNAVAILABLE);
  });
}
