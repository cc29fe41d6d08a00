import type { LifeSetting } from "./cli/lifeCommands.ts";
import type { CommandActions } from "./cli/program.ts";
import type { Handover } from "./ports/handover.ts";
import type { DriverKinds } from "./runtime/driverSet.ts";
import { version } from "./version.ts";

/** What each command of the command line does, with everything that it needs put together. */
export const actions: CommandActions = {
  run: async ({ config, logLevel }) => {
    const { runDaemon } = await import("./runtime/run.ts");
    await runDaemon({ configurationFile: config, logLevel, version, driverKinds: await driverKinds() });
  },

  keyer: async ({ config, logLevel, ...options }) => {
    const { runKeyer } = await import("./keyer/run.ts");
    const { createLogger } = await import("./runtime/logger.ts");
    const { drivers, keyedDrivers } = await import("./drivers/index.ts");
    const { driverOptions } = await import("./runtime/driverSet.ts");
    const logger = createLogger(logLevel);
    const log = (level: "debug" | "info" | "warning" | "error", text: string): void =>
      logger[level === "warning" ? "warn" : level](text);
    await runKeyer({ configurationFile: config, ...options, log, keyedDrivers, ...driverOptions(drivers) });
  },

  wrap: async (command, { config, hold, ...options }) => {
    const { wrapCommand } = await import("./cli/wrap.ts");
    const { drivers, keyedDrivers } = await import("./drivers/index.ts");
    const { driverOptions } = await import("./runtime/driverSet.ts");
    const holdMilliseconds = hold * 1000;
    const more = { keyedDrivers, holdMilliseconds, ...driverOptions(drivers) };
    await wrapCommand({ configurationFile: config, command, ...options, ...more });
  },

  check: async ({ config, offline, json }) => {
    const { check } = await import("./cli/check.ts");
    print(await check({ configurationFile: config, offline, json, driverKinds: await driverKinds() }));
  },

  diff: async (options) => {
    const { pendingChanges } = await import("./cli/commands.ts");
    console.log(await pendingChanges(options));
  },

  init: async (options) => {
    const { init } = await import("./cli/init.ts");
    console.log(await init(options));
  },

  demo: async ({ json, seconds }) => {
    const { demo } = await import("./cli/demo/demo.ts");
    print(await demo({ json, seconds }));
  },

  doctor: async (peer, { config, kernel, ...rest }) => {
    const options = { configurationFile: config, ...rest, driverKinds: await driverKinds() };
    if (kernel) {
      const { doctorKernel } = await import("./cli/doctorKernel.ts");
      print(await doctorKernel(options));
    } else if (peer !== undefined) {
      const { doctorPeer } = await import("./cli/doctorPeer.ts");
      print(await doctorPeer({ ...options, peer }));
    } else {
      const { doctor } = await import("./cli/doctor.ts");
      print(await doctor(options));
    }
  },

  migrate: async (session, options) => {
    const { migrateSession } = await import("./cli/lifeCommands.ts");
    print(await migrateSession(session, options, await lifeSetting()));
  },

  unmanage: async (session, options) => {
    const { handOver } = await import("./cli/lifeCommands.ts");
    print(await handOver("unmanage", session, options, await lifeSetting()));
  },

  manage: async (session, options) => {
    const { handOver } = await import("./cli/lifeCommands.ts");
    print(await handOver("manage", session, options, await lifeSetting()));
  },

  show: async (what, options) => {
    const { show } = await import("./cli/show.ts");
    console.log(await show(what, options, Date.now()));
  },

  handout: async (session, options) => {
    const { handout } = await import("./cli/handout.ts");
    process.stdout.write(await handout(session, options));
  },

  command: async (path, body, options) => {
    const { control } = await import("./cli/commands.ts");
    console.log(await control(path, body, options));
  },
};

async function driverKinds(): Promise<DriverKinds> {
  return (await import("./drivers/index.ts")).drivers;
}

/** What the commands need to know of the drivers whose sessions go from people to karp and back. */
async function lifeSetting(): Promise<LifeSetting> {
  const { drivers, systemClock } = await import("./drivers/index.ts");
  const { driverOptions } = await import("./runtime/driverSet.ts");
  const { handovers } = await import("./drivers/handovers.ts");
  const { KeyerClient } = await import("./keyer/client.ts");
  const log = (level: string, text: string): void => {
    if (level === "error" || level === "warning") console.error(`karp: ${text}`);
  };
  const handoverOf = (driver: string, socketPath: string): Handover | undefined => {
    const keyer = new KeyerClient({ socketPath });
    return handovers[driver]?.({ clock: systemClock, log, keyer: async () => keyer });
  };
  return { ...driverOptions(drivers), handoverOf };
}

/** Prints what was found, which says all there is to say; a finding that is an error ends in exit status 1. */
function print({ text, ok }: { readonly text: string; readonly ok: boolean }): void {
  if (text !== "") console.log(text);
  if (!ok) process.exitCode = 1;
}
