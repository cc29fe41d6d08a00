import { chmod, lstat, mkdir, rm, stat } from "node:fs/promises";
import { connect } from "node:net";
import { dirname } from "node:path";
import swagger from "@fastify/swagger";
import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import type { ControlBackend } from "./backend.ts";
import { commandRoutes } from "./commandRoutes.ts";
import { viewRoutes } from "./viewRoutes.ts";

const LONGEST_REQUEST_MILLISECONDS = 10_000;
const LONGEST_SILENCE_MILLISECONDS = 60_000;
const MOST_CONNECTIONS = 256;

/** Why the control socket cannot be opened, as a sentence that says what to do. */
export class ControlSocketError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "ControlSocketError";
  }
}

export interface ControlServer {
  close(): Promise<void>;
}

/**
 * HTTP over a unix socket (mode 0660: the group of the socket's directory decides who may ask). A socket left behind by
 * a daemon that died is replaced; one that answers belongs to a living daemon and is an error. Requests that come before
 * `ready` wait for it.
 */
export async function startControlServer(
  path: string,
  backend: ControlBackend,
  ready: Promise<void>,
  longestRequestMilliseconds = LONGEST_REQUEST_MILLISECONDS,
): Promise<ControlServer> {
  await removeStaleSocket(path);
  // /run is empty after a reboot: its own directory there karp makes itself, and nothing above it
  await mkdir(dirname(path), { mode: 0o750 }).catch(() => undefined);
  const app: FastifyInstance = Fastify({
    logger: false,
    bodyLimit: 64 * 1024,
    // A caller that dawdles over its request is cut off, and so is one too many: whoever may open the socket is not
    // trusted with the daemon's memory
    requestTimeout: longestRequestMilliseconds,
    connectionTimeout: LONGEST_SILENCE_MILLISECONDS,
    http: { headersTimeout: longestRequestMilliseconds, connectionsCheckingInterval: longestRequestMilliseconds / 4 },
    forceCloseConnections: true,
    // A word that is misspelt is an error and no silence; a number is no text
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false } },
  });
  app.server.maxConnections = MOST_CONNECTIONS;
  app.addHook("onRequest", () => ready);
  app.setErrorHandler(sayWhatIsWrong);
  app.setNotFoundHandler(async ({ method, url }, reply) =>
    reply.status(404).send({
      ok: false,
      code: "notFound",
      text: `there is no ${method} ${url}; GET /v1/openapi.json lists what there is`,
    }),
  );
  await app.register(swagger, {
    openapi: { info: { title: "karp control interface", version: backend.status().version } },
  });
  await app.register(async (routes) => {
    viewRoutes(routes, backend);
    commandRoutes(routes, backend);
  });
  app.get("/v1/openapi.json", { schema: { hide: true } }, async () => app.swagger());
  try {
    await app.listen({ path });
    await chmod(path, 0o660);
  } catch (error) {
    await app.close();
    throw await socketError(path, error);
  }
  return { close: () => app.close() };
}

async function removeStaleSocket(path: string): Promise<void> {
  const existing = await lstat(path).catch(() => undefined);
  if (existing === undefined) return;
  if (!existing.isSocket())
    throw new ControlSocketError(`${path} exists and is not a socket; remove it or choose another \`control:\` path`);
  const answer = await knock(path);
  if (answer === undefined)
    throw new ControlSocketError(
      `another karp answers on ${path}; stop it first, or give this one its own \`control:\` path`,
    );
  if (answer === "ENOENT") return;
  // Only a refusal says that nobody listens any more: what may not be asked, or has no time, is alive
  if (answer !== "ECONNREFUSED")
    throw new ControlSocketError(
      `${path} is there and cannot be asked whether another karp runs (${answer}); stop that one or remove the file, ` +
        "or give this one its own `control:` path",
    );
  await removeLeftBehind(path);
}

/** Requests that are wrong are the caller's fault and said so; anything else is ours. */
async function sayWhatIsWrong(error: FastifyError, _request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
  const status = error.statusCode ?? 500;
  const isCallers = status >= 400 && status < 500;
  const unknown = error.validation
    ?.map(({ params }) => params["additionalProperty"])
    .find((name) => name !== undefined);
  const text = unknown === undefined ? error.message : `${error.message}: ${String(unknown)}`;
  return await reply.status(status).send({ ok: false, code: isCallers ? "badRequest" : "internal", text });
}

/** bind(2) tells neither which directory nor whether it is there. */
async function socketError(path: string, error: unknown): Promise<ControlSocketError> {
  const directory = dirname(path);
  const exists = (await stat(directory).catch(() => undefined)) !== undefined;
  const cause = error instanceof Error ? error.message : String(error);
  const advice = exists
    ? `${cause}; may this user write into ${directory}?`
    : `its directory does not exist; create it for karp's user: mkdir -p ${directory}`;
  return new ControlSocketError(`cannot open the control socket ${path}: ${advice}`);
}

async function removeLeftBehind(path: string): Promise<void> {
  try {
    await rm(path);
  } catch (error) {
    throw await socketError(path, error);
  }
}

/** Undefined when somebody answers, else why nobody does. */
function knock(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once("connect", () => {
      probe.destroy();
      resolve(undefined);
    });
    probe.once("error", ({ code = "EIO" }: NodeJS.ErrnoException) => resolve(code));
  });
}
