/** The one schema of the configuration file: it checks, it makes the JSON Schema and the reference in the guide. */
import { type Static, type TSchema, Type } from "typebox";
import { DEFAULT_KEYER_SOCKET } from "../keyer/protocol.ts";
import type { Parsed } from "./result.ts";
import type { DriverSchemas } from "./settings.ts";
import {
  parseDuration,
  parseFileName,
  parseFingerprint,
  parseHost,
  parseKeyIds,
  parseListen,
  parseName,
  parsePeer,
  parsePercentage,
  parseWindow,
  sessionNamePattern,
} from "./words.ts";

/** Formats of strings by the name that stands in the schema. Numbers are read as they stand in the file. */
export const formats: Readonly<Record<string, (text: string) => Parsed<unknown>>> = {
  "karp-duration": parseDuration,
  "karp-window": parseWindow,
  "karp-address": parseHost,
  "karp-listen": parseListen,
  "karp-percentage": parsePercentage,
  "karp-key-ids": parseKeyIds,
  "karp-fingerprint": parseFingerprint,
  "karp-identity": parseName,
  "karp-peer": parsePeer,
  "karp-file": parseFileName,
};

export const protocolPorts: Readonly<Record<string, number>> = {
  bgp: 179,
  ldp: 646,
  msdp: 639,
  pcep: 4189,
  "rpki-rtr": 323,
};

export const encryptionWords = [
  "aes-128-gcm",
  "aes-256-gcm",
  "chacha20-poly1305",
  "aes-128-cbc",
  "aes-256-cbc",
] as const;
export const prfWords = ["hmac-sha-256", "hmac-sha-384", "hmac-sha-512"] as const;
export const keyExchangeWords = ["x25519", "ecp-256", "ecp-384", "modp-2048"] as const;

const closed = { additionalProperties: false } as const;

/** A string in one of our formats; `shown` is the default as people read it. */
function word(format: string, description: string, shown?: string) {
  const annotations = shown === undefined ? {} : { default: shown };
  return Type.Optional(Type.String({ format, description, ...annotations }));
}

function choice<const W extends string>(words: readonly W[], description: string, shown?: W) {
  const annotations = { description, ...(shown === undefined ? {} : { default: shown }) };
  return Type.Optional(Type.Unsafe<W>({ type: "string", enum: words, ...annotations }));
}

function choices<const W extends string>(words: readonly W[], description: string, shown?: string) {
  const annotations = {
    description,
    minItems: 1,
    uniqueItems: true,
    ...(shown === undefined ? {} : { default: shown }),
  };
  return Type.Optional(Type.Array(Type.Unsafe<W>({ type: "string", enum: words }), annotations));
}

function oneOrMore(format: string, description: string, shown?: string) {
  const item = Type.String({ format });
  const annotations = shown === undefined ? {} : { default: shown };
  return Type.Optional(Type.Union([item, Type.Array(item, { minItems: 1 })], { description, ...annotations }));
}

const rolloverSchema = Type.Object(
  {
    every: word("karp-duration", "Life of a key until the next one replaces it (soft lifetime).", "30d"),
    jitter: word("karp-percentage", "How much earlier or later, at random, so that not all keys roll at once.", "10%"),
    window: word("karp-window", "Time of the day, in UTC, in which rollovers begin.", "any time"),
    hard: word(
      "karp-duration",
      "Life of a key after which `on-expiry` applies when no successor came; `jitter` only ever shortens it.",
      "3 x every",
    ),
    drain: word(
      "karp-duration",
      "How long the old key is watched, still accepted, once the new one is current: no segment may come with it any more.",
      "60s",
    ),
    "keep-old": word(
      "karp-duration",
      "How long the old key is accepted after `drain`; at most a quarter of `every`.",
      "24h",
    ),
    settle: word(
      "karp-duration",
      "For peers that are no karp: how long after installing a key it is preferred.",
      "30s",
    ),
    quarantine: word("karp-duration", "How long a KeyID rests after its key is gone at both ends.", "240s"),
    orphan: word("karp-duration", "How long a key waits that the peer never mentions again.", "600s"),
    "prefer-timeout": word(
      "karp-duration",
      "How long a preferred key may take to come into use before the old one is preferred again.",
      "30s",
    ),
  },
  closed,
);

