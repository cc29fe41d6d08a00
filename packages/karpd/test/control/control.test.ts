import assert from "node:assert/strict";
import { chmodSync, statSync } from "node:fs";
import { request } from "node:http";
import { describe, test } from "node:test";
import { cannotBeNobody, Karp, NOBODY, type Router, Site, until } from "../daemon/site.ts";

interface Answer {
  readonly status: number;
  readonly body: { readonly ok?: boolean; readonly code?: string; readonly text?: string } & Record<string, unknown>;
}

/** One request as any HTTP client would make it. */
function call(
  router: Router,
  method: string,
  path: string,
  body?: string,
  headers: Record<string, string> = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { socketPath: router.socket, method, path, headers: { "content-type": "application/json", ...headers } },
      (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk: string) => {
          text += chunk;
        });
        response.on("end", () =>
          resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) as Answer["body"] }),
        );
      },
    );
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

const post = (router: Router, path: string, body: unknown): Promise<Answer> =>
  call(router, "POST", `/v1/${path}`, JSON.stringify(body));

/** Blocks of a stream of server-sent events. */
function stream(t: { after(action: () => void): void }, router: Router, lastEventId?: string): string[] {
  const blocks: string[] = [];
  const headers = lastEventId === undefined ? {} : { "last-event-id": lastEventId };
  const outgoing = request({ socketPath: router.socket, path: "/v1/events/stream", headers }, (response) => {
    assert.equal(response.headers["content-type"], "text/event-stream");
    let rest = "";
    response.setEncoding("utf8").on("data", (chunk: string) => {
      const parts = `${rest}${chunk}`.split("\n\n");
      rest = parts.pop() ?? "";
      blocks.push(...parts);
    });
    response.on("error", () => undefined);
  });
  outgoing.on("error", () => undefined);
  outgoing.end();
  t.after(() => outgoing.destroy());
  return blocks;
}

const idOf = (block: string): string => /^id: (.+)$/m.exec(block)?.[1] ?? "";

/** A program of another user that asks for the keys and prints the answer. */
const ASK = `
const [socketPath, path, body] = process.argv.slice(1);
const { request } = require("node:http");
const outgoing = request({ socketPath, path, method: "POST", headers: { "content-type": "application/json" } }, (response) => {
  response.pipe(process.stdout);
});
outgoing.on("error", (error) => console.log(JSON.stringify({ code: error.code })));
outgoing.end(body);
`;
const manual = {
  session: "bgp1",
  sendId: 70,
  recvId: 71,
  algorithm: "aes-128-cmac-96",
  key: "0123456789abcdef".repeat(2),
};

