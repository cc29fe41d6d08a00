import { join } from "node:path";
import { exec } from "../../lib/exec.ts";
import type { Scenario } from "../../lib/scenario.ts";

export const scenario: Scenario = {
  title: "the capture verifier itself: RFC 9235's vectors, RFC 4493's, and captures that must not pass",
  timeoutSeconds: 60,
  async run(lab) {
    const { code, stdout, stderr } = await exec(["python3", "-B", join(lab.repo, "lab/verify/selftest.py")]);
    for (const line of stdout.split("\n")) {
      const parts = /^(ok {4}|NOT OK) (.*)$/.exec(line);
      if (parts !== null) lab.check(parts[2] ?? "", parts[1] !== "NOT OK");
    }
    lab.check("selftest.py says that it passed", code === 0 && /^0 failures$/m.test(stdout), stderr.trim().slice(-500));
  },
};
