import { chmod, rm, stat } from "node:fs/promises";
import { connect } from "node:net";
import swagger from "@fastify/swagger";
import Fastify, { type FastifyInstance } from "fastify";
import type { ControlBackend } from "./backend.ts";
import { commandRoutes } from "./commandRoutes.ts";
import { viewRoutes } from "./viewRoutes.ts";

export interface ControlServer {
  close(): Promise<void>;
}

/**
 * HTTP over a unix socket (mode 0660: the group of the socket's directory decides who may ask). A socket left behind by
 * a daemon that died is replaced; one that answers belongs to a living daemon and is an error.
 */
export async function startControlServer(path: string, backend: ControlBackend): Promise<ControlServer> {
  await removeStaleSocket(path);
  const app: FastifyInstance = Fastify({ logger: false, bodyLimit: 64 * 1024, forceCloseConnections: true });
  await app.register(swagger, {
    openapi: { info: { title: "karp control interface", version: backend.status().version } },
  });
  await app.register(async (routes) => {
    viewRoutes(routes, backend);
    commandRoutes(routes, backend);
  });
  app.get("/v1/openapi.json", { schema: { hide: true } }, async () => app.swagger());
  app.setErrorHandler(
    async (error: { statusCode?: number; message: string; validation?: unknown }, _request, reply) => {
      const status = error.statusCode ?? 500;
      return reply
        .status(status)
        .send({ ok: false, code: status === 400 ? "badRequest" : "internal", text: error.message });
    },
  );
  await app.listen({ path });
  await chmod(path, 0o660);
  return { close: () => app.close() };
}

async function removeStaleSocket(path: string): Promise<void> {
  const existing = await stat(path).catch(() => undefined);
  if (existing === undefined) return;
  if (!existing.isSocket())
    throw new Error(`${path} exists and is not a socket; remove it or choose another \`control:\` path`);
  if (await answers(path))
    throw new Error(`another karp answers on ${path}; stop it first, or give this one its own \`control:\` path`);
  await rm(path);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once("connect", () => {
      probe.destroy();
      resolve(true);
    });
    probe.once("error", () => resolve(false));
  });
}
