import { Secret } from "@karp/ikev2";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Static } from "typebox";
import type { Command, CommandReply, Handout, LocalCaller, ManualKey } from "../core/machine.ts";
import type { ControlBackend } from "./backend.ts";
import { peerCredentials } from "./peerCredentials.ts";
import {
  AdminKeyNameBody,
  FreezeBody,
  HandoutBody,
  ManualKeyBody,
  Reply,
  RevokeBody,
  SessionBody,
  ThawBody,
} from "./schemas.ts";

type Session = Static<typeof SessionBody>;

/** Commands: the words of the command line, and the interfaces between routing protocol, KMP and key table by name. */
export function commandRoutes(app: FastifyInstance, backend: ControlBackend): void {
  const post = <Body>(
    path: string,
    summary: string,
    body: object,
    toCommand: (body: Body, caller: () => Promise<LocalCaller>) => Command | Promise<Command>,
  ): void => {
    app.post<{ Body: Body }>(
      `/v1/${path}`,
      { schema: { summary, body, response: { "2xx": Reply, "4xx": Reply, "5xx": Reply } } },
      async (request, reply) => {
        const command = await toCommand(request.body as Body, () => callerOf(request));
        return answer(reply, withNames(await backend.command(command), backend));
      },
    );
  };

  post<Session>("rekey", "roll the session's key now", SessionBody, ({ session }) => ({
    kind: "RKMP_rekeySA",
    session,
  }));
  post<Session>("RKMP_generateSA", "negotiate a key for a session", SessionBody, ({ session }) => ({
    kind: "RKMP_generateSA",
    session,
  }));
  post<Session>("RKMP_rekeySA", "roll a key that is still valid", SessionBody, ({ session }) => ({
    kind: "RKMP_rekeySA",
    session,
  }));
  post<Static<typeof RevokeBody>>(
    "revoke",
    "end the use of all keys of a session",
    RevokeBody,
    ({ session, reason }) => ({
      kind: "revoke",
      session,
      reason: reason ?? "",
    }),
  );
  post<Static<typeof FreezeBody>>("freeze", "no rollover for some time", FreezeBody, (body) => ({
    kind: "freeze",
    ...body,
  }));
  post<Static<typeof ThawBody>>("thaw", "end a freeze", ThawBody, (body) => ({ kind: "thaw", ...body }));
  post<Session>("unmanage", "leave a session and its keys to people", SessionBody, ({ session }) => ({
    kind: "unmanage",
    session,
  }));
  post<Session>("manage", "take back a session that was left to people", SessionBody, ({ session }) => ({
    kind: "manage",
    session,
  }));
  post<Session>(
    "Keytable_getSA",
    "key material of a session, for an entitled local caller",
    SessionBody,
    async ({ session }, caller) => ({
      kind: "Keytable_getSA",
      session,
      caller: await caller(),
    }),
  );
  post<Static<typeof HandoutBody>>(
    "handout",
    "keys for a neighbour without karp, for an entitled local caller; once a chain",
    HandoutBody,
    async ({ session, again }, caller) => ({ kind: "handout", session, again, caller: await caller() }),
  );
  post<Static<typeof ManualKeyBody>>(
    "Keytable_insertSA",
    "store a key that was made elsewhere",
    ManualKeyBody,
    async (body, caller) => ({
      kind: "Keytable_insertSA",
      row: manualKey(body),
      caller: await caller(),
    }),
  );
  post<Static<typeof ManualKeyBody>>(
    "Keytable_rekeySA",
    "replace a session's key by one made elsewhere",
    ManualKeyBody,
    async (body, caller) => ({
      kind: "Keytable_rekeySA",
      session: body.session,
      row: manualKey(body),
      caller: await caller(),
    }),
  );
  post<Static<typeof AdminKeyNameBody>>(
    "Keytable_delete",
    "drop a key that is not in use",
    AdminKeyNameBody,
    async ({ adminKeyName }, caller) => ({
      kind: "Keytable_delete",
      adminKeyName,
      caller: await caller(),
    }),
  );
  app.post(
    "/v1/reload",
    { schema: { summary: "read the configuration again; all or nothing", response: { "2xx": Reply, "4xx": Reply } } },
    async (_request, reply) => {
      const result = await backend.reload();
      return reply.status(result.ok ? 200 : 422).send(result);
    },
  );
}

const MOST_NAMES = 12;

/** A name that was mistyped is found again in the list of those that there are. */
function withNames(result: CommandReply, backend: ControlBackend): CommandReply {
  if (result.ok || result.code !== "noSuchSession") return result;
  const names = backend.views().sessions.map(({ session }) => session);
  const more = names.length > MOST_NAMES ? `, and ${names.length - MOST_NAMES} more` : "";
  const list = names.length === 0 ? "none is configured" : `there are ${names.slice(0, MOST_NAMES).join(", ")}${more}`;
  return { ...result, text: `${result.text}; ${list}` };
}

/** HTTP status by the reply's code; the body says the rest. */
const STATUS: Readonly<Record<string, number>> = {
  noSuchSession: 404,
  noKey: 404,
  notEntitled: 403,
  busy: 409,
  frozen: 409,
  unmanaged: 409,
  keyInUse: 409,
  handedOut: 409,
  dated: 409,
  keyIdInUse: 409,
  notStored: 503,
};

function answer(reply: FastifyReply, result: CommandReply): FastifyReply {
  if (!result.ok) return reply.status(STATUS[result.code] ?? 422).send(result);
  const { key, handout, ...rest } = result;
  if (handout !== undefined) return reply.send({ ...rest, handout: exposeHandout(handout) });
  // Here and below are the only places where master keys leave karp towards a program, after the entitlement check.
  const exposed = key && { ...key, masterKey: key.masterKey.expose((octets) => Buffer.from(octets).toString("hex")) };
  return reply.send(exposed === undefined ? rest : { ...rest, key: exposed });
}

function exposeHandout({ keys, ...rest }: Handout): object {
  const exposed = keys.map(({ masterKey, ...key }) => ({
    ...key,
    masterKey: masterKey.expose((octets) => Buffer.from(octets).toString("latin1")),
  }));
  return { ...rest, keys: exposed };
}

function manualKey({ key, ...rest }: Static<typeof ManualKeyBody>): ManualKey {
  return { ...rest, masterKey: new Secret(Uint8Array.from(Buffer.from(key, "hex"))) };
}

async function callerOf(request: FastifyRequest): Promise<LocalCaller> {
  return await peerCredentials(request.raw.socket);
}
