import { SystemCallError, sendDescriptor } from "./system.ts";

/** The name of the descriptor in systemd's store; `FileDescriptorStoreMax=` of the unit makes room for it. */
const NAME = "karp-connects";
const REMOVE = `FDSTOREREMOVE=1\nFDNAME=${NAME}`;

/**
 * Leaves the descriptor with systemd too (sd_notify(3), FDSTORE), when there is one: should this process be killed, a
 * connect() then waits until systemd has ended the daemon, instead of failing with ENOSYS in between.
 * @returns what went wrong, in words; undefined when there is nothing to say
 */
export function storeDescriptor(descriptor: number, environment: NodeJS.ProcessEnv): string | undefined {
  return notify(environment, (socket) => {
    // One that an earlier supervisor left serves a daemon that is gone
    sendDescriptor(socket, REMOVE, undefined);
    sendDescriptor(socket, `FDSTORE=1\nFDNAME=${NAME}\nFDPOLL=1`, descriptor);
  });
}

/** Takes it out again: with nobody who serves it, a connect() would wait for ever. @returns as storeDescriptor */
export function removeStoredDescriptor(environment: NodeJS.ProcessEnv): string | undefined {
  return notify(environment, (socket) => sendDescriptor(socket, REMOVE, undefined));
}

function notify(environment: NodeJS.ProcessEnv, send: (socket: string) => void): string | undefined {
  const socket = environment["NOTIFY_SOCKET"];
  if (socket === undefined || !/^[/@]/.test(socket)) return undefined;
  try {
    send(socket);
    return undefined;
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    return `systemd's descriptor store cannot be reached (${error.message})`;
  }
}
