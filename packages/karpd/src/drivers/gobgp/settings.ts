import { type Static, Type } from "typebox";
import type { SessionConfiguration } from "../../core/configuration.ts";
import { sessionSettings } from "../sessionSettings.ts";
import { keyedWords } from "../shared/keyedSettings.ts";

/** The gobgp driver's words in a session. */
export const settingsSchema = Type.Object(
  {
    ...keyedWords,
    program: Type.Optional(
      Type.String({ pattern: "^/[^\\n]*$", default: "/usr/bin/gobgp", description: "GoBGP's command-line tool" }),
    ),
    "api-host": Type.Optional(
      Type.String({ pattern: "^[A-Za-z0-9.:_-]{1,253}$", default: "127.0.0.1", description: "where gobgpd's API is" }),
    ),
    "api-port": Type.Optional(Type.Integer({ minimum: 1, maximum: 65535, default: 50051, description: "its port" })),
  },
  { additionalProperties: false },
);

/** The settings with every default filled in. */
export interface GobgpSettings {
  readonly program: string;
  readonly apiHost: string;
  readonly apiPort: number;
}

/** @throws DriverSettingsError */
export function gobgpSettings(session: SessionConfiguration): GobgpSettings {
  const settings: Static<typeof settingsSchema> = sessionSettings(settingsSchema, session);
  return {
    program: settings.program ?? "/usr/bin/gobgp",
    apiHost: settings["api-host"] ?? "127.0.0.1",
    apiPort: settings["api-port"] ?? 50_051,
  };
}
