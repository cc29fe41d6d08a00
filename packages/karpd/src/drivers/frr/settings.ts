import { type Static, Type } from "typebox";
import type { SessionConfiguration } from "../../core/configuration.ts";
import { sessionSettings } from "../sessionSettings.ts";
import { keyedWords } from "../shared/keyedSettings.ts";

/** The frr driver's words in a session. */
export const settingsSchema = Type.Object(
  {
    ...keyedWords,
    pathspace: Type.Optional(
      Type.String({ pattern: "^[A-Za-z0-9_.-]{1,64}$", description: "FRR's `-N`, where it runs with one" }),
    ),
    vtysh: Type.Optional(
      Type.String({
        pattern: "^/[^\\n]*$",
        default: "/usr/bin/vtysh",
        description: "FRR's shell; asked, never told keys",
      }),
    ),
  },
  { additionalProperties: false },
);

/** The settings with every default filled in. */
export interface FrrSettings {
  readonly pathspace: string | undefined;
  readonly vtysh: string;
}

/** @throws DriverSettingsError */
export function frrSettings(session: SessionConfiguration): FrrSettings {
  const settings: Static<typeof settingsSchema> = sessionSettings(settingsSchema, session);
  return { pathspace: settings.pathspace, vtysh: settings.vtysh ?? "/usr/bin/vtysh" };
}
