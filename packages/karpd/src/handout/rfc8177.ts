import { chainName, type Form, FormatRefused, type FormKey } from "./form.ts";

/** RFC 8177 `ietf-key-chain` as JSON (RFC 7951). Its key-id is administrative; the KeyIDs of TCP-AO stand in our own fields. */
export function formatRfc8177(form: Form): string {
  const chain = {
    name: chainName(form),
    description: `session ${form.session} of ${form.router}, chain ${form.chain}`,
    key: form.keys.map(keyOf),
  };
  return `${JSON.stringify({ "ietf-key-chain:key-chains": { "key-chain": [chain] } }, undefined, 2)}\n`;
}

/** RFC 8177 has no identity for HMAC-SHA-1-96: hmac-sha-1-12 is the same, 12 octets of HMAC-SHA-1. */
const algorithms = {
  "aes-128-cmac-96": "ietf-key-chain:aes-cmac-prf-128",
  "hmac-sha-1-96": "ietf-key-chain:hmac-sha-1-12",
} as const;

function keyOf(key: FormKey): object {
  const { algorithm } = key;
  if (algorithm === "hmac-sha-256-128") {
    throw new FormatRefused(
      "RFC 8177 has no identity for hmac-sha-256-128: set `algorithms` of the session to another one",
    );
  }
  return {
    "key-id": String(key.recvId),
    lifetime: {
      "send-lifetime": period(key.sendFrom, key.sendUntil),
      "accept-lifetime": period(key.acceptFrom, key.acceptUntil),
    },
    "crypto-algorithm": algorithms[algorithm],
    "key-string": { keystring: key.secret },
    "karp:tcp-ao": {
      "send-id": key.sendId,
      "recv-id": key.recvId,
      "include-tcp-options": key.coversTcpOptions,
    },
  };
}

function period(from: number, until: number): object {
  const text = (at: number): string => new Date(at).toISOString().replace(".000Z", "+00:00");
  return { "start-date-time": text(from), "end-date-time": text(until) };
}
