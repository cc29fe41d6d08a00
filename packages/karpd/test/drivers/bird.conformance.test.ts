import { readFile, writeFile } from "node:fs/promises";
import { createBirdDriver } from "../../src/drivers/bird/driver.ts";
import { conformance } from "./conformance.ts";
import { FakeBird } from "./fakeBird.ts";
import { context, folder, sessionOf } from "./support.ts";

conformance(
  "bird",
  async (t) => {
    const bird = await new FakeBird({ directory: folder(t) }).start();
    t.after(() => bird.stop());
    await writeFile(bird.include, "");
    const ctx = context();
    const driver = createBirdDriver(ctx);
    t.after(() => driver.close());
    const { control, config, include } = bird;
    return {
      driver,
      session: sessionOf("bird", { control, config, include, group: "none", "configure-interval": "0ms" }),
      installed: async () => {
        bird.peerAsksFor(bird.loaded.find(({ preference }) => preference > 0)?.sendId ?? -1);
        return bird.loaded.map(({ sendId }) => sendId);
      },
      restarted: () => createBirdDriver(ctx),
      crashNextApply: () => {
        bird.dropOn = "configure";
      },
      putForeign: async () => {
        const text = 'authentication md5;\npassword "by hand";\n';
        await writeFile(include, text);
        return { isUntouched: async () => (await readFile(include, "utf8")) === text };
      },
      logged: ctx.lines,
    };
  },
  { crashBetween: true, beForeign: true },
);
