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
  "socket-users": Type.Optional(
    Type.Array(Type.Integer({ minimum: 0, maximum: 4_294_967_294 }), {
      description:
        "user ids (`id -u NAME`) whose listeners get this session's keys, besides root's; without it anybody's on a port below 1024, which takes a privilege, and nobody's but root's from 1024 on",
    }),
  ),
} as const satisfies Record<string, TSchema>;
