// Somebody else's daemon: a process that listens, accepts, connects and echoes, and knows nothing of TCP-AO. Told what
// to do over the channel that fork() makes; answers each order with one message.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { closeSocket, duplicateDescriptor, LinuxTcpAoError, listenTcpAo } from "../../linux/index.ts";

export type Order =
  | { readonly order: "listen"; readonly host: string; readonly device?: string }
  | { readonly order: "connect"; readonly host: string; readonly port: number }
  /** Becomes an ordinary user and tries to take a descriptor of another process. */
  | { readonly order: "steal"; readonly pid: number; readonly fd: number };

export type Answer = { readonly port?: number; readonly failure?: string };

async function obey(order: Order): Promise<Answer> {
  switch (order.order) {
    case "listen":
      return { port: await listen(order) };
    case "connect":
      await once(echo(connect(order.port, order.host)), "connect");
      return {};
    case "steal":
      // Before it becomes somebody who may not read this checkout, everything is loaded
      duplicateDescriptorOfOwn();
      process.setuid?.(65_534);
      return steal(order);
  }
}

async function listen({ host, device }: Extract<Order, { order: "listen" }>): Promise<number> {
  const server = createServer(echo);
  if (device === undefined) await once(server.listen(0, host), "listening");
  else await listenTcpAo(server, { host, port: 0, device, keys: [] });
  return (server.address() as AddressInfo).port;
}

function echo(socket: Socket): Socket {
  return socket.on("data", (data) => socket.write(data)).on("error", () => undefined);
}

function duplicateDescriptorOfOwn(): void {
  closeSocket(duplicateDescriptor(process.pid, 0));
}

function steal({ pid, fd }: Extract<Order, { order: "steal" }>): Answer {
  try {
    duplicateDescriptor(pid, fd);
    return {};
  } catch (error) {
    return { failure: error instanceof LinuxTcpAoError ? `${error.code} ${error.errno}` : String(error) };
  }
}

process.on("message", (order: Order) => {
  void obey(order).then(
    (answer) => process.send?.(answer),
    (error: unknown) => process.send?.({ failure: String(error) }),
  );
});
