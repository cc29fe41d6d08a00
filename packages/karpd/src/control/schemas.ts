import { Type } from "typebox";

const SessionName = Type.String({
  pattern: "^[a-z0-9._-]{1,63}$",
  description: "name of a session in the configuration",
});
const KeyId = Type.Integer({ minimum: 0, maximum: 255 });
const HexKey = Type.String({ pattern: "^([0-9a-f]{2}){16,80}$", description: "master key, lowercase hex" });

export const SessionBody = Type.Object({ session: SessionName }, { additionalProperties: false });
export const RevokeBody = Type.Object(
  { session: SessionName, reason: Type.Optional(Type.String({ maxLength: 200 })) },
  { additionalProperties: false },
);
export const FreezeBody = Type.Object(
  { session: Type.Optional(SessionName), seconds: Type.Integer({ minimum: 1, maximum: 7_776_000 }) },
  { additionalProperties: false },
);
export const ThawBody = Type.Object({ session: Type.Optional(SessionName) }, { additionalProperties: false });
export const ManualKeyBody = Type.Object(
  {
    session: SessionName,
    sendId: KeyId,
    recvId: KeyId,
    algorithm: Type.Union([
      Type.Literal("aes-128-cmac-96"),
      Type.Literal("hmac-sha-1-96"),
      Type.Literal("hmac-sha-256-128"),
    ]),
    coversTcpOptions: Type.Boolean({ default: true }),
    key: HexKey,
  },
  { additionalProperties: false },
);
export const HandoutBody = Type.Object(
  {
    session: SessionName,
    again: Type.Boolean({ default: false, description: "give the keys of a chain once more" }),
  },
  { additionalProperties: false },
);
export const AdminKeyNameBody = Type.Object(
  { adminKeyName: Type.String({ minLength: 3, maxLength: 96 }) },
  { additionalProperties: false },
);
export const EventsQuery = Type.Object(
  {
    limit: Type.String({
      pattern: "^(1000|[1-9][0-9]{0,2})$",
      default: "100",
      description: "how many at most, 1 to 1000",
    }),
  },
  { additionalProperties: false },
);

/** Every answer to a command. */
export const Reply = Type.Object(
  {
    ok: Type.Boolean(),
    text: Type.String({ description: "one sentence for people" }),
    code: Type.Optional(Type.String({ description: "stable code of a failure" })),
    adminKeyName: Type.Optional(Type.String()),
    key: Type.Optional(Type.Unknown({ description: "Keytable_getSA only" })),
    handout: Type.Optional(Type.Unknown({ description: "handout only" })),
    changes: Type.Optional(Type.Array(Type.String())),
  },
  { additionalProperties: false },
);
/** Lists of views; their members are described in core/views.ts. */
export const Views = Type.Array(Type.Object({}, { additionalProperties: true }));
export const Open = Type.Object({}, { additionalProperties: true });
