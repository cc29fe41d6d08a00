import type { Static, TObject } from "typebox";
import { Value } from "typebox/value";
import type { SessionConfiguration } from "../core/configuration.ts";

/** A session's settings do not fit the driver's schema: the configuration loader let something through. */
export class DriverSettingsError extends Error {
  override readonly name = "DriverSettingsError";
}

/**
 * The driver's words of a session, with the schema's defaults filled in.
 * @throws DriverSettingsError
 */
export function sessionSettings<T extends TObject>(schema: T, session: SessionConfiguration): Static<T> {
  const settings = Value.Default(schema, structuredClone(session.driverSettings));
  if (Value.Check(schema, settings)) return settings;
  const [first] = Value.Errors(schema, settings);
  const where = first?.instancePath.replace(/^\//, "") || "settings";
  throw new DriverSettingsError(`session ${session.name}: ${where} ${first?.message ?? "is not valid"}`);
}

/** Pattern of a duration such as "60s" or "250ms". */
export const DURATION_PATTERN = "^[0-9]{1,6}(ms|s|m|h)$";

const UNIT_MILLISECONDS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Milliseconds of a duration that fits {@link DURATION_PATTERN}. */
export function durationMilliseconds(text: string): number {
  const unit = text.replace(/^[0-9]+/, "");
  return Number.parseInt(text, 10) * (UNIT_MILLISECONDS[unit] ?? Number.NaN);
}
