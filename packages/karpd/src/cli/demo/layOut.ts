import { createSocket, type Socket } from "node:dgram";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { makeDemoCertificates } from "./certificates.ts";

/** Where one router of the demo lives. */
export interface DemoRouter {
  readonly name: string;
  readonly configuration: string;
  readonly socket: string;
  readonly address: string;
}

const ADDRESSES = ["127.0.0.1", "127.0.0.2"] as const;

/** Two folders, each with a configuration, a certificate of a common authority and a place for the store. */
export async function layOut(folder: string): Promise<readonly DemoRouter[]> {
  const names = ["r1.demo.example", "r2.demo.example"] as const;
  const certificates = makeDemoCertificates(names, Date.now());
  const ports = await Promise.all(ADDRESSES.map(freePorts));
  return await Promise.all(
    names.map(async (name, self) => {
      const other = 1 - self;
      const home = join(folder, `r${self + 1}`);
      await mkdir(home, { mode: 0o700 });
      const credential = certificates.routers[self];
      await writeFile(join(home, "ca.pem"), certificates.authority);
      await writeFile(join(home, "certificate.pem"), credential?.certificate ?? "");
      await writeFile(join(home, "private.key"), credential?.privateKey ?? "", { mode: 0o600 });
      const router: DemoRouter = {
        name: `r${self + 1}`,
        configuration: join(home, "karp.yaml"),
        socket: join(home, "karp.sock"),
        address: ADDRESSES[self] ?? "",
      };
      await writeFile(
        router.configuration,
        yaml(home, name, names[other] ?? "", router, { self: ports[self], other: ports[other] }, other),
      );
      return router;
    }),
  );
}

interface Ports {
  readonly ike: number;
  readonly segments: number;
}

function yaml(
  home: string,
  name: string,
  peer: string,
  router: DemoRouter,
  ports: { readonly self: Ports | undefined; readonly other: Ports | undefined },
  other: number,
): string {
  return `# One of the two routers of \`karp demo\`.
router: ${name}
credentials:
  certificate: ${home}/certificate.pem
  private-key: ${home}/private.key
  trust: ${home}/ca.pem
listen: ["${router.address}:${ports.self?.ike}"]
store: ${home}/karp.db
control: ${router.socket}
sessions:
  demo:
    protocol: bgp
    driver: endpoint
    local: ${router.address}
    remote: ${ADDRESSES[other]}
    peer: ${peer}
    peer-port: ${ports.other?.ike}
    mode: opportunistic
    endpoint:
      bind: "${router.address}:${ports.self?.segments}"
      remote: "${ADDRESSES[other]}:${ports.other?.segments}"
      interval: 200ms
# A key lives for seconds here, for 30 days in real life; everything else shrinks with it.
rollover: { every: 4s, drain: 1s, keep-old: 1s, quarantine: 10s }
`;
}

/** Two UDP ports that are free at this moment; held together, so that they are two. */
async function freePorts(address: string): Promise<Ports> {
  const sockets = [createSocket("udp4"), createSocket("udp4")];
  const ports = await Promise.all(sockets.map((socket) => boundPort(socket, address)));
  for (const socket of sockets) socket.close();
  const [ike = 0, segments = 0] = ports;
  return { ike, segments };
}

function boundPort(socket: Socket, address: string): Promise<number> {
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.bind(0, address, () => resolve(socket.address().port));
  });
}
