import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isKarpsText, parseInclude, renderInclude, renderReleased } from "../../src/drivers/bird/includeFile.ts";
import { parseStaticKeys } from "../../src/drivers/bird/staticKeys.ts";
import { key } from "./support.ts";

function read(text: string): unknown {
  return parseStaticKeys(text)?.map(({ sendId, recvId, algorithm, masterKey, use }) => {
    const secret = masterKey.expose((octets) => Buffer.from(octets).toString("latin1"));
    return [sendId, recvId, algorithm, secret, use];
  });
}

test("keys that a person wrote are read as BIRD reads them", () => {
  const block = (...words: readonly string[]): string => `authentication ao; keys { key { ${words.join("; ")}; }; };`;
  assert.deepEqual(read(block("id 1", 'secret "key-one"')), [[1, 1, "hmac-sha-1-96", "key-one", "accept"]]);
  assert.deepEqual(read(block("send id 3", "recv id 4", 'secret "a;{#"', "algorithm cmac aes128", "preferred")), [
    [3, 4, "aes-128-cmac-96", "a;{#", "preferred"],
  ]);
  assert.deepEqual(read(block("id 9", "send id 3", "secret hex:41:42", "algorithm hmac sha256", "deprecated")), [
    [3, 9, "bird hmac sha256", "AB", "deprecated"],
  ]);
  const octets = "41".repeat(16);
  for (const secret of [`hex:${octets}`, octets, octets.replaceAll(/41(?=4)/g, "41:")])
    assert.deepEqual(read(block("id 1", `secret ${secret}`)), [[1, 1, "hmac-sha-1-96", "A".repeat(16), "accept"]]);
  const twice = `keys { # one\n key { id 1; secret "a"; };\n /* two } */ key { id 2; secret "b"; }; };\nauthentication ao;`;
  assert.deepEqual(read(twice), [
    [1, 1, "hmac-sha-1-96", "a", "accept"],
    [2, 2, "hmac-sha-1-96", "b", "accept"],
  ]);
});

test("of two `keys` BIRD takes the last", () => {
  assert.deepEqual(read('keys { key { id 1; secret "a"; }; }; keys { key { id 2; secret "b"; }; };'), [
    [2, 2, "hmac-sha-1-96", "b", "accept"],
  ]);
});

test("what is not understood is nobody's key: constants, other statements, half of a block", () => {
  const none = [
    "",
    "keys { };",
    "keys { key { id 1; secret SECRET; }; };",
    'keys { key { id 300; secret "a"; }; };',
    "keys { key { id 1; }; };",
    'keys { key { id 1; secret "a"; algorithm hmac blake; }; };',
    'keys { key { id 1; secret "a"; };',
    'keys { key { id 1; secret "a" ',
    'authentication md5; password "x";',
    'keys { key { id 1; secret "a"; name "b"; }; };',
    "keys { key { id 1; secret 0011; }; };",
  ];
  for (const text of none) assert.equal(parseStaticKeys(text), undefined, text);
  fc.assert(fc.property(fc.string(), (text) => void parseStaticKeys(text)));
});

test("what karp leaves to people keeps its names, and says whether it was edited since", () => {
  const keys = [key(1, "preferred"), key(2, "accept")];
  const text = renderReleased("r2", keys, "2026-01-02T03:04:05.678Z");
  assert.ok(isKarpsText(text));
  const found = parseInclude(text);
  assert.ok(found.kind === "static");
  assert.deepEqual(
    found.keys.map(({ adminKeyName, sendId, use }) => [adminKeyName, sendId, use]),
    keys.map(({ adminKeyName, sendId, use }) => [adminKeyName, sendId, use]),
  );
  for (const edit of [text.replace("send id 2;", "send id 9;"), `${text}# mine\n`, text.replace(/^#.*$/m, "# mine")])
    assert.ok(!isKarpsText(edit), edit);
  const edited = parseInclude(text.replace("send id 2;", "send id 9;"));
  assert.ok(edited.kind === "static" && edited.keys[0]?.sendId === 9 && edited.keys[0].adminKeyName === "static/9-3");
});

test("a key with an algorithm that karp has no name for stands in karp's file while it is rolled away", () => {
  const theirs = { ...key(1, "preferred"), adminKeyName: "static/2-3", algorithm: "bird hmac sha256" } as const;
  const found = parseInclude(renderInclude("r2", { keys: [theirs, key(2, "accept")], isProtocolDisabled: false }));
  assert.ok(found.kind === "ours");
  assert.deepEqual(
    found.keys.map(({ algorithm }) => algorithm),
    ["bird hmac sha256", "aes-128-cmac-96"],
  );
});
