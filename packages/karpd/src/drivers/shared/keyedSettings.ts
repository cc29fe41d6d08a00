import { type TSchema, Type } from "typebox";

/** Words that all drivers have whose daemon is keyed from outside. */
export const keyedWords = {
  "on-karp-down": Type.Optional(
    Type.Unsafe<"wait" | "fail">({
      type: "string",
      enum: ["wait", "fail"],
      default: "wait",
      description:
        "under `karp wrap`: what a connection to this neighbour does while it cannot be keyed; all others are never touched",
    }),
  ),
} as const satisfies Record<string, TSchema>;
