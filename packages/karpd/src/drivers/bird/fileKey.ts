import type { MktAlgorithm } from "../../core/keytable/row.ts";
import type { DriverKey } from "../../ports/routingDriver.ts";

/** Algorithms that BIRD can and karp does not negotiate: of keys that a person wrote. */
export type StaticAlgorithm = `bird ${string}`;

/** A key as it stands in the include file. BIRD always covers the TCP options, so the file does not say it. */
export type FileKey = Omit<DriverKey, "coversTcpOptions" | "algorithm"> & {
  readonly algorithm: MktAlgorithm | StaticAlgorithm;
};

/** Algorithms that BIRD writes onto the wire as negotiated. Its HMAC-SHA-256 is cut to 96 bits: see README. */
const BIRD_ALGORITHMS: Readonly<Partial<Record<MktAlgorithm, string>>> = {
  "aes-128-cmac-96": "cmac aes128",
  "hmac-sha-1-96": "hmac sha1",
};

const STATIC_ALGORITHMS: readonly string[] = ["hmac md5", "hmac sha256", "hmac sha384", "hmac sha512"];

/** BIRD's name of an algorithm; undefined: BIRD cannot do it. */
export function birdAlgorithm(algorithm: MktAlgorithm | StaticAlgorithm): string | undefined {
  return isStaticAlgorithm(algorithm) ? algorithm.slice("bird ".length) : BIRD_ALGORITHMS[algorithm];
}

function isStaticAlgorithm(algorithm: MktAlgorithm | StaticAlgorithm): algorithm is StaticAlgorithm {
  return algorithm.startsWith("bird ");
}

/** The other way round; undefined: BIRD has no such algorithm for TCP-AO. */
export function algorithmOfBird(text: string): MktAlgorithm | StaticAlgorithm | undefined {
  if (STATIC_ALGORITHMS.includes(text)) return `bird ${text}`;
  return (Object.keys(BIRD_ALGORITHMS) as MktAlgorithm[]).find((name) => BIRD_ALGORITHMS[name] === text);
}
