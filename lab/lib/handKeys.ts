// Keys that the lab itself makes up and writes, without karp: what an operator would type.
import { randomBytes } from "node:crypto";

/** Algorithms that both BIRD and Linux have. */
export type Algorithm = "aes-128-cmac-96" | "hmac-sha-1-96" | "hmac-sha-256-96";

const BIRD_ALGORITHM: Readonly<Record<Algorithm, string>> = {
  "aes-128-cmac-96": "cmac aes128",
  "hmac-sha-1-96": "hmac sha1",
  "hmac-sha-256-96": "hmac sha256",
};
const KEY_LENGTH: Readonly<Record<Algorithm, number>> = {
  "aes-128-cmac-96": 16,
  "hmac-sha-1-96": 20,
  "hmac-sha-256-96": 32,
};

export interface HandKey {
  readonly name: string;
  readonly algorithm: Algorithm;
  readonly keyHex: string;
  /** What each end puts into KeyID: r1's SendID is r2's RecvID and the other way round. */
  readonly sendId: Readonly<Record<"r1" | "r2", number>>;
}

export function makeHandKey(name: string, algorithm: Algorithm, r1: number, r2: number): HandKey {
  return { name, algorithm, keyHex: randomBytes(KEY_LENGTH[algorithm]).toString("hex"), sendId: { r1, r2 } };
}

export type Role = "plain" | "preferred" | "deprecated";

/** The whole block that a `protocol bgp` includes, from one end's point of view. */
export function birdKeyBlock(end: "r1" | "r2", keys: readonly (readonly [HandKey, Role])[]): string {
  const other = end === "r1" ? "r2" : "r1";
  const lines = keys.map(([key, role]) => {
    const ids = `send id ${key.sendId[end]}; recv id ${key.sendId[other]};`;
    const flag = role === "plain" ? "" : ` ${role};`;
    return `  key { ${ids} secret hex:${key.keyHex}; algorithm ${BIRD_ALGORITHM[key.algorithm]};${flag} };\n`;
  });
  return `authentication ao;\nkeys {\n${lines.join("")}};\n`;
}
