import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { ControlBackend, NumberedEvent } from "./backend.ts";
import { EventsQuery, Open, Reply, Views } from "./schemas.ts";

const MOST_STREAMS = 32;
/** More than everything that is remembered: a reader that is only slow never has as much before it. */
const MOST_UNREAD_OCTETS = 2 * 1024 * 1024;

/** Everything that can be read without changing anything. No answer here carries a key. */
export function viewRoutes(app: FastifyInstance, backend: ControlBackend): void {
  let openStreams = 0;
  app.get("/v1/status", { schema: { summary: "which daemon this is", response: { 200: Open } } }, async () =>
    backend.status(),
  );
  for (const name of ["peers", "sessions", "keys", "rollovers"] as const) {
    app.get(
      `/v1/${name}`,
      { schema: { summary: `as \`karp show ${name} --json\``, response: { 200: Views } } },
      async () => backend.views()[name],
    );
  }
  app.get(
    "/v1/keytable",
    { schema: { summary: "as `karp show keys --rfc7210 --json`", response: { 200: Views } } },
    async () => backend.views().keytable,
  );
  app.get(
    "/v1/statistics",
    { schema: { summary: "counters of the drivers, by session", response: { 200: Open } } },
    async () => backend.driverStatistics(),
  );
  app.get(
    "/v1/changes",
    { schema: { summary: "what a reload would change", response: { 200: Reply, 422: Reply } } },
    async (_request, reply) => {
      const changes = await backend.pendingChanges();
      return reply.status(changes.ok ? 200 : 422).send(changes);
    },
  );
  app.get<{ Querystring: { limit: string } }>(
    "/v1/events",
    { schema: { summary: "the newest events, oldest first", querystring: EventsQuery, response: { 200: Views } } },
    async (request) => backend.events(Number(request.query.limit)).map(eventJson),
  );
  app.get(
    "/v1/events/stream",
    { schema: { summary: "events as they happen (server-sent events)" } },
    (request, reply) => {
      if (openStreams >= MOST_STREAMS) {
        const text = `${MOST_STREAMS} event streams are open already; close one`;
        return reply.status(503).send({ ok: false, code: "tooManyStreams", text });
      }
      openStreams += 1;
      reply.raw.on("close", () => {
        openStreams -= 1;
      });
      return stream(backend, request, reply);
    },
  );
}

/**
 * Server-sent events; a client that reconnects with Last-Event-ID gets what it missed, as far as it is remembered. The
 * numbers begin anew with each daemon: its start stands before them, so that the id of a former one asks for everything.
 */
function stream(backend: ControlBackend, request: FastifyRequest, reply: FastifyReply): void {
  reply.hijack();
  const { raw } = reply;
  // A stream is silent while nothing happens
  request.raw.socket.setTimeout(0);
  raw.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
  const run = Date.parse(backend.status().startedAt).toString(36);
  const write = (event: NumberedEvent): void => {
    // Whoever does not read loses the stream, and finds what it missed with Last-Event-ID
    if (raw.writableLength > MOST_UNREAD_OCTETS) raw.destroy();
    else raw.write(`id: ${run}-${event.id}\nevent: ${event.name}\ndata: ${JSON.stringify(eventJson(event))}\n\n`);
  };
  const lastSeen = request.headers["last-event-id"];
  if (typeof lastSeen === "string") {
    const from = lastSeen.startsWith(`${run}-`) ? Number(lastSeen.slice(run.length + 1)) : 0;
    for (const event of backend.events(1000)) if (!(event.id <= from)) write(event);
  }
  raw.write(": karp\n\n");
  const unsubscribe = backend.subscribe(write);
  raw.on("close", unsubscribe);
}

function eventJson(event: NumberedEvent): Record<string, unknown> {
  return { ...event, at: new Date(event.at).toISOString() };
}
