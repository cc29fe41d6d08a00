import { UsageError } from "./errors.ts";

/** The default of an exhaustive switch: the compiler complains when a case is missing. */
export function assertNever(value: never): never {
  throw new UsageError("unexpectedVariant", `no case for ${String(value)}`);
}
