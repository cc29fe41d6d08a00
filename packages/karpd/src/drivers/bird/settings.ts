import { normalize } from "node:path";
import { type Static, Type } from "typebox";
import type { SessionConfiguration } from "../../core/configuration.ts";
import type { Claim } from "../../ports/claim.ts";
import { DURATION_PATTERN, durationMilliseconds, sessionSettings } from "../sessionSettings.ts";

/** An absolute path that BIRD can write between quotes. */
const ABSOLUTE_PATH = '^/[^"\\n]*$';

/** The bird driver's words in a session. */
export const settingsSchema = Type.Object(
  {
    include: Type.Optional(
      Type.String({
        pattern: ABSOLUTE_PATH,
        description: "file that the protocol block includes; default /var/lib/karp/bird/<session>.conf",
      }),
    ),
    control: Type.Optional(
      Type.String({ pattern: ABSOLUTE_PATH, default: "/run/bird/bird.ctl", description: "BIRD's control socket" }),
    ),
    "protocol-name": Type.Optional(
      Type.String({
        pattern: "^[A-Za-z0-9_.:-]{1,64}$",
        description: "NAME of `protocol bgp NAME` in bird.conf; default the session's name",
      }),
    ),
    config: Type.Optional(
      Type.String({ pattern: ABSOLUTE_PATH, default: "/etc/bird/bird.conf", description: "BIRD's main configuration" }),
    ),
    group: Type.Optional(
      Type.String({
        pattern: "^([a-z_][a-z0-9_-]{0,31}|[0-9]{1,9})$",
        description: "group that may read the include file; default bird where that group exists; `none` for 0600",
      }),
    ),
    "configure-interval": Type.Optional(
      Type.String({
        pattern: DURATION_PATTERN,
        default: "60s",
        description: "least time between two `configure` by karp",
      }),
    ),
  },
  { additionalProperties: false },
);

/** The settings with every default filled in. */
export interface BirdSettings {
  readonly include: string;
  readonly control: string;
  readonly protocolName: string;
  readonly config: string;
  readonly group: string | undefined;
  readonly configureIntervalMilliseconds: number;
}

/** @throws DriverSettingsError */
export function birdSettings(session: SessionConfiguration): BirdSettings {
  const settings: Static<typeof settingsSchema> = sessionSettings(settingsSchema, session);
  return {
    include: settings.include ?? `/var/lib/karp/bird/${session.name}.conf`,
    control: settings.control ?? "/run/bird/bird.ctl",
    protocolName: settings["protocol-name"] ?? session.name,
    config: settings.config ?? "/etc/bird/bird.conf",
    group: settings.group,
    configureIntervalMilliseconds: durationMilliseconds(settings["configure-interval"] ?? "60s"),
  };
}

/** The include file is replaced as a whole, and a protocol of BIRD's has one session. */
export function birdClaims(session: SessionConfiguration): readonly Claim[] {
  const { include, control, protocolName } = birdSettings(session);
  return [
    { word: "include", value: normalize(include), what: `the include file ${include}` },
    {
      word: "protocol-name",
      value: `${normalize(control)} ${protocolName}`,
      what: `protocol ${protocolName} of the BIRD at ${control}`,
    },
  ];
}
