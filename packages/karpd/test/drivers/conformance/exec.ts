import { existsSync, writeFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { createExecDriver } from "../../../src/drivers/exec/driver.ts";
import { context, folder, sessionOf } from "../support.ts";
import { type Kind, withNonsense } from "./subject.ts";

const PROGRAMS = "what is behind the program, only the program knows: it answers, and the driver passes it on";

/** A program that keeps the keys in a file, and answers as a file beside it says, if there is one. */
function source(state: string, answer: string): string {
  return `const fs = require("node:fs");
const request = JSON.parse(fs.readFileSync(0, "utf8"));
if (fs.existsSync(${JSON.stringify(answer)})) process.stdout.write(fs.readFileSync(${JSON.stringify(answer)}));
else {
  fs.writeFileSync(${JSON.stringify(state)}, JSON.stringify(request.keys));
  process.stdout.write(JSON.stringify({ outcome: request.request === "apply" ? "installed" : "revoked" }));
}`;
}

/** Behind it: a real program in a process of its own. */
export const kind: Kind = {
  impossible: {
    crashNextApply: PROGRAMS,
    peerAsksFor: PROGRAMS,
    loseKeys: PROGRAMS,
    written: "the program is called each time: it has to be idempotent itself, as its guide says",
  },
  async make(t) {
    const directory = folder(t);
    const [program, state, answer] = [`${directory}/p.cjs`, `${directory}/state.json`, `${directory}/answer.json`];
    await writeFile(program, source(state, answer));
    const ctx = context();
    const session = sessionOf("exec", { command: [process.execPath, program] });
    const answers = (outcome: object): void => writeFileSync(answer, JSON.stringify(outcome));
    return {
      driver: createExecDriver(ctx),
      session,
      installed: async () =>
        existsSync(state)
          ? JSON.parse(await readFile(state, "utf8")).map((entry: { "send-id": number }) => entry["send-id"])
          : [],
      restarted: () => createExecDriver(ctx),
      logged: ctx.lines,
      putForeign: async () => {
        answers({ outcome: "foreign", reason: "the router has other keys there" });
        return { isUntouched: async () => !existsSync(state) };
      },
      stopDaemon: async () => {
        await writeFile(program, "process.exitCode = 3;");
        return () => writeFile(program, source(state, answer));
      },
      forgetAlgorithm: () => {
        const refusal = {
          outcome: "refused",
          reason: "the router does not know it",
          "admin-key-names": ["r2/0000000000000002"],
        };
        answers(refusal);
      },
      withBrokenSettings: () => withNonsense(session),
    };
  },
};
