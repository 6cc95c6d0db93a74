/**
 * A client of the imageedit service: one contract in front of the vendors that edit pictures with AI.
 *
 * Creates answer as soon as the task is durable; `watch` follows it. Every call bridges a restart of the
 * server: it is tried again for as long as the client is patient, creates under one `requestId`, watches after
 * the last event that was seen, downloads from the byte that was reached. What the service refuses is an
 * ImageEditError.
 */

export { Client, byId, type ClientOptions } from "./client.js";
export { type Downloaded } from "./downloading.js";
export { ImageEditError, TaskFailed, succeeded, type FieldViolation } from "./errors.js";
export { type Image, type ImageSource } from "./generated/imageedit/v1/image.js";
export {
  type CreateDefaultModelRequest,
  type CreateModelEditRequest,
  type DeepPartial,
  type EditImageRequest,
  OnUnknown,
} from "./generated/imageedit/v1/image_edit_service.js";
export { type Model } from "./generated/imageedit/v1/model.js";
export { type WatchOptions } from "./watching.js";
export { type Task, type TaskEvent, Task_Billing, Task_Stage, Task_State } from "./generated/imageedit/v1/task.js";