const soloSchema = Type.Object(
  {
    keys: Type.Optional(
      Type.Integer({ minimum: 2, maximum: 5, default: 4, description: "How many keys the neighbour gets at a time." }),
    ),
    every: word("karp-duration", "For how long each key is sent with; all keys together at most 180d.", "45d"),
  },
  closed,
);

const ikeSchema = Type.Object(
  {
    encryption: choices(encryptionWords, "Ciphers of the IKE SA in order of preference.", encryptionWords.join(", ")),
    prf: choices(prfWords, "Pseudorandom functions in order of preference.", prfWords.join(", ")),
    "key-exchange": choices(
      keyExchangeWords,
      "Key exchange methods in order of preference.",
      keyExchangeWords.join(", "),
    ),
    rekey: word("karp-duration", "Life of an IKE SA until it is rekeyed.", "8h"),
    reauthenticate: word("karp-duration", "Time after which both ends authenticate again.", "90d"),
    liveness: word("karp-duration", "Silence of the peer after which it is asked whether it lives.", "60s"),
    "release-after": word(
      "karp-duration",
      "With `ike-sa: release`: idle time after which the IKE SA is deleted.",
      "60s",
    ),
  },
  closed,
);

/** Words that `defaults:` may hold for all sessions. */
const sharedWords = {
  protocol: choice(["bgp", "ldp", "msdp", "pcep", "rpki-rtr"], "Routing protocol; decides the port.", "bgp"),
  driver: Type.Optional(
    Type.String({ description: "What puts the keys into the routing daemon: the name of a driver." }),
  ),
  vrf: Type.Optional(Type.String({ pattern: "^[^\\s/]{1,63}$", description: "VRF in which the session runs." })),
  mode: choice(
    ["observe", "opportunistic", "required"],
    "`observe` negotiates, rolls and stores keys and touches nothing; `opportunistic` installs the first key when both ends can; `required` fails closed from the start.",
    "observe",
  ),
  start: choice(
    ["always", "on-demand"],
    "When the first key is negotiated: at once, or when a connection waits for one (`karp wrap`), comes with a key that is not known here, or the peer asks.",
    "always",
  ),
  algorithms: choices(
    ["aes-128-cmac-96", "hmac-sha-1-96", "hmac-sha-256-128"],
    "TCP-AO algorithms in order of preference (RFC 5926; the third is an extra that both ends must know).",
    "all that the driver can, in this order",
  ),
  "tcp-options": choices(
    ["covered", "omitted"],
    "Whether the MAC covers the TCP options, in order of preference.",
    "covered",
  ),
  pfs: Type.Optional(Type.Boolean({ default: true, description: "A fresh key exchange for each key." })),
  "reserved-key-ids": Type.Optional(
    Type.Array(Type.String({ format: "karp-key-ids" }), {
      description: "KeyIDs that people use for keys of their own, each a number or a range: never chosen by karp.",
    }),
  ),
  "key-readers": Type.Optional(
    Type.Array(Type.Integer({ minimum: 0, maximum: 4_294_967_294 }), {
      description:
        "User ids (`id -u NAME`) of local programs that may read this session's keys with Keytable_getSA, besides root and karp.",
    }),
  ),
  "on-expiry": choice(
    ["keep-and-alarm", "fail-closed"],
    "What happens when the hard lifetime ends and no successor came.",
    "keep-and-alarm",
  ),
  "ike-sa": choice(["keep", "release"], "Whether the IKE SA stays up between rollovers.", "keep"),
  "peer-port": Type.Optional(
    Type.Integer({ minimum: 1, maximum: 65535, default: 500, description: "UDP port of the peer's karp." }),
  ),
  ike: Type.Optional(ikeSchema),
};

