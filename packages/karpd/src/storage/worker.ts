/** The thread in which the key store waits for the disk. Bundled, this file stands next to the main one as storage-worker.js. */
import { parentPort, workerData } from "node:worker_threads";
import { type OpenedDatabase, openDatabase, prepareDatabase, StoreTables } from "./database.ts";
import { faultOf } from "./faults.ts";
import { forgetHolder } from "./holder.ts";
import type { WorkerAnswer, WorkerReply, WorkerRequest } from "./protocol.ts";
import { migrations } from "./schema.ts";

const path = String(Reflect.get(Object(workerData), "path"));
let opened: OpenedDatabase | undefined;
let tables: StoreTables | undefined;

parentPort?.on("message", (request: WorkerRequest) => {
  const reply: WorkerReply = { id: request.id, answer: answer(request) };
  parentPort?.postMessage(reply);
});

function answer(request: WorkerRequest): WorkerAnswer {
  try {
    return perform(request);
  } catch (error) {
    return { kind: "failed", fault: faultOf(error, path) };
  }
}

function perform(request: WorkerRequest): WorkerAnswer {
  switch (request.kind) {
    case "open":
      opened = openDatabase(path, migrations);
      return { kind: "opened", meta: opened.meta };
    case "prepare": {
      if (opened === undefined) throw new Error("prepare before open");
      prepareDatabase(opened, request.meta, migrations);
      tables = new StoreTables(opened.database, path);
      return { kind: "done" };
    }
    case "read":
      return { kind: "contents", contents: prepared().read() };
    case "write":
      return { kind: "written", faults: prepared().write(request.groups) };
    case "close":
      close();
      return { kind: "done" };
  }
}

function prepared(): StoreTables {
  if (tables === undefined) throw new Error("the store is not prepared");
  return tables;
}

function close(): void {
  if (opened === undefined) return;
  opened.database.close();
  forgetHolder(path);
  opened = undefined;
  tables = undefined;
}
