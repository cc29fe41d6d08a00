import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import type { UnixMilliseconds } from "@karp/ikev2";
import type { ControlBackend, NumberedEvent } from "../../src/control/backend.ts";
import { ControlClient, ControlError } from "../../src/control/client.ts";
import { ControlSocketError, startControlServer } from "../../src/control/server.ts";
import { until } from "../daemon/site.ts";

/** A daemon with nothing behind it: what is tried here never comes further than the control interface. */
class Backend implements ControlBackend {
  readonly listeners = new Set<(event: NumberedEvent) => void>();
  status: ControlBackend["status"] = () => ({
    router: "r1.test.example",
    version: "0.0.0-test",
    pid: process.pid,
    startedAt: "2026-01-01T00:00:00.000Z",
    configurationFile: "karp.yaml",
    listening: [],
    natSeen: [],
  });
  views: ControlBackend["views"] = () => ({ peers: [], sessions: [], keys: [], keytable: [], rollovers: [] });
  events: ControlBackend["events"] = () => [];
  driverStatistics: ControlBackend["driverStatistics"] = () => ({});
  command: ControlBackend["command"] = () => Promise.resolve({ ok: true, text: "done" });
  reload: ControlBackend["reload"] = () => Promise.resolve({ ok: true, text: "", changes: [] });
  pendingChanges: ControlBackend["pendingChanges"] = () => Promise.resolve({ ok: true, text: "", changes: [] });
  subscribe(listener: (event: NumberedEvent) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
  say(text: string): void {
    const event = { id: 1, name: "configured", at: 0 as UnixMilliseconds, severity: "info", text, data: {} } as const;
    for (const listener of this.listeners) listener(event);
  }
}

function place(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "karp-hostile-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, "control.sock");
}

async function serve(
  t: TestContext,
  longestRequestMilliseconds?: number,
): Promise<{ path: string; backend: Backend; client: ControlClient }> {
  const path = place(t);
  const backend = new Backend();
  const server = await startControlServer(path, backend, Promise.resolve(), longestRequestMilliseconds);
  t.after(() => server.close());
  return { path, backend, client: new ControlClient(path) };
}

/** A connection that says this and never reads, and whether it still stands. */
function caller(
  t: TestContext,
  path: string,
  says: string,
): { socket: Socket; heard: () => string; isOver: () => boolean } {
  const socket = connect(path);
  let heard = "";
  let isOver = false;
  socket.on("error", () => undefined);
  socket.on("close", () => {
    isOver = true;
  });
  socket.setEncoding("utf8").on("data", (text: string) => {
    heard += text;
  });
  socket.write(says);
  t.after(() => socket.destroy());
  return { socket, heard: () => heard, isOver: () => isOver };
}

const STREAM = "GET /v1/events/stream HTTP/1.1\r\nHost: karp\r\n\r\n";

describe("a local caller with bad intentions", { concurrency: 6 }, () => {
  test("a body that never comes: cut off, and nobody else waits for it", async (t) => {
    const { path, client } = await serve(t, 400);
    const slow = caller(
      t,
      path,
      "POST /v1/rekey HTTP/1.1\r\nHost: karp\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{",
    );
    assert.ok(await client.get("/v1/status"));
    await until(slow.isOver, () => "it is still connected");
    assert.match(slow.heard(), /^HTTP\/1\.1 408 /);
    assert.ok(await client.get("/v1/status"));
  });

  test("headers that never end: cut off", async (t) => {
    const { path } = await serve(t, 400);
    const slow = caller(t, path, "GET /v1/status HTTP/1.1\r\nHost: ka");
    await until(slow.isOver, () => "it is still connected");
    assert.match(slow.heard(), /^HTTP\/1\.1 408 /);
  });

  test("headers of a megabyte, and what is no HTTP: refused", async (t) => {
    const { path, client } = await serve(t);
    const large = caller(t, path, `GET /v1/status HTTP/1.1\r\nHost: karp\r\nX: ${"x".repeat(1 << 20)}\r\n\r\n`);
    const garbage = caller(t, path, "\u0000\u0001garbage\r\n\r\n");
    await until(
      () => large.isOver() && garbage.isOver(),
      () => "one is still connected",
    );
    assert.match(garbage.heard(), /^HTTP\/1\.1 400 /);
    assert.ok(await client.get("/v1/status"));
  });

  test("an event stream that nobody reads: closed before it fills the memory; a reader beside it misses nothing", async (t) => {
    const { path, backend } = await serve(t);
    const deaf = caller(t, path, STREAM);
    deaf.socket.pause();
    const reader = caller(t, path, STREAM);
    await until(
      () => backend.listeners.size === 2,
      () => "no stream",
    );
    const EVENTS = 400;
    for (let count = 0; count < EVENTS; count++) {
      backend.say(`${count} ${"x".repeat(16_384)}`);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until(
      () => backend.listeners.size === 1,
      () => "the stream is still open",
    );
    await until(
      () => reader.heard().split("event: configured").length === EVENTS + 1,
      () => `${reader.heard().length} characters`,
    );
    assert.equal(reader.isOver(), false);
  });

  test("more event streams than anybody needs: the next one is told so, and finds a place when one ends", async (t) => {
    const { path, backend, client } = await serve(t);
    const streams = Array.from({ length: 32 }, () => caller(t, path, STREAM));
    await until(
      () => backend.listeners.size === 32,
      () => `${backend.listeners.size}`,
    );
    await assert.rejects(client.get("/v1/events/stream"), {
      name: "ControlError",
      code: "tooManyStreams",
      message: "32 event streams are open already; close one",
    });
    streams[0]?.socket.destroy();
    await until(
      () => backend.listeners.size === 31,
      () => `${backend.listeners.size}`,
    );
    caller(t, path, STREAM);
    await until(
      () => backend.listeners.size === 32,
      () => `${backend.listeners.size}`,
    );
  });

  test("connections without end: those too many are closed, the rest are served", async (t) => {
    const { path, client } = await serve(t);
    const callers = Array.from({ length: 300 }, () => caller(t, path, ""));
    await until(
      () => callers.filter(({ isOver }) => isOver()).length >= 44,
      () => `${callers.filter(({ isOver }) => isOver()).length} are closed`,
    );
    await assert.rejects(client.get("/v1/status"), /closed the connection before it answered/);
    const last = callers.findLast(({ isOver }) => !isOver());
    last?.socket.write("GET /v1/status HTTP/1.1\r\nHost: karp\r\n\r\n");
    await until(
      () => last?.heard().startsWith("HTTP/1.1 200 "),
      () => String(last?.heard()),
    );
  });
});

describe("the path of the control socket", () => {
  const start = (path: string) => startControlServer(path, new Backend(), Promise.resolve());

  test("a socket that a dead daemon left is replaced, one that somebody listens on is not", async (t) => {
    const path = place(t);
    const first = await start(path);
    await assert.rejects(start(path), /^ControlSocketError: another karp answers on /);
    assert.ok(await new ControlClient(path).get("/v1/status"), "and it goes on");
    await first.close();
  });

  test("a link to nowhere, or to a file: refused, and left as it is", async (t) => {
    const path = place(t);
    const target = `${path}.target`;
    symlinkSync(target, path);
    await assert.rejects(start(path), /exists and is not a socket; remove it or choose another `control:` path$/);
    writeFileSync(target, "notes");
    await assert.rejects(start(path), ControlSocketError);
    assert.ok(statSync(target).isFile());
  });
});

describe("the command line's side", () => {
  async function refusal(path: string): Promise<ControlError> {
    const error = await new ControlClient(path).get("/v1/status").then(
      () => undefined,
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof ControlError, String(error));
    return error;
  }

  async function listening(t: TestContext, path: string, server: Server): Promise<void> {
    await new Promise<void>((resolve) => {
      server.listen(path, resolve);
    });
    t.after(() => server.close());
  }

  test("nothing there, a directory, a file, a path too long: a sentence each", async (t) => {
    const path = place(t);
    assert.equal((await refusal(path)).code, "notRunning");
    writeFileSync(path, "");
    assert.equal((await refusal(path)).code, "notRunning");
    assert.equal((await refusal(`${path}/below`)).code, "notRunning");
    mkdirSync(`${path}.d`);
    assert.equal((await refusal(`${path}.d`)).code, "notRunning");
    assert.equal((await refusal(`/${"x".repeat(200)}`)).code, "badSocket");
  });

  test("another program's socket: said, whatever it answers", async (t) => {
    const path = place(t);
    const web = createHttpServer((_request, response) => response.end("<html>"));
    await listening(t, path, web);
    assert.match((await refusal(path)).message, /is no karp daemon; name the right socket with --socket$/);
    const other = place(t);
    await listening(
      t,
      other,
      createServer((socket) => socket.end("0001 BIRD 2.17.1 ready.\n")),
    );
    assert.equal((await refusal(other)).code, "notKarp");
  });

  test("a promise that is not on disk: 503, try again", async (t) => {
    const { path, backend } = await serve(t);
    backend.command = () => Promise.resolve({ ok: false, code: "notStored", text: "not on disk" });
    const body = JSON.stringify({ session: "bgp1" });
    const { heard, isOver } = caller(
      t,
      path,
      `POST /v1/rekey HTTP/1.1\r\nHost: karp\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    await until(isOver, () => heard());
    assert.match(heard(), /^HTTP\/1\.1 503 /);
    assert.match(heard(), /"code":"notStored"/);
  });

  test("a daemon that goes in the middle of an answer: said", async (t) => {
    const path = place(t);
    const server = createHttpServer((_request, response) => {
      response.writeHead(200, { "content-length": "100" });
      response.write("{");
      setImmediate(() => response.destroy());
    });
    await listening(t, path, server);
    assert.equal((await refusal(path)).code, "gone");
  });
});
