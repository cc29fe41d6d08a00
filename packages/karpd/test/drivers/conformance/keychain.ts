import { readFile, rm, stat, writeFile } from "node:fs/promises";
import { createKeychainDriver } from "../../../src/drivers/keychain/driver.ts";
import { context, folder, sessionOf } from "../support.ts";
import { type Kind, withNonsense } from "./subject.ts";

const NOBODY = "a file, which somebody reads or not: there is no daemon that could be asked";

/** Behind it: the real file. */
export const kind: Kind = {
  impossible: {
    crashNextApply: "writing the file is all there is to do",
    stopDaemon: NOBODY,
    peerAsksFor: NOBODY,
    forgetAlgorithm: NOBODY,
  },
  async make(t) {
    const file = `${folder(t)}/r2.json`;
    const ctx = context();
    const session = sessionOf("keychain", { file });
    return {
      driver: createKeychainDriver(ctx),
      session,
      installed: async () =>
        JSON.parse(await readFile(file, "utf8")).key.map((entry: { "send-id": number }) => entry["send-id"]),
      restarted: () => createKeychainDriver(ctx),
      logged: ctx.lines,
      putForeign: async () => {
        await writeFile(file, '{"mine": true}');
        return { isUntouched: async () => (await readFile(file, "utf8")) === '{"mine": true}' };
      },
      loseKeys: () => rm(file),
      written: async () => [(await stat(file)).ino, (await stat(file)).mtimeMs],
      withBrokenSettings: () => withNonsense(session),
    };
  },
};
