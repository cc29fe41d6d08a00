import { Type } from "typebox";
import { Value } from "typebox/value";
import type { ApplyOutcome, RevokeOutcome } from "../../ports/routingDriver.ts";
import { printable } from "../text.ts";

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

/** What the program answered to "apply"; undefined: not one of the answers that it may give. */
export function parseApplyAnswer(text: string): ApplyOutcome | undefined {
  const answer = parseJson(text);
  if (!Value.Check(applyAnswer, answer)) return undefined;
  const reason = printable(answer.reason ?? "the program gives no reason");
  const names = answer["admin-key-names"];
  if (answer.outcome === "installed") return { kind: "installed" };
  if (answer.outcome !== "refused" || names === undefined) return { kind: answer.outcome, reason };
  return { kind: "refused", reason, adminKeyNames: names.slice(0, 256).map((name) => printable(name, 80)) };
}

/** The same for "revoke". */
export function parseRevokeAnswer(text: string): RevokeOutcome | undefined {
  const answer = parseJson(text);
  if (!Value.Check(revokeAnswer, answer)) return undefined;
  if (answer.outcome === "revoked") return { kind: "revoked" };
  return { kind: "failed", reason: printable(answer.reason ?? "the program gives no reason") };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
