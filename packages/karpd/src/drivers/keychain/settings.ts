import { Type } from "typebox";
import type { SessionConfiguration } from "../../core/configuration.ts";
import { sessionSettings } from "../sessionSettings.ts";

/** The keychain driver's words in a session. */
export const settingsSchema = Type.Object(
  {
    file: Type.Optional(
      Type.String({ pattern: "^/", description: "the file; default /var/lib/karp/keychain/<session>.json" }),
    ),
  },
  { additionalProperties: false },
);

/** @throws DriverSettingsError */
export function keychainFile(session: SessionConfiguration): string {
  return sessionSettings(settingsSchema, session).file ?? `/var/lib/karp/keychain/${session.name}.json`;
}
