import { existsSync, globSync } from "node:fs";
import { join } from "node:path";
import { exec } from "../../lib/exec.ts";
import type { Scenario } from "../../lib/scenario.ts";

export const scenario: Scenario = {
  title: "@karp/tcp-ao's tests of the kernel's socket options, in a kernel that has them",
  timeoutSeconds: 300,
  async run(lab) {
    const files = globSync(join(lab.repo, "packages/tcp-ao/test/linux/**/*.test.ts"));
    if (!existsSync(join(lab.repo, "packages/tcp-ao/linux")) || files.length === 0) {
      lab.skip("packages/tcp-ao/test/linux has no tests; write some");
    }
    const command = ["node", "--test", "--test-reporter=tap", ...files];
    const { code, stdout, stderr } = await exec(command, { cwd: lab.repo, timeoutSeconds: 280 });
    lab.say(stdout);
    const count = (what: string): number => Number(new RegExp(`^# ${what} (\\d+)$`, "m").exec(stdout)?.[1] ?? -1);
    lab.check("node --test says that it passed", code === 0, stderr.slice(-2000));
    lab.check("tests passed", count("pass") > 0, String(count("pass")));
    lab.equal("tests failed, cancelled", [count("fail"), count("cancelled")], [0, 0]);
    lab.equal("tests skipped: this kernel has TCP-AO, so none may be", count("skipped"), 0);
  },
};
