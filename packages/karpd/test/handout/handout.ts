import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { HandoutJson } from "../../src/handout/form.ts";

const day = 86_400_000;
const start = Date.UTC(2026, 10, 21, 8, 30);

/** Two keys whose KeyIDs differ by direction: ours are sent as 11 and 12, received as 21 and 22. */
export function handoutOf(change: Partial<HandoutJson["keys"][number]> = {}): HandoutJson {
  return {
    session: "r7",
    protocol: "bgp",
    port: 179,
    localAddress: "10.0.0.1",
    remoteAddress: "10.0.0.7",
    chain: 1,
    keys: [0, 1].map((place) => ({
      sendId: 11 + place,
      recvId: 21 + place,
      algorithm: "aes-128-cmac-96",
      coversTcpOptions: true,
      masterKey: ["kq7mzx2b4nrt9wcd8vfgh3jspauy", "zw5yxvt8srqp3nmk7jhgf2edcb4a"][place] ?? "",
      sendFrom: start + place * 45 * day,
      sendUntil: start + (place + 1) * 45 * day,
      acceptFrom: start + (place * 45 - 7) * day,
      acceptUntil: start + ((place + 1) * 45 + 7) * day,
      ...change,
    })),
  };
}

/** Both directions with one number, for routers that know no other way. */
export function oneKeyId(handout: HandoutJson): HandoutJson {
  return { ...handout, keys: handout.keys.map((key) => ({ ...key, recvId: key.sendId })) };
}

/** The text is what the golden file has; KARP_UPDATE_GOLDEN=1 writes it. */
export function assertGolden(name: string, text: string): void {
  const path = join(import.meta.dirname, "golden", name);
  if (process.env["KARP_UPDATE_GOLDEN"] === "1") writeFileSync(path, text);
  assert.equal(text, readFileSync(path, "utf8"));
}
