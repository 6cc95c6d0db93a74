import { createHash } from "node:crypto";
import { once } from "node:events";
import { createReadStream } from "node:fs";

import { type ClientWritableStream, type Metadata } from "@grpc/grpc-js";

import { type Image } from "./generated/imageedit/v1/image.js";
import {
  type ImageEditServiceClient,
  type UploadImageRequest,
  type UploadImageResponse,
} from "./generated/imageedit/v1/image_edit_service.js";
import { type Connection, Tries } from "./retrying.js";

const CHUNK_BYTES = 256 * 1024;

/** Sends the SHA-256, which the service checks, and then the bytes, which are read anew for each try. */
export async function upload(connection: Connection, picture: Uint8Array | string): Promise<Image> {
  const sha256 = await digestOf(picture);
  const tries = new Tries(connection);
  for (;;) {
    try {
      return await send(connection, picture, sha256);
    } catch (error) {
      await tries.wait(error);
    }
  }
}

async function send({ service, metadata }: Connection, picture: Uint8Array | string, sha256: string): Promise<Image> {
  const over = new AbortController(); // the service may answer before the last chunk: it reads no more then
  const { stream, answered } = open(service, metadata);
  const sent = sendAll(stream, picture, sha256, over.signal).catch((error: unknown) => {
    if (over.signal.aborted) return;
    stream.cancel();
    throw error;
  });
  try {
    const [answer] = await Promise.all([answered, Promise.race([sent, answered])]);
    return answer.image!;
  } finally {
    over.abort();
  }
}

function open(service: ImageEditServiceClient, metadata: Metadata): Opened {
  let stream!: ClientWritableStream<UploadImageRequest>;
  const answered = new Promise<UploadImageResponse>((resolve, reject) => {
    stream = service.uploadImage(metadata, (error, answer) => (error ? reject(error) : resolve(answer)));
  });
  stream.on("error", () => {}); // what went wrong is in the answer
  return { stream, answered };
}

interface Opened {
  stream: ClientWritableStream<UploadImageRequest>;
  answered: Promise<UploadImageResponse>;
}

async function sendAll(
  stream: ClientWritableStream<UploadImageRequest>,
  picture: Uint8Array | string,
  sha256: string,
  signal: AbortSignal,
): Promise<void> {
  stream.write({ payload: { $case: "info", value: { sha256 } } });
  for await (const chunk of chunksOf(picture)) {
    if (signal.aborted) return;
    const room = stream.write({ payload: { $case: "chunk", value: Buffer.from(chunk) } });
    if (!room) await once(stream, "drain", { signal });
  }
  stream.end();
}

async function* chunksOf(picture: Uint8Array | string): AsyncGenerator<Uint8Array> {
  if (typeof picture === "string") {
    yield* createReadStream(picture, { highWaterMark: CHUNK_BYTES });
    return;
  }
  for (let start = 0; start < picture.length; start += CHUNK_BYTES) yield picture.subarray(start, start + CHUNK_BYTES);
}

async function digestOf(picture: Uint8Array | string): Promise<string> {
  const digest = createHash("sha256");
  for await (const chunk of chunksOf(picture)) digest.update(chunk);
  return digest.digest("hex");
}
