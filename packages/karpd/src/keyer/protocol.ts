// What is spoken on the keyer's unix socket: one JSON document a line. Requests have an id, their answer has the same
// one; events have none. Both ends check every line against these schemas.
import { Secret } from "@karp/ikev2";
import { type Static, type TSchema, Type } from "typebox";
import { Value } from "typebox/value";
import type { DriverKey, Observation, ObserveOutcome } from "../ports/routingDriver.ts";

/** A directory of root's: whoever runs as karp can speak here, and not stand in for the keyer. */
export const DEFAULT_KEYER_SOCKET = "/run/karp-keyer/keyer.sock";

/** The longest line that either end takes. */
export const LONGEST_LINE_BYTES = 64 * 1024;

const closed = { additionalProperties: false } as const;
const id = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const sessionName = Type.String({ pattern: "^[a-z0-9._-]{1,63}$" });
const keyId = Type.Integer({ minimum: 0, maximum: 255 });
const sentence = Type.String({ maxLength: 4096 });
const address = Type.String({ minLength: 2, maxLength: 64 });
const port = Type.Integer({ minimum: 0, maximum: 65535 });

const keySchema = Type.Object(
  {
    adminKeyName: Type.String({ minLength: 1, maxLength: 160 }),
    sendId: keyId,
    recvId: keyId,
    algorithm: Type.Unsafe<DriverKey["algorithm"]>({
      type: "string",
      enum: ["aes-128-cmac-96", "hmac-sha-1-96", "hmac-sha-256-128"],
    }),
    coversTcpOptions: Type.Boolean(),
    /** Hexadecimal. */
    masterKey: Type.String({ pattern: "^([0-9a-f]{2}){1,80}$" }),
    use: Type.Unsafe<DriverKey["use"]>({ type: "string", enum: ["accept", "preferred", "deprecated"] }),
    isPlaceholder: Type.Optional(Type.Literal(true)),
  },
  closed,
);
const keys = Type.Array(keySchema, { maxItems: 64 });

/** From karpd. */
const apply = Type.Object({ id, request: Type.Literal("apply"), session: sessionName, keys }, closed);
const observe = Type.Object({ id, request: Type.Literal("observe"), session: sessionName }, closed);
const revoke = Type.Object({ id, request: Type.Literal("revoke"), session: sessionName, keep: keys }, closed);
const examine = Type.Object({ id, request: Type.Literal("examine"), session: sessionName }, closed);
const survey = Type.Object({ id, request: Type.Literal("survey"), session: sessionName }, closed);
const reload = Type.Object({ id, request: Type.Literal("reload") }, closed);
/** From a supervisor: `fd` is a descriptor of the process that asks, a TCP socket that is not connected yet. */
const keySocket = Type.Object(
  {
    id,
    request: Type.Literal("keySocket"),
    fd: Type.Integer({ minimum: 0, maximum: 0x7fff_ffff }),
    destination: Type.Object({ address, port }, closed),
  },
  closed,
);
const sessions = Type.Object({ id, request: Type.Literal("sessions") }, closed);

export const requestSchema = Type.Union([apply, observe, revoke, examine, survey, reload, keySocket, sessions]);
export type KeyerRequest = Static<typeof requestSchema>;
export type WireKey = Static<typeof keySchema>;

function failure<const K extends string>(kind: K) {
  return Type.Object({ kind: Type.Literal(kind), reason: sentence }, closed);
}

const applyOutcome = Type.Union([
  Type.Object({ kind: Type.Literal("installed") }, closed),
  failure("pending"),
  Type.Object(
    {
      kind: Type.Literal("refused"),
      reason: sentence,
      adminKeyNames: Type.Optional(Type.Array(Type.String({ maxLength: 160 }))),
    },
    closed,
  ),
  failure("lost"),
  failure("foreign"),
]);

const count = Type.Integer({ minimum: 0 });
const observationSchema = Type.Object(
  {
    connections: Type.Optional(count),
    currentSendId: Type.Optional(keyId),
    rnextRecvId: Type.Optional(keyId),
    /** Pairs of RecvID and count. */
    goodByRecvId: Type.Optional(Type.Array(Type.Tuple([keyId, count]))),
    goodTotal: Type.Optional(count),
    badTotal: Type.Optional(count),
    receivedKeyId: Type.Optional(keyId),
    recvIdsPresent: Type.Optional(Type.Array(keyId)),
    establishedSince: Type.Optional(Type.String({ maxLength: 64 })),
  },
  closed,
);
const observeOutcome = Type.Union([
  Type.Object({ kind: Type.Literal("observed"), observation: observationSchema }, closed),
  failure("unavailable"),
]);

const revokeOutcome = Type.Union([Type.Object({ kind: Type.Literal("revoked") }, closed), failure("failed")]);

const findings = Type.Array(
  Type.Object(
    {
      severity: Type.Unsafe<"ok" | "warning" | "error">({ type: "string", enum: ["ok", "warning", "error"] }),
      text: sentence,
    },
    closed,
  ),
);

const socketSurvey = Type.Object(
  {
    isUp: Type.Boolean(),
    isKeyed: Type.Boolean(),
    hasMd5: Type.Boolean(),
    othersKeyIds: Type.Array(keyId),
    hasKeys: Type.Boolean(),
  },
  closed,
);

