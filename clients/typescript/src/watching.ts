import { status } from "@grpc/grpc-js";

import { ImageEditError } from "./errors.js";
import { type TaskEvent, Task_State } from "./generated/imageedit/v1/task.js";
import { type Connection, Tries } from "./retrying.js";

const TERMINAL = new Set([Task_State.STATE_SUCCEEDED, Task_State.STATE_FAILED, Task_State.STATE_CANCELLED]);

export interface WatchOptions {
  /** The last event that was seen; all without it. */
  afterSeq?: number;
  /** Ends the watch, which then throws its reason. */
  signal?: AbortSignal;
}

/** Yields every event once and in order; a stream that breaks is resumed after the last one. */
export async function* watch(
  connection: Connection,
  taskId: string,
  { afterSeq = 0, signal }: WatchOptions,
): AsyncGenerator<TaskEvent, void> {
  const { service, metadata } = connection;
  const tries = new Tries(connection);
  let seq = afterSeq;
  // After the terminal event there is nothing to send: a watch from there ends at once.
  let mayBeOver = afterSeq > 0;
  for (;;) {
    signal?.throwIfAborted();
    const stream = service.watchTask({ taskId, afterSeq: seq }, metadata);
    stream.on("error", () => {}); // the loop has it; what comes after the loop is of no interest
    const cancel = (): void => stream.cancel();
    signal?.addEventListener("abort", cancel);
    try {
      for await (const { payload } of stream) {
        if (payload?.$case !== "event") {
          tries.alive();
          continue;
        }
        const event: TaskEvent = payload.value;
        if (event.seq <= seq) continue; // a server that only repeats makes no progress
        tries.alive();
        seq = event.seq;
        mayBeOver = false;
        yield event;
        if (TERMINAL.has(event.task!.state)) return;
      }
      if (mayBeOver) return;
      throw new ImageEditError(status.UNAVAILABLE, "the watch ended before the task did");
    } catch (error) {
      await tries.wait(error, signal);
    } finally {
      signal?.removeEventListener("abort", cancel);
      stream.cancel();
    }
  }
}
