import { isIP } from "node:net";
import { Type } from "typebox";
import type { SessionConfiguration } from "../../core/configuration.ts";
import { DriverSettingsError, DURATION_PATTERN, durationMilliseconds, sessionSettings } from "../sessionSettings.ts";

const ADDRESS_AND_PORT = "^([0-9.]{7,15}|\\[[0-9a-fA-F:.]{2,45}\\]):[0-9]{1,5}$";

/** The endpoint driver's words in a session. */
export const settingsSchema = Type.Object(
  {
    bind: Type.String({ pattern: ADDRESS_AND_PORT, description: "UDP address and port for the segments of this end" }),
    remote: Type.String({ pattern: ADDRESS_AND_PORT, description: "UDP address and port of the other end" }),
    interval: Type.Optional(
      Type.String({ pattern: DURATION_PATTERN, default: "250ms", description: "time between two KEEPALIVE segments" }),
    ),
  },
  { additionalProperties: false },
);

export interface UdpEnd {
  readonly address: string;
  readonly port: number;
}

export interface EndpointSettings {
  readonly bind: UdpEnd;
  readonly remote: UdpEnd;
  readonly intervalMilliseconds: number;
}

/** @throws DriverSettingsError */
export function endpointSettings(session: SessionConfiguration): EndpointSettings {
  const { bind, remote, interval } = sessionSettings(settingsSchema, session);
  const intervalMilliseconds = durationMilliseconds(interval ?? "250ms");
  if (intervalMilliseconds < 10) throw new DriverSettingsError(`session ${session.name}: interval is less than 10ms`);
  return { bind: udpEnd(bind), remote: udpEnd(remote), intervalMilliseconds };
}

function udpEnd(text: string): UdpEnd {
  const colon = text.lastIndexOf(":");
  const address = text.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
  const port = Number(text.slice(colon + 1));
  if (isIP(address) === 0 || port < 1 || port > 0xffff)
    throw new DriverSettingsError(`${text} is not an address and a port`);
  return { address, port };
}
