import { globSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { exec } from "../../lib/exec.ts";
import type { Scenario } from "../../lib/scenario.ts";

export const scenario: Scenario = {
  title: "@karp/tcp-ao's tests of the kernel's socket options, in a kernel that has them",
  timeoutSeconds: 540,
  async run(lab) {
    const files = globSync(join(lab.repo, "packages/tcp-ao/test/linux/**/*.test.ts"));
    if (!lab.check("there are test files", files.length > 0, String(files.length))) return;
    // the guest is ours alone: its tests may make network devices
    const command = ["env", "KARP_TEST_DEVICES=1", "node", "--test", "--test-reporter=tap", ...files];
    const onStdout = (text: string): void => {
      for (const line of text.split("\n")) if (/^(not )?ok /.test(line)) lab.say(line);
    };
    const { code, stdout, stderr } = await exec(command, { cwd: lab.repo, timeoutSeconds: 500, onStdout });
    writeFileSync(join(lab.out, "tests.tap"), stdout);
    const count = (what: string): number => Number(new RegExp(`^# ${what} (\\d+)$`, "m").exec(stdout)?.[1] ?? -1);
    const named = (pattern: RegExp): string[] => stdout.split("\n").filter((line) => pattern.test(line));
    lab.check("node --test says that it passed", code === 0, stderr.slice(-2000));
    lab.check("tests passed", count("pass") > 0, String(count("pass")));
    lab.equal("tests that failed", named(/^not ok /), []);
    // only what needs a kernel without TCP-AO may be left out here
    lab.equal("tests left out for lack of something", named(/# SKIP (?!this kernel has TCP-AO)/), []);
  },
};
