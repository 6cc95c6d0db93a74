import { randomUUID } from "node:crypto";

import { type ChannelCredentials, type ClientOptions as ChannelOptions, Metadata, credentials } from "@grpc/grpc-js";

import { type Downloaded, download } from "./downloading.js";
import { type Image, type ImageSource } from "./generated/imageedit/v1/image.js";
import {
  CreateDefaultModelRequest,
  CreateModelEditRequest,
  type DeepPartial,
  EditImageRequest,
  ImageEditServiceClient,
} from "./generated/imageedit/v1/image_edit_service.js";
import { type Model } from "./generated/imageedit/v1/model.js";
import { type Task, type TaskEvent } from "./generated/imageedit/v1/task.js";
import { type Connection, unary } from "./retrying.js";
import { upload } from "./uploading.js";
import { type WatchOptions, watch } from "./watching.js";

export interface ClientOptions {
  /** Sent with each call. Without encrypting `credentials` it travels readable for everyone on the way. */
  apiKey?: string;
  /** `credentials.createSsl()` of @grpc/grpc-js for TLS; plaintext without it. */
  credentials?: ChannelCredentials;
  /** How long calls and streams may make no progress; 60 without it. */
  patienceSeconds?: number;
  /** More options of gRPC's channel. */
  channel?: ChannelOptions;
}

const CHANNEL: ChannelOptions = {
  // A restarted server is found again within two seconds.
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 2000,
  // A page of tasks with long prompts is larger than gRPC's 4 MiB.
  "grpc.max_receive_message_length": 64 * 1024 * 1024,
  // A server that vanished is noticed. Only a connection that was silent so long is pinged.
  "grpc.keepalive_time_ms": 30_000,
  "grpc.keepalive_timeout_ms": 10_000,
  "grpc.use_local_subchannel_pool": 1,
};
const LOOPBACK = /^(localhost|127\.[0-9.]+|\[::1\]):/;

/** A connection to a service. It connects with the first call; `close` ends all calls. */
export class Client {
  /** Every RPC of the contract as it was generated, without retries. */
  readonly service: ImageEditServiceClient;
  readonly #connection: Connection;

  /** `address` is HOST:PORT. */
  constructor(address: string, options: ClientOptions = {}) {
    const metadata = new Metadata();
    if (options.apiKey !== undefined) metadata.set("authorization", `Bearer ${options.apiKey}`);
    // A proxy from the environment cannot reach this machine's own loopback.
    const proxy = LOOPBACK.test(address) ? { "grpc.enable_http_proxy": 0 } : {};
    const channel = { ...CHANNEL, ...proxy, ...options.channel };
    this.service = new ImageEditServiceClient(address, options.credentials ?? credentials.createInsecure(), channel);
    const patience = 1000 * (options.patienceSeconds ?? 60);
    this.#connection = { service: this.service, metadata, patience, closed: false };
  }

  close(): void {
    this.#connection.closed = true;
    this.service.close();
  }

  /** Starts an edit. A request without a `requestId` gets one, so that a retry never creates twice. */
  async editImage(request: DeepPartial<EditImageRequest>): Promise<Task> {
    const whole = EditImageRequest.fromPartial({ requestId: randomUUID(), ...request });
    return (await unary(this.#connection, this.service.editImage, whole)).task!;
  }

  /** Starts an edit of a default model by instructions; `userId` is required. */
  async createModelEdit(request: DeepPartial<CreateModelEditRequest>): Promise<Task> {
    const whole = CreateModelEditRequest.fromPartial({ requestId: randomUUID(), ...request });
    return (await unary(this.#connection, this.service.createModelEdit, whole)).task!;
  }

  /** Makes the picture of a person that `createModelEdit` starts from; `userId` is required. */
  async createDefaultModel(request: DeepPartial<CreateDefaultModelRequest>): Promise<Task> {
    const whole = CreateDefaultModelRequest.fromPartial({ requestId: randomUUID(), ...request });
    return (await unary(this.#connection, this.service.createDefaultModel, whole)).task!;
  }

  /** Yields every event once and in order, to the terminal one. */
  watch(taskId: string, options: WatchOptions = {}): AsyncGenerator<TaskEvent, void> {
    return watch(this.#connection, taskId, options);
  }

  /** Follows the task to its end and answers it, succeeded or not; see `succeeded`. */
  async wait(taskId: string, options: Omit<WatchOptions, "afterSeq"> = {}): Promise<Task> {
    let last: Task | undefined;
    for await (const event of this.watch(taskId, options)) last = event.task;
    return last!;
  }

  /** The task as it is now. */
  async getTask(taskId: string): Promise<Task> {
    return (await unary(this.#connection, this.service.getTask, { taskId })).task!;
  }

  /** Ends the task if it is not finished; its billing says who pays. */
  async cancelTask(taskId: string): Promise<Task> {
    return (await unary(this.#connection, this.service.cancelTask, { taskId })).task!;
  }

  /** The models that can be used now, with their limits. */
  async listModels(): Promise<Model[]> {
    return (await unary(this.#connection, this.service.listModels, {})).models;
  }

  /** Stores a picture: its bytes, or the path of a file. The same bytes always answer the same image. */
  upload(picture: Uint8Array | string): Promise<Image> {
    return upload(this.#connection, picture);
  }

  /** The bytes of an image, checked against its SHA-256. */
  download(imageId: string): Promise<Downloaded> {
    return download(this.#connection, imageId);
  }
}

/** Names a picture that was uploaded or made by a task. */
export function byId(imageId: string): ImageSource {
  return { source: { $case: "imageId", value: imageId } };
}
