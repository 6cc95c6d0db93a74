/** Runs the vectors of clients/conformance against the server that IMAGEEDIT_CONFORMANCE describes. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { status } from "@grpc/grpc-js";

import { Client, ImageEditError } from "../src/index.js";
import { Image } from "../src/generated/imageedit/v1/image.js";
import {
  CreateDefaultModelRequest,
  CreateModelEditRequest,
  EditImageRequest,
} from "../src/generated/imageedit/v1/image_edit_service.js";
import { Model } from "../src/generated/imageedit/v1/model.js";
import { Task } from "../src/generated/imageedit/v1/task.js";

interface Step {
  call: string;
  request?: Record<string, unknown>;
  picture?: string;
  through?: string;
  key?: string;
  as?: string;
  expect?: unknown;
}
interface Place {
  vectors: string;
  pictures: string;
  addresses: Record<string, string>;
  keys: Record<string, string>;
}

const described = process.env.IMAGEEDIT_CONFORMANCE;
if (described === undefined) {
  test("conformance", { skip: "IMAGEEDIT_CONFORMANCE describes no server; see clients/conformance/README.md" }, () => {});
} else {
  const place = JSON.parse(readFileSync(described, "utf8")) as Place;
  const vectors = JSON.parse(readFileSync(place.vectors, "utf8")) as { name: string; steps: Step[] }[];
  for (const { name, steps } of vectors) {
    test(name, async () => {
      const saved: Record<string, unknown> = {};
      for (const step of steps) await carryOut(place, step, saved);
    });
  }
}

async function carryOut(place: Place, step: Step, saved: Record<string, unknown>): Promise<void> {
  const through = step.through ?? "direct";
  const patienceSeconds = through === "nowhere" ? 0.5 : 60;
  const apiKey = place.keys[step.key ?? "right"];
  const client = new Client(place.addresses[through]!, { patienceSeconds, ...(apiKey ? { apiKey } : {}) });
  try {
    const said = await outcome(client, place, step, saved);
    if (step.as !== undefined) saved[step.as] = said;
    const expected = filled(step.expect ?? {}, saved, (name) => idOf(picture(place, name))) as object;
    assert.equal("refused" in said, "refused" in expected, JSON.stringify(said));
    agree(said, expected, step.call);
  } finally {
    client.close();
  }
}

async function outcome(
  client: Client,
  place: Place,
  step: Step,
  saved: Record<string, unknown>,
): Promise<Record<string, unknown>> {
  const request = asStubsRead(filled(step.request ?? {}, saved, (name) => picture(place, name).toString("base64")));
  try {
    return await answer(client, step.call, request, step.picture && join(place.pictures, step.picture));
  } catch (error) {
    if (!(error instanceof ImageEditError)) throw error;
    const fields = error.fieldViolations.map(({ field }) => field);
    return { refused: { code: status[error.code], reason: error.reason, fields, message: error.message } };
  }
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any
async function answer(client: Client, call: string, request: any, path = ""): Promise<Record<string, unknown>> {
  switch (call) {
    case "upload":
      return Image.toJSON(await client.upload(path)) as Record<string, unknown>;
    case "edit":
      return taskJson(await client.editImage(given(EditImageRequest.fromJSON(request))));
    case "modelEdit":
      return taskJson(await client.createModelEdit(given(CreateModelEditRequest.fromJSON(request))));
    case "defaultModel":
      return taskJson(await client.createDefaultModel(given(CreateDefaultModelRequest.fromJSON(request))));
    case "get":
      return taskJson(await client.getTask(request.taskId));
    case "cancel":
      return taskJson(await client.cancelTask(request.taskId));
    case "wait":
      return taskJson(await client.wait(request.taskId));
    case "models":
      return { models: (await client.listModels()).map((each) => Model.toJSON(each)) };
    case "watch":
      return watched(client, request.taskId, Number(request.afterSeq ?? 0));
    case "download": {
      const { image, content } = await client.download(request.imageId);
      return { imageId: idOf(content), info: Image.toJSON(image) };
    }
    default:
      throw new Error(`there is no call ${call}`);
  }
}

/** The stubs do not read durations as the proto's JSON has them, "120s". */
function asStubsRead(request: unknown): unknown {
  const { timeout, ...others } = request as { timeout?: string };
  return timeout === undefined ? others : { ...others, timeout: { seconds: Number.parseFloat(timeout), nanos: 0 } };
}

/** A request_id that is empty is one that was not given. */
function given<Request extends { requestId: string }>({ requestId, ...request }: Request): Omit<Request, "requestId"> {
  return requestId === "" ? request : { requestId, ...request };
}

async function watched(client: Client, taskId: string, afterSeq: number): Promise<Record<string, unknown>> {
  const seqs: number[] = [];
  let task: Task | undefined;
  for await (const event of client.watch(taskId, { afterSeq })) {
    seqs.push(event.seq);
    task = event.task;
  }
  const gapless = seqs.every((seq, index) => seq === afterSeq + 1 + index);
  return { first: seqs[0] ?? 0, last: seqs.at(-1) ?? 0, gapless, ...(task && { task: taskJson(task) }) };
}

function taskJson(task: Task): Record<string, unknown> {
  return Task.toJSON(task) as Record<string, unknown>;
}

function picture(place: Place, name: string): Buffer {
  return readFileSync(join(place.pictures, name));
}

function idOf(content: Buffer): string {
  return `sha256:${createHash("sha256").update(content).digest("hex")}`;
}

/** Puts in what "$step.field" and "@picture" stand for. */
function filled(value: unknown, saved: Record<string, unknown>, ofPicture: (name: string) => string): unknown {
  if (typeof value === "string" && value.startsWith("@")) return ofPicture(value.slice(1));
  if (typeof value === "string" && value.startsWith("$")) return at(saved, value.slice(1).split("."));
  if (Array.isArray(value)) return value.map((each) => filled(each, saved, ofPicture));
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, filled(each, saved, ofPicture)]));
}

function at(value: unknown, path: string[]): unknown {
  return path.reduce((inner, name) => (inner as Record<string, unknown>)[name], value);
}

/** What is expected of an object must hold, what else it has does not matter; texts and numbers are equal as text. */
function agree(said: unknown, expected: unknown, path: string): void {
  if (Array.isArray(expected)) {
    const list = (said ?? []) as unknown[];
    assert.equal(list.length, expected.length, `${path}: ${JSON.stringify(list)}`);
    expected.forEach((each, index) => agree(list[index], each, `${path}[${index}]`));
  } else if (isObject(expected)) {
    for (const [name, each] of Object.entries(expected)) {
      agree((said as Record<string, unknown> | undefined)?.[name], each, `${path}.${name}`);
    }
  } else {
    assert.equal(String(said ?? ""), String(expected), path);
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
