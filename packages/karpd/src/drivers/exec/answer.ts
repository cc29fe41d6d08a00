import { Type } from "typebox";
import { Value } from "typebox/value";
import type { ApplyOutcome, DriverKey, RevokeOutcome } from "../../ports/routingDriver.ts";
import { printable, withoutKeys } from "../text.ts";

const applyAnswer = Type.Object({
  outcome: Type.Union([
    Type.Literal("installed"),
    Type.Literal("pending"),
    Type.Literal("refused"),
    Type.Literal("lost"),
    Type.Literal("foreign"),
  ]),
  reason: Type.Optional(Type.String()),
  "admin-key-names": Type.Optional(Type.Array(Type.String())),
});

const revokeAnswer = Type.Object({
  outcome: Type.Union([Type.Literal("revoked"), Type.Literal("failed")]),
  reason: Type.Optional(Type.String()),
});

/**
 * What the program answered to "apply"; undefined: not one of the answers that it may give. Whatever it says is escaped
 * and freed of `keys`, and the only key names that come through are those that it was given.
 */
export function parseApplyAnswer(text: string, keys: readonly DriverKey[]): ApplyOutcome | undefined {
  const answer = parseJson(text);
  if (!Value.Check(applyAnswer, answer)) return undefined;
  if (answer.outcome === "installed") return { kind: "installed" };
  const reason = shownReason(answer.reason, keys);
  const named = answer["admin-key-names"];
  if (answer.outcome !== "refused" || named === undefined) return { kind: answer.outcome, reason };
  const known = keys.map(({ adminKeyName }) => adminKeyName);
  return { kind: "refused", reason, adminKeyNames: known.filter((name) => named.includes(name)) };
}

/** The same for "revoke". */
export function parseRevokeAnswer(text: string, keys: readonly DriverKey[]): RevokeOutcome | undefined {
  const answer = parseJson(text);
  if (!Value.Check(revokeAnswer, answer)) return undefined;
  if (answer.outcome === "revoked") return { kind: "revoked" };
  return { kind: "failed", reason: shownReason(answer.reason, keys) };
}

/** Keys go first: half of one that is cut off would not be recognized. */
function shownReason(reason: string | undefined, keys: readonly DriverKey[]): string {
  return printable(withoutKeys(reason ?? "the program gives no reason", keys));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
