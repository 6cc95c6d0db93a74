import { setTimeout as sleep } from "node:timers/promises";

import { type CallOptions, type ClientUnaryCall, type Metadata, type ServiceError, status } from "@grpc/grpc-js";

import { ImageEditError, explained } from "./errors.js";
import { type ImageEditServiceClient } from "./generated/imageedit/v1/image_edit_service.js";

const CALL_MS = 60_000;
const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 2000;

/** What calls are made with. */
export interface Connection {
  service: ImageEditServiceClient;
  metadata: Metadata;
  /** In milliseconds. */
  patience: number;
  /** Ended by its user: nothing is tried again. */
  closed: boolean;
}

/** Says when to try again: each sign of life begins the patience anew. */
export class Tries {
  #ends: number | undefined;
  #delay = FIRST_DELAY_MS;

  constructor(private readonly connection: Connection) {}

  alive(): void {
    this.#ends = undefined;
  }

  /** Waits for the next try; throws the error that the caller gets when there is none. */
  async wait(cause: unknown, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const failure = explained(cause);
    if (!(failure instanceof ImageEditError) || !isTransient(failure) || this.connection.closed) throw failure;
    if (this.#ends === undefined) {
      this.#ends = performance.now() + this.connection.patience;
      this.#delay = FIRST_DELAY_MS;
    }
    // Half fixed, half random: a restarted server is not met by all clients at once.
    const delay = Math.max(this.#delay * (0.5 + 0.5 * Math.random()), 1000 * failure.retryAfterSeconds);
    this.#delay = Math.min(2 * this.#delay, LONGEST_DELAY_MS);
    if (performance.now() + delay > this.#ends) throw failure;
    await sleep(delay, undefined, { signal });
  }
}

/**
 * Whether the same call may be repeated and may succeed. What has no reason is not the service's own word but of
 * something on the way: a server that was stopped under the call, a proxy that died.
 */
function isTransient({ code, reason, message }: ImageEditError): boolean {
  switch (code) {
    case status.UNAVAILABLE:
      return true;
    case status.RESOURCE_EXHAUSTED:
      return reason === "SLOW_CONSUMER";
    case status.CANCELLED:
    case status.INTERNAL:
    case status.UNKNOWN:
      return reason === "" && !/HTTP status code 4/.test(message);
    default:
      return false;
  }
}

type Method<Request, Answer> = (
  request: Request,
  metadata: Metadata,
  options: Partial<CallOptions>,
  callback: (error: ServiceError | null, answer: Answer) => void,
) => ClientUnaryCall;

/** Makes a unary call, again and again within its time. */
export async function unary<Request, Answer>(
  connection: Connection,
  method: Method<Request, Answer>,
  request: Request,
): Promise<Answer> {
  const { service, metadata, patience } = connection;
  const options = { deadline: Date.now() + Math.max(CALL_MS, patience) };
  const tries = new Tries(connection);
  for (;;) {
    try {
      return await new Promise<Answer>((resolve, reject) => {
        method.call(service, request, metadata, options, (error, answer) => (error ? reject(error) : resolve(answer)));
      });
    } catch (error) {
      await tries.wait(error);
    }
  }
}