describe("control interface", { concurrency: 4 }, () => {
  test("the interfaces between routing protocol, KMP and key table exist by name", async (t) => {
    const { r1, r2 } = await Site.create(t);
    await Promise.all([r1.start(), r2.start()]);
    assert.equal((await post(r1, "RKMP_generateSA", { session: "bgp1" })).status, 200);
    const first = await r1.current();
    assert.equal((await post(r1, "RKMP_rekeySA", { session: "bgp1" })).status, 200);
    const second = await r1.current(first);
    const read = await post(r1, "Keytable_getSA", { session: "bgp1" });
    assert.equal(read.status, 200);
    const key = read.body["key"] as Record<string, unknown>;
    assert.equal(read.body.text, `key ${second}`);
    assert.match(String(key["masterKey"]), /^[0-9a-f]{32}$/);
    assert.deepEqual([key["sendId"], key["recvId"], key["algorithm"]], [2, 2, "aes-128-cmac-96"]);
    const inserted = await post(r1, "Keytable_insertSA", manual);
    assert.equal(inserted.status, 200, inserted.body.text);
    const { adminKeyName } = inserted.body;
    assert.match(String(adminKeyName), /^bgp1\/[0-9a-f]{16}$/);
    const deleted = await post(r1, "Keytable_delete", { adminKeyName });
    assert.equal(deleted.status, 200, deleted.body.text);
    await r1.event("keyInserted", /was inserted by uid/);
    await r1.event("keyDeleted", /was deleted by uid/);
    const replaced = await post(r1, "Keytable_rekeySA", { ...manual, sendId: 80, recvId: 81 });
    assert.equal(replaced.status, 200, replaced.body.text);
    // The driver takes out in its own time what was deleted
    const manuals = () => r1.views.keys.filter(({ createdBy, state }) => createdBy === "manual" && state !== "removed");
    const [only] = await until(
      () => manuals().length === 1 && manuals(),
      () => JSON.stringify(manuals()),
    );
    assert.equal(only?.adminKeyName, replaced.body["adminKeyName"]);
  });

  test("RP_revokeSA is an event on the stream", async (t) => {
    const { r1 } = await (await Site.create(t)).keyed();
    const blocks = stream(t, r1);
    await until(
      () => blocks.includes(": karp"),
      () => "no stream",
    );
    assert.equal((await post(r1, "revoke", { session: "bgp1", reason: "stolen" })).status, 200);
    const block = await until(
      () => blocks.find((text) => /^event: RP_revokeSA$/m.test(text)),
      () => blocks.join("\n\n"),
    );
    const data = JSON.parse(/^data: (.+)$/m.exec(block)?.[1] ?? "") as Record<string, unknown>;
    assert.equal(data["session"], "bgp1");
    assert.equal(data["severity"], "alarm");
    assert.match(String(data["at"]), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });

  test("event stream: Last-Event-ID brings what was missed, of this daemon and of its successor", async (t) => {
    const { r1 } = await Site.create(t);
    await r1.start();
    const all = stream(t, r1, "0");
    await until(
      () => all.length >= 3,
      () => all.join("\n\n"),
    );
    assert.match(all[0] ?? "", /^event: started$/m);
    const rest = stream(t, r1, idOf(all[0] ?? ""));
    await until(
      () => rest.length >= 2,
      () => rest.join("\n\n"),
    );
    assert.equal(idOf(rest[0] ?? ""), idOf(all[1] ?? ""), "the next one after that");
    const none = stream(t, r1);
    await until(
      () => none.length >= 1,
      () => "no stream",
    );
    assert.equal(none[0], ": karp", "without it only what comes");
    await r1.stop();
    await r1.start();
    const afterwards = stream(t, r1, idOf(all.findLast((block) => idOf(block) !== "") ?? ""));
    await until(
      () => afterwards.some((block) => /^event: started$/m.test(block)),
      () => afterwards.join("\n\n"),
    );
  });

  test("the OpenAPI document lists every route with what it takes", async (t) => {
    const { r1 } = await Site.create(t);
    await r1.start();
    const { paths } = (await call(r1, "GET", "/v1/openapi.json")).body as unknown as {
      paths: Record<string, Record<string, { requestBody?: unknown; summary?: string }>>;
    };
    const routes = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path.replace("/v1/", "")}`),
    );
    const reading = [
      "status",
      "peers",
      "sessions",
      "keys",
      "keytable",
      "rollovers",
      "events",
      "events/stream",
      "statistics",
      "changes",
    ];
    const commands = [
      "rekey",
      "revoke",
      "freeze",
      "thaw",
      "unmanage",
      "manage",
      "RKMP_generateSA",
      "RKMP_rekeySA",
      "handout",
      "Keytable_getSA",
      "Keytable_insertSA",
      "Keytable_rekeySA",
      "Keytable_delete",
    ];
    assert.deepEqual(
      routes.sort(),
      [...reading.map((name) => `get ${name}`), ...commands.map((name) => `post ${name}`), "post reload"].sort(),
    );
    for (const name of commands) assert.ok(paths[`/v1/${name}`]?.["post"]?.requestBody, `${name} says what it takes`);
    for (const methods of Object.values(paths)) for (const { summary } of Object.values(methods)) assert.ok(summary);
  });

  test("unknown session, key and path: 404 with a sentence", async (t) => {
    const { r1 } = await Site.create(t);
    await r1.start();
    for (const name of ["rekey", "revoke", "RKMP_generateSA", "Keytable_getSA"]) {
      const { status, body } = await post(r1, name, { session: "nowhere" });
      assert.equal(status, 404, name);
      assert.equal(body.code, "noSuchSession");
      assert.equal(body.text, "there is no session nowhere; there are bgp1");
    }
    const { status, body } = await post(r1, "Keytable_delete", { adminKeyName: "bgp1/0011223344556677" });
    assert.equal(status, 404);
    assert.equal(body.text, "there is no key bgp1/0011223344556677");
    const missing = await call(r1, "GET", "/v1/session");
    assert.equal(missing.status, 404);
    assert.deepEqual(missing.body, {
      ok: false,
      code: "notFound",
      text: "there is no GET /v1/session; GET /v1/openapi.json lists what there is",
    });
  });

  test("bad body: 400 with a sentence that names the field, and nothing happens", async (t) => {
    const { r1 } = await Site.create(t);
    await r1.start();
    const before = r1.events.length;
    const cases: readonly (readonly [string, string, RegExp])[] = [
      ["rekey", "{}", /session/],
      ["rekey", "", /Body cannot be empty/],
      ["rekey", '{"session":', /JSON/i],
      ["rekey", '{"session":7}', /session/],
      ["rekey", '{"session":"BGP 1"}', /session/],
      ["revoke", '{"session":"bgp1","reson":"stolen"}', /additional properties: reson/],
      ["freeze", '{"seconds":0}', /seconds/],
      ["freeze", '{"seconds":"long"}', /seconds/],
      ["Keytable_insertSA", JSON.stringify({ ...manual, key: "00" }), /key/],
      ["Keytable_insertSA", JSON.stringify({ ...manual, sendId: 256 }), /sendId/],
    ];
    for (const [name, body, sentence] of cases) {
      const answer = await call(r1, "POST", `/v1/${name}`, body);
      assert.equal(answer.status, 400, `${name} ${body}: ${JSON.stringify(answer.body)}`);
      assert.equal(answer.body.ok, false);
      assert.equal(answer.body.code, "badRequest");
      assert.match(answer.body.text ?? "", sentence, `${name} ${body}`);
    }
    const { status, body } = await call(r1, "GET", "/v1/events?limit=many");
    assert.equal(status, 400);
    assert.match(body.text ?? "", /limit/);
    const { body: one } = await call(r1, "GET", "/v1/events?limit=1");
    assert.equal((one as unknown as readonly unknown[]).length, 1);
    assert.ok(r1.events.slice(before).every(({ name }) => name === "ikeSaFailed" || name === "mktFailed"));
  });

  test("a key in a body that is refused is not repeated in the answer", async (t) => {
    const { r1 } = await Site.create(t);
    await r1.start();
    const key = `${"a1b2c3d4".repeat(4)}zz`;
    const { status, body } = await post(r1, "Keytable_insertSA", { ...manual, key });
    assert.equal(status, 400);
    assert.ok(!JSON.stringify(body).includes(key.slice(0, 8)));
    assert.ok(!r1.log.includes(key.slice(0, 8)));
  });

  test("body of more than 64 KiB: 413", async (t) => {
    const { r1 } = await Site.create(t);
    await r1.start();
    const { status, body } = await post(r1, "revoke", { session: "bgp1", reason: "x".repeat(70_000) });
    assert.equal(status, 413);
    assert.equal(body.ok, false);
    assert.equal((await call(r1, "GET", "/v1/status")).status, 200);
  });

  test("other content types are refused", async (t) => {
    const { r1 } = await Site.create(t);
    await r1.start();
    const { status } = await call(r1, "POST", "/v1/rekey", "session=bgp1", {
      "content-type": "application/x-www-form-urlencoded",
    });
    assert.equal(status, 415);
  });

  test("many requests at once are all answered", async (t) => {
    const { r1 } = await (await Site.create(t)).keyed();
    const paths = ["status", "peers", "sessions", "keys", "rollovers", "events", "statistics"];
    const former = r1.fingerprint;
    const commands = Array.from({ length: 20 }, () => post(r1, "rekey", { session: "bgp1" }));
    const reads = Array.from({ length: 210 }, (_, index) => call(r1, "GET", `/v1/${paths[index % paths.length]}`));
    const answers = await Promise.all([...reads, ...commands]);
    assert.ok(answers.every(({ status }) => status === 200));
    await r1.current(former);
    assert.ok(r1.views.keys.length <= 3, "twenty requests make one rollover");
  });

  test("the socket is for its owner and group: mode 0660", async (t) => {
    const { r1 } = await Site.create(t);
    await r1.start();
    assert.equal(statSync(r1.socket).mode & 0o777, 0o660);
  });

  test("Keytable_getSA: only root and karp's own user get a key; every attempt is in the audit trail", {
    skip: cannotBeNobody,
  }, async (t) => {
    const { r1 } = await (await Site.create(t)).keyed();
    // As if nobody were in the socket's group
    for (const [path, mode] of [
      [r1.socket, 0o666],
      [r1.home, 0o755],
      [`${r1.home}/..`, 0o755],
    ] as const)
      chmodSync(path, mode);
    const ask = async (path: string, body: unknown, uid?: number) => {
      const asked = new Karp(
        t,
        ["-e", ASK, r1.socket, `/v1/${path}`, JSON.stringify(body)],
        uid === undefined ? {} : { uid },
      );
      const { stdout } = await asked.ended;
      return { pid: asked.child.pid, answer: JSON.parse(stdout) as Answer["body"] };
    };
    const stranger = await ask("Keytable_getSA", { session: "bgp1" }, NOBODY);
    assert.deepEqual(stranger.answer, {
      ok: false,
      code: "notEntitled",
      text: `uid ${NOBODY} (pid ${stranger.pid}) may not read keys of bgp1`,
    });
    const refusal = await r1.event("keyRead", /may not read/);
    assert.equal(refusal.severity, "warning");
    assert.deepEqual(
      [refusal.data["uid"], refusal.data["pid"], refusal.data["allowed"]],
      [NOBODY, stranger.pid, false],
    );
    for (const [path, body] of [
      ["Keytable_insertSA", manual],
      ["Keytable_rekeySA", manual],
      ["Keytable_delete", { adminKeyName: r1.views.keys[0]?.adminKeyName }],
    ] as const) {
      const { answer } = await ask(path, body, NOBODY);
      assert.equal(answer.code, "notEntitled", path);
    }
    r1.configure({ session: { "key-readers": [NOBODY] } });
    await r1.client.post("/v1/reload", {});
    const reader = await ask("Keytable_getSA", { session: "bgp1" }, NOBODY);
    assert.equal(reader.answer.ok, true, "who stands in key-readers may read");
    const { answer } = await ask("Keytable_delete", { adminKeyName: r1.views.keys[0]?.adminKeyName }, NOBODY);
    assert.equal(answer.code, "notEntitled", "and nothing else");
    const root = await ask("Keytable_getSA", { session: "bgp1" });
    assert.equal(root.answer.ok, true);
    const audited = await r1.event("keyRead", /^key [0-9a-f]{16} was read by uid 0 \(pid \d+\)$/);
    assert.deepEqual([audited.data["uid"], audited.data["pid"], audited.data["allowed"]], [0, root.pid, true]);
  });
});
