import type { SessionConfiguration, SessionMode } from "../../src/core/configuration.ts";
import { LOCAL, REMOTE } from "./fakeKernel.ts";

export function session(mode: SessionMode, more: Partial<SessionConfiguration> = {}): SessionConfiguration {
  return {
    name: "r2",
    protocol: "bgp",
    port: 179,
    driver: "linux",
    driverSettings: {},
    localAddress: LOCAL,
    remoteAddress: REMOTE,
    peer: "r2.example.net",
    mode,
    start: "always",
    algorithms: ["aes-128-cmac-96"],
    tcpOptions: ["covered"],
    pfs: true,
    reservedKeyIds: [],
    keyReaders: [],
    rollover: {
      everySeconds: 3600,
      jitter: 0.1,
      hardSeconds: 10_800,
      drainSeconds: 60,
      keepOldSeconds: 900,
      settleSeconds: 30,
      quarantineSeconds: 240,
      orphanSeconds: 600,
      preferTimeoutSeconds: 30,
    },
    onExpiry: "keep-and-alarm",
    ...more,
  } as SessionConfiguration;
}
