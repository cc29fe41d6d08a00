import { readFile, writeFile } from "node:fs/promises";
import type { MktAlgorithm } from "../../../src/core/keytable/row.ts";
import { createBirdDriver } from "../../../src/drivers/bird/driver.ts";
import { FakeBird } from "../fakeBird.ts";
import { context, folder, sessionOf } from "../support.ts";
import { type Kind, withNonsense } from "./subject.ts";

/** Behind it: BIRD's replies and its rules for keys, and the real include file. The lab has the real BIRD. */
export const kind: Kind = {
  impossible: {},
  async make(t) {
    const bird = await new FakeBird({ directory: folder(t) }).start();
    t.after(() => bird.stop());
    await writeFile(bird.include, "");
    const known = new Set<MktAlgorithm>(["aes-128-cmac-96", "hmac-sha-1-96"]);
    const ctx = context({ kernelAlgorithms: async () => known });
    const driver = createBirdDriver(ctx);
    t.after(() => driver.close());
    const { control, config, include } = bird;
    const session = sessionOf("bird", { control, config, include, group: "none", "configure-interval": "0ms" });
    /** Unless a test decides which key the peer asks for, it follows at once. */
    let isPeerTold = false;
    return {
      driver,
      session,
      installed: async () => {
        if (!isPeerTold) bird.peerAsksFor(bird.loaded.find(({ preference }) => preference > 0)?.sendId ?? -1);
        return bird.loaded.map(({ sendId }) => sendId);
      },
      restarted: () => createBirdDriver(ctx),
      logged: ctx.lines,
      putForeign: async () => {
        const text = 'authentication md5;\npassword "by hand";\n';
        await writeFile(include, text);
        return { isUntouched: async () => (await readFile(include, "utf8")) === text };
      },
      crashNextApply: () => {
        bird.dropOn = "configure";
      },
      stopDaemon: async () => {
        await bird.stop();
        return async () => {
          await bird.start();
          bird.configure();
        };
      },
      peerAsksFor: async (sendId) => {
        isPeerTold = true;
        bird.peerAsksFor(sendId);
      },
      loseKeys: async () => {
        await writeFile(include, "");
      },
      forgetAlgorithm: (algorithm) => known.delete(algorithm),
      written: async () => [await readFile(include, "utf8"), bird.configures],
      withBrokenSettings: () => withNonsense(session),
    };
  },
};
