import assert from "node:assert/strict";
import { test } from "node:test";
import { expectProblems } from "./expectProblems.ts";
import { header, Project } from "./project.ts";

const session = (...lines: readonly string[]): string =>
  `${header}\nsessions:\n  r7:\n${["driver: bird", "local: 10.0.0.1", "remote: 10.0.0.7", ...lines].map((line) => `    ${line}`).join("\n")}\n`;

test("peer: none is solo mode: no peer, a chain of 4 keys of 45 days unless the words say otherwise", async (t) => {
  const project = new Project(t);
  const plain = await project.load(session("peer: none"), {});
  assert.ok(plain.ok, JSON.stringify(plain));
  assert.deepEqual(plain.configuration.peers, []);
  assert.deepEqual(plain.configuration.sessions[0]?.solo, { keys: 4, everySeconds: 45 * 86_400 });
  assert.equal(plain.configuration.sessions[0]?.peer, "none");
  const words = await project.load(session("peer: none", "start: on-demand", "solo: { keys: 2, every: 90d }"), {});
  assert.ok(words.ok, JSON.stringify(words));
  assert.deepEqual(words.configuration.sessions[0]?.solo, { keys: 2, everySeconds: 90 * 86_400 });
  assert.equal(words.configuration.sessions[0]?.start, "on-demand");
});

test("more than 180 days in all are refused", (t) =>
  expectProblems(t, session("peer: none", "solo: { every: «46d» }"), [
    {
      code: "chainTooLong",
      what: "4 keys together last 184 days: more than 180",
      advice: /^write at most `every: 45d`/,
    },
  ]));

test("words of solo mode beside a peer, and words of a peer in solo mode, are refused", async (t) => {
  await expectProblems(t, session("peer: r7.example.net", "«solo»: { keys: 3 }"), [
    { code: "soloWithPeer", what: "`solo` is for `peer: none`, not for r7.example.net", advice: /^write `peer: none`/ },
  ]);
  await expectProblems(t, session("peer: none", "«peer-address»: 10.0.0.9"), [
    { code: "noPeer", what: "`peer-address` is about a peer, and there is none", advice: /^remove `peer-address`/ },
  ]);
});
