import { type Static, Type } from "typebox";
import type { SessionConfiguration } from "../../core/configuration.ts";
import { DURATION_PATTERN, durationMilliseconds, sessionSettings } from "../sessionSettings.ts";

/** The exec driver's words in a session. */
export const settingsSchema = Type.Object(
  {
    command: Type.Array(Type.String({ pattern: "^[^\\u0000]*$" }), {
      minItems: 1,
      description: "absolute path of the program and its arguments; no shell",
    }),
    timeout: Type.Optional(
      Type.String({ pattern: DURATION_PATTERN, default: "30s", description: "time limit of one call" }),
    ),
  },
  { additionalProperties: false },
);

export interface ExecSettings {
  readonly program: string;
  readonly parameters: readonly string[];
  readonly timeoutMilliseconds: number;
}

/** @throws DriverSettingsError */
export function execSettings(session: SessionConfiguration): ExecSettings {
  const settings: Static<typeof settingsSchema> = sessionSettings(settingsSchema, session);
  const [program = "", ...parameters] = settings.command;
  return { program, parameters, timeoutMilliseconds: durationMilliseconds(settings.timeout ?? "30s") };
}
