import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import test from "node:test";
import { UnknownKeyWatch } from "../../src/runtime/unknownKeyWatch.ts";

function netstat(keyNotFound: number, bad: number): string {
  return `TcpExt: SyncookiesSent TCPAOBad TCPAOKeyNotFound\nTcpExt: 7 ${bad} ${keyNotFound}\nIpExt: InNoRoutes\nIpExt: 3\n`;
}

test("segments with an unknown or another key are seen, each growth once, and not what was counted before the start", async () => {
  let text = netstat(40, 2);
  let seen = 0;
  const watch = new UnknownKeyWatch({ read: async () => text, onSeen: () => void seen++ });
  await watch.look();
  await watch.look();
  assert.equal(seen, 0);
  text = netstat(41, 2);
  await watch.look();
  await watch.look();
  assert.equal(seen, 1);
  text = netstat(41, 3);
  await watch.look();
  assert.equal(seen, 2);
});

test("a slow kernel is not asked twice at once", async () => {
  const { promise, resolve } = Promise.withResolvers<string>();
  let reads = 0;
  const read = (): Promise<string> => {
    reads += 1;
    return promise;
  };
  const watch = new UnknownKeyWatch({ read, onSeen: () => undefined });
  const looks = [watch.look(), watch.look()];
  resolve(netstat(0, 0));
  await Promise.all(looks);
  assert.equal(reads, 1);
});

test("no counters, no file, or this machine's own: nothing is seen and nothing is thrown", async () => {
  const texts = [
    async () => "TcpExt: SyncookiesSent\nTcpExt: 7\n",
    async () => "",
    () => readFile("/nonexistent", "latin1"),
  ];
  for (const read of [...texts, undefined]) {
    const isOwn = read === undefined; // whose counters may grow
    const onSeen = isOwn ? () => undefined : () => assert.fail("seen");
    const watch = new UnknownKeyWatch({ ...(isOwn ? {} : { read }), onSeen });
    await watch.look();
    await watch.look();
    watch.stop();
  }
});
