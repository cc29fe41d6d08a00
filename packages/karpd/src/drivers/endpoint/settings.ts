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
    kernel: Type.Optional(
      Type.Enum(["auto", "off"], {
        default: "auto",
        description: "`auto`: where the kernel has TCP-AO, a real TCP session runs as well, with the same keys",
      }),
    ),
    "kernel-port": Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 65_535,
        description:
          "TCP port of the real session, the same at both ends; default: the number of the UDP port of the end with the higher address",
      }),
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
  /** Real TCP beside the segments, where the kernel can. */
  readonly kernel: "auto" | "off";
  /** Absent: derived from the UDP ports. */
  readonly kernelPort?: number;
}

/** @throws DriverSettingsError */
export function endpointSettings(session: SessionConfiguration): EndpointSettings {
  const words = sessionSettings(settingsSchema, session);
  const { bind, remote, interval, kernel = "auto", "kernel-port": kernelPort } = words;
  const intervalMilliseconds = durationMilliseconds(interval ?? "250ms");
  if (intervalMilliseconds < 10) throw new DriverSettingsError(`session ${session.name}: interval is less than 10ms`);
  const ends = { bind: udpEnd(bind), remote: udpEnd(remote) };
  return { ...ends, intervalMilliseconds, kernel, ...(kernelPort !== undefined && { kernelPort }) };
}

function udpEnd(text: string): UdpEnd {
  const colon = text.lastIndexOf(":");
  const address = text.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
  const port = Number(text.slice(colon + 1));
  if (isIP(address) === 0 || port < 1 || port > 0xffff)
    throw new DriverSettingsError(`${text} is not an address and a port`);
  return { address, port };
}
