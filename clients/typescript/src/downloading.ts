import { createHash } from "node:crypto";

import { status } from "@grpc/grpc-js";

import { ImageEditError } from "./errors.js";
import { type Image } from "./generated/imageedit/v1/image.js";
import { type Connection, Tries } from "./retrying.js";

/** An image with its bytes. */
export interface Downloaded {
  image: Image;
  content: Buffer;
}

/** Reads an image and checks it against its SHA-256; a stream that breaks is resumed at the byte that was reached. */
export async function download(connection: Connection, imageId: string): Promise<Downloaded> {
  const reading = new Reading(connection, imageId);
  for (;;) {
    try {
      const image = await reading.follow();
      return { image, content: checked(imageId, Buffer.concat(reading.chunks)) };
    } catch (error) {
      await reading.tries.wait(error);
    }
  }
}

class Reading {
  readonly chunks: Buffer[] = [];
  readonly tries: Tries;
  #offset = 0;

  constructor(
    private readonly connection: Connection,
    private readonly imageId: string,
  ) {
    this.tries = new Tries(connection);
  }

  /** Reads one stream to the last byte of the image. */
  async follow(): Promise<Image> {
    const { service, metadata } = this.connection;
    const stream = service.downloadImage({ imageId: this.imageId, offset: this.#offset }, metadata);
    stream.on("error", () => {}); // the loop has it; what comes after the loop is of no interest
    let image: Image | undefined;
    try {
      for await (const { payload } of stream) {
        if (payload?.$case === "info") image = payload.value;
        else if (payload?.$case === "chunk") this.#keep(payload.value);
      }
    } finally {
      stream.cancel();
    }
    if (image !== undefined && this.#offset >= image.sizeBytes) return image;
    throw new ImageEditError(status.UNAVAILABLE, "the download ended before its last byte");
  }

  #keep(chunk: Buffer): void {
    this.tries.alive();
    this.chunks.push(chunk);
    this.#offset += chunk.length;
  }
}

function checked(imageId: string, content: Buffer): Buffer {
  if (`sha256:${createHash("sha256").update(content).digest("hex")}` === imageId) return content;
  const message = `the bytes received for ${imageId} have another SHA-256`;
  throw new ImageEditError(status.DATA_LOSS, message, { reason: "IMAGE_CORRUPT" });
}