/** What became of a socket that a supervisor wants to connect. */
const keySocketOutcome = Type.Union([
  /** It has the keys: connect it. */
  Type.Object({ kind: Type.Literal("keyed"), session: sessionName }, closed),
  /** No session of ours goes there: connect it as it is. */
  Type.Object({ kind: Type.Literal("notOurs") }, closed),
  /** A session of ours that needs no key yet (mode observe, or opportunistic before the first key): connect it as it is. */
  Type.Object({ kind: Type.Literal("unsigned"), session: sessionName }, closed),
  /** A session that must not go on without a key, and there is none yet: the event `keyed` says when to ask again. */
  Type.Object({ kind: Type.Literal("waiting"), session: sessionName }, closed),
  /** connect() should fail with this error number, for example "EKEYREJECTED". */
  Type.Object({ kind: Type.Literal("refused"), errno: Type.String({ maxLength: 32 }), reason: sentence }, closed),
]);
export type KeySocketOutcome = Static<typeof keySocketOutcome>;

/** What a supervisor has to know of a session to leave all others alone while the keyer is down. */
const keyerSession = Type.Object(
  {
    name: sessionName,
    localAddress: address,
    remoteAddress: address,
    port,
    mode: Type.Unsafe<"observe" | "opportunistic" | "required">({
      type: "string",
      enum: ["observe", "opportunistic", "required"],
    }),
    /** `on-karp-down`: what a connect() does while there is nobody to ask. */
    onKarpDown: Type.Unsafe<"wait" | "fail">({ type: "string", enum: ["wait", "fail"] }),
  },
  closed,
);
export type KeyerSession = Static<typeof keyerSession>;

/** What each request is answered with. */
export const resultSchemas = {
  apply: applyOutcome,
  observe: observeOutcome,
  revoke: revokeOutcome,
  examine: findings,
  survey: socketSurvey,
  /** `refused`: why nothing was changed. */
  reload: Type.Object({ refused: Type.Optional(sentence) }, closed),
  keySocket: keySocketOutcome,
  sessions: Type.Array(keyerSession),
} as const;
export type KeyerRequestName = keyof typeof resultSchemas;
export type KeyerResult<N extends KeyerRequestName> = Static<(typeof resultSchemas)[N]>;

/** `wanted`: a connect() of the session is held for want of a key. `keyed`: the session has other keys than before. */
const eventSchema = Type.Object(
  { event: Type.Unsafe<"wanted" | "keyed">({ type: "string", enum: ["wanted", "keyed"] }), session: sessionName },
  closed,
);
export type KeyerEvent = Static<typeof eventSchema>;

const answerSchema = Type.Union([
  Type.Object({ id, result: Type.Unknown() }, closed),
  Type.Object({ id, error: sentence }, closed),
]);
export type KeyerAnswer = Static<typeof answerSchema>;

/** A line that is not what it should be; the message never quotes it. */
export class KeyerProtocolError extends Error {
  override readonly name = "KeyerProtocolError";
}

/** @throws KeyerProtocolError */
export function parseRequest(line: string): KeyerRequest {
  return checked(requestSchema, line, "a request");
}

/** @throws KeyerProtocolError */
export function parseAnswerOrEvent(line: string): KeyerAnswer | KeyerEvent {
  return checked(Type.Union([answerSchema, eventSchema]), line, "an answer or event");
}

/** @throws KeyerProtocolError */
export function parseResult<N extends KeyerRequestName>(name: N, result: unknown): KeyerResult<N> {
  const schema: TSchema = resultSchemas[name];
  if (Value.Check(schema, result)) return result as KeyerResult<N>;
  throw new KeyerProtocolError(`the keyer's answer to ${name} is not one: are both of the same version?`);
}

function checked<T extends TSchema>(schema: T, line: string, what: string): Static<T> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    // The parser's message would quote the line
    throw new KeyerProtocolError(`not ${what}: no JSON`);
  }
  if (!Value.Check(schema, value)) throw new KeyerProtocolError(`not ${what} of this version`);
  return value;
}

export function toWireKey({ masterKey, ...key }: DriverKey): WireKey {
  const { adminKeyName, sendId, recvId, algorithm, coversTcpOptions, use, isPlaceholder } = key;
  const hex = masterKey.expose((octets) => Buffer.from(octets).toString("hex"));
  return {
    adminKeyName,
    sendId,
    recvId,
    algorithm,
    coversTcpOptions,
    use,
    masterKey: hex,
    ...(isPlaceholder && { isPlaceholder }),
  };
}

export function fromWireKey({ masterKey, ...key }: WireKey): DriverKey {
  return { ...key, masterKey: new Secret(Uint8Array.from(Buffer.from(masterKey, "hex"))) };
}

export function toWireObservation(outcome: ObserveOutcome): KeyerResult<"observe"> {
  if (outcome.kind === "unavailable") return outcome;
  const { goodByRecvId, recvIdsPresent, ...rest } = outcome.observation;
  return {
    kind: "observed",
    observation: {
      ...rest,
      ...(recvIdsPresent !== undefined && { recvIdsPresent: [...recvIdsPresent] }),
      ...(goodByRecvId !== undefined && { goodByRecvId: [...goodByRecvId].map(([recvId, good]) => [recvId, good]) }),
    },
  };
}

export function fromWireObservation(result: KeyerResult<"observe">): ObserveOutcome {
  if (result.kind !== "observed") return { kind: "unavailable", reason: result.reason };
  const { goodByRecvId, ...rest } = result.observation;
  const observation: Observation = { ...rest, ...(goodByRecvId && { goodByRecvId: new Map(goodByRecvId) }) };
  return { kind: "observed", observation };
}
