/** Bare operations of node:crypto, to compare with: once through our CryptoProvider, as the engine does them. */
import { createPublicKey, generateKeyPairSync, randomBytes } from "node:crypto";
import { loadSigningKey, NodeCryptoProvider } from "@karp/ikev2/node";
import { cpuMicroseconds, type Work } from "./cpuTime.ts";
import { type Benchmark, figure, type Row } from "./figure.ts";
import { bareKeyExchange } from "./pairs.ts";

const times = 2000;

export const primitives: Benchmark = {
  title: "bare operations",
  run: async (): Promise<readonly Row[]> => {
    const samples = await cpuMicroseconds({
      x25519: bareKeyExchange,
      sign: signing(),
      verify: verifying(),
      hmac: macs(),
      seal: sealing(),
      open: opening(),
    });
    return [
      figure("X25519: generate and agree, both ends", "µs", samples.x25519),
      figure("Ed25519: sign 500 octets", "µs", samples.sign),
      figure("Ed25519: verify, key parsed each time", "µs", samples.verify),
      figure("HMAC-SHA2-256 over 100 octets", "µs", samples.hmac),
      figure("AES-128-GCM: seal 200 octets", "µs", samples.seal),
      figure("AES-128-GCM: open 200 octets", "µs", samples.open),
    ];
  },
};

const crypto = new NodeCryptoProvider();

function repeated(operation: (index: number) => unknown): Work {
  return {
    count: times,
    prepare: () =>
      Promise.resolve((index: number) => {
        if (operation(index) === undefined) throw new Error("refused");
      }),
  };
}

function signing(): Work {
  const key = loadSigningKey(
    generateKeyPairSync("ed25519").privateKey.export({ format: "pem", type: "pkcs8" }).toString(),
  );
  const data = octets(500);
  return repeated(() => key.sign("ed25519", data));
}

function verifying(): Work {
  const data = octets(500);
  // two keys in turn: the provider remembers the last one
  const signed = [0, 1].map(() => {
    const { privateKey } = generateKeyPairSync("ed25519");
    const key = loadSigningKey(privateKey.export({ format: "pem", type: "pkcs8" }).toString());
    const publicKey = new Uint8Array(createPublicKey(privateKey).export({ format: "der", type: "spki" }));
    return { publicKey, signature: key.sign("ed25519", data) };
  });
  return repeated((index) => {
    const each = signed[index & 1];
    return each !== undefined && crypto.verify(each.publicKey, "ed25519", data, each.signature) ? true : undefined;
  });
}

function macs(): Work {
  const [key, data] = [octets(32), octets(100)];
  return repeated(() => crypto.hmac("sha256", key, data));
}

function sealing(): Work {
  const [key, nonce, associatedData, plaintext] = [octets(16), octets(12), octets(32), octets(200)];
  return repeated(() => crypto.aeadSeal("aes-128-gcm", key, nonce, associatedData, plaintext));
}

function opening(): Work {
  const [key, nonce, associatedData] = [octets(16), octets(12), octets(32)];
  const sealed = crypto.aeadSeal("aes-128-gcm", key, nonce, associatedData, octets(200));
  return repeated(() => crypto.aeadOpen("aes-128-gcm", key, nonce, associatedData, sealed));
}

function octets(length: number): Uint8Array {
  return new Uint8Array(randomBytes(length));
}