const sessionWords = {
  ...sharedWords,
  port: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 65535, description: "TCP port, when it is not the protocol's own." }),
  ),
  local: Type.String({ format: "karp-address", description: "Our address of the session." }),
  remote: Type.String({ format: "karp-address", description: "The neighbour's address of the session." }),
  peer: Type.String({
    format: "karp-peer",
    description:
      "The only identity that may key this session, as in the peer's certificate; `none` for a neighbour without karp (solo mode).",
  }),
  "peer-address": word("karp-address", "Address of the peer's karp, when it is not `remote`.", "remote"),
  fingerprint: oneOrMore(
    "karp-fingerprint",
    "SHA-256 of the peer's public key, instead of a certificate: sha256:… in hexadecimal or base64; several while it changes its key.",
  ),
  "psk-file": word("karp-file", "File with the secret shared with this one peer, mode 0600."),
  "allow-weak-psk": Type.Optional(
    Type.Boolean({ default: false, description: "Use a pre-shared key that can be guessed. For tests." }),
  ),
  rollover: Type.Optional(rolloverSchema),
  solo: Type.Optional(soloSchema),
};

const fileWords = {
  router: Type.String({ format: "karp-identity", description: "Who we are, as in our certificate." }),
  credentials: Type.Optional(
    Type.Object(
      {
        certificate: word(
          "karp-file",
          "Our certificate in PEM, then the intermediate ones. Without it our bare public key is presented.",
        ),
        "private-key": word(
          "karp-file",
          "Our private key in PEM or DER, mode 0600, without a passphrase; or systemd:NAME.",
        ),
        trust: word("karp-file", "Certificates (PEM) of the authorities that may vouch for peers."),
      },
      closed,
    ),
  ),
  listen: oneOrMore(
    "karp-listen",
    "Addresses and UDP ports for IKE: 10.0.0.1, 10.0.0.1:5500, [2001:db8::1]:5500, or a port alone for each session's `local`.",
    "[500, 4500]",
  ),
  store: word("karp-file", "The key table. Its directory belongs to karp alone.", "/var/lib/karp/store/keys.db"),
  "store-key": word(
    "karp-file",
    "Key that seals the key table: a file of 32 octets, made on first start, or systemd:NAME.",
    "STORE.key",
  ),
  control: word("karp-file", "Unix socket of the control interface.", "/run/karp/control.sock"),
  keyer: word(
    "karp-file",
    "Unix socket of `karp keyer`, for the drivers that key sockets of other processes.",
    DEFAULT_KEYER_SOCKET,
  ),
  rollover: Type.Optional(rolloverSchema),
};

/** Built once for the drivers at hand: each driver's words stand under its name, in a session or under `defaults`. */
export function configurationSchema(drivers: DriverSchemas) {
  const blocks = Object.fromEntries(
    Object.entries(drivers).map(([name, schema]) => [name, Type.Optional(settingsBlock(name, schema))]),
  );
  const session = Type.Object({ ...blocks, ...sessionWords }, closed);
  const defaults = Type.Object({ ...blocks, ...sharedWords }, closed);
  const sessions = Type.Record(Type.String({ pattern: sessionNamePattern }), session, {
    description: "What to key, by a name of your choice ([a-z0-9._-], up to 63).",
  });
  return Type.Object({ ...fileWords, defaults: Type.Optional(defaults), sessions }, { title: "karp.yaml", ...closed });
}

/** What is required may stand half in a session and half under `defaults`: that is checked when both are put together. */
function settingsBlock(name: string, schema: TSchema): TSchema {
  const { required: _required, ...rest } = schema as TSchema & { readonly required?: readonly string[] };
  return { ...rest, description: `Words of the driver ${name}.` } as TSchema;
}

const typedSession = Type.Object(sessionWords);
const typedDefaults = Type.Object(sharedWords);
const typedFile = Type.Object(fileWords);

/** Blocks of drivers stand beside these words: Reflect.get(session, driver). */
export type SessionWords = Static<typeof typedSession>;
export type SharedWords = Static<typeof typedDefaults>;
export type RolloverWords = Static<typeof rolloverSchema>;
export type IkeWords = Static<typeof ikeSchema>;
export type FileWords = Static<typeof typedFile> & {
  readonly defaults?: SharedWords;
  readonly sessions: Readonly<Record<string, SessionWords>>;
};
