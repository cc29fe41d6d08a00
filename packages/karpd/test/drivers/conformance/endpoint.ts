import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { createEndpointDriver } from "../../../src/drivers/endpoint/driver.ts";
import { context, sessionOf } from "../support.ts";
import { type Kind, withNonsense } from "./subject.ts";

const OWN = "the driver is the routing daemon: its keys are in this process, and nobody else has them";

/** Behind it: itself, on a real UDP socket. What the peer asks for is in endpoint.test.ts, with two of them. */
export const kind: Kind = {
  impossible: {
    putForeign: OWN,
    crashNextApply: OWN,
    stopDaemon: OWN,
    loseKeys: OWN,
    written: OWN,
    forgetAlgorithm: "it has all algorithms",
    peerAsksFor: "takes two drivers that talk: endpoint.test.ts has them",
  },
  async make(t) {
    const settings = { bind: `127.0.0.1:${await freePort()}`, remote: "127.0.0.2:9", interval: "20ms", kernel: "off" };
    const session = sessionOf("endpoint", settings, { localAddress: "127.0.0.1", remoteAddress: "127.0.0.2" });
    const ctx = context();
    let driver = createEndpointDriver(ctx);
    t.after(() => driver.close());
    return {
      driver,
      session,
      installed: async () => {
        const outcome = await driver.observe(session);
        assert.ok(outcome.kind === "observed");
        // RecvIDs are 2n+1 where SendIDs are 2n
        return (outcome.observation.recvIdsPresent ?? []).map((id) => id - 1);
      },
      restarted: () => {
        void driver.close();
        driver = createEndpointDriver(ctx);
        return driver;
      },
      logged: ctx.lines,
      withBrokenSettings: () => withNonsense(session),
    };
  },
};

async function freePort(): Promise<number> {
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(resolve));
  return port;
}
