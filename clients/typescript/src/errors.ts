import { type ServiceError, status } from "@grpc/grpc-js";

import { BadRequest, ErrorInfo, RetryInfo } from "./generated/google/rpc/error_details.js";
import { Status } from "./generated/google/rpc/status.js";
import { type Task, Task_State } from "./generated/imageedit/v1/task.js";

const DETAILS_KEY = "grpc-status-details-bin";

/** One field of the request that was refused. */
export interface FieldViolation {
  /** A path in the proto's words: "images[0].url". */
  field: string;
  /** What is wrong and what would be right. */
  description: string;
}

/** A call that the service refused or that did not reach it. */
export class ImageEditError extends Error {
  override readonly name: string = "ImageEditError";
  readonly code: status;
  /** The stable word to switch on, such as "UNKNOWN_MODEL"; empty when the service said none. */
  readonly reason: string;
  readonly fieldViolations: readonly FieldViolation[];
  /** How long the service asks to wait; 0 when it named no time. */
  readonly retryAfterSeconds: number;

  constructor(code: status, message: string, details: Partial<Details> = {}, cause?: unknown) {
    const fields = (details.fieldViolations ?? []).map((each) => `${each.field}: ${each.description}`);
    super(`${status[code]} ${details.reason ?? ""}: ${fields.join("; ") || message}`, { cause });
    this.code = code;
    this.reason = details.reason ?? "";
    this.fieldViolations = details.fieldViolations ?? [];
    this.retryAfterSeconds = details.retryAfterSeconds ?? 0;
  }
}

/** The task ended FAILED or CANCELLED: the calls went well, the task did not. */
export class TaskFailed extends Error {
  override readonly name = "TaskFailed";

  constructor(readonly task: Task) {
    super(`the task ended ${task.state} ${task.error?.reason ?? ""}: ${task.error?.message ?? ""}`);
  }
}

/** Answers a final task as it is when it succeeded, and throws TaskFailed otherwise. */
export function succeeded(task: Task): Task {
  if (task.state !== Task_State.STATE_SUCCEEDED) throw new TaskFailed(task);
  return task;
}

/** Translates what gRPC threw; anything else comes back as it is. */
export function explained(error: unknown): unknown {
  if (!isServiceError(error)) return error;
  return new ImageEditError(error.code, error.details, detailsOf(error), error);
}

interface Details {
  reason: string;
  fieldViolations: FieldViolation[];
  retryAfterSeconds: number;
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "code" in error && typeof error.code === "number" && "metadata" in error;
}

function detailsOf(error: ServiceError): Partial<Details> {
  const details: Partial<Details> = {};
  try {
    for (const packed of error.metadata.get(DETAILS_KEY)) {
      for (const { typeUrl, value } of Status.decode(packed as Buffer).details) take(details, typeUrl, value);
    }
  } catch {
    // Something on the way changed the details: the code is known all the same.
  }
  return details;
}

function take(details: Partial<Details>, typeUrl: string, value: Uint8Array): void {
  switch (typeUrl.slice(typeUrl.lastIndexOf("/") + 1)) {
    case "google.rpc.ErrorInfo":
      details.reason = ErrorInfo.decode(value).reason;
      break;
    case "google.rpc.BadRequest":
      details.fieldViolations = BadRequest.decode(value).fieldViolations.map(({ field, description }) => ({
        field,
        description,
      }));
      break;
    case "google.rpc.RetryInfo": {
      const delay = RetryInfo.decode(value).retryDelay;
      details.retryAfterSeconds = (delay?.seconds ?? 0) + (delay?.nanos ?? 0) / 1e9;
    }
  }
}
