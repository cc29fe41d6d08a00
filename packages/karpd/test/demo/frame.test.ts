import assert from "node:assert/strict";
import { test } from "node:test";
import { frame } from "../../src/cli/demo/frame.ts";
import type { RouterState } from "../../src/cli/demo/runningRouter.ts";

const state = (name: string): RouterState =>
  ({
    name,
    rollovers: 3,
    starts: 1,
    statistics: { segmentsVerified: 120, segmentsRejected: 0, kernelKeepalives: 99 },
    keys: Array.from({ length: 9 }, (_, n) => ({
      state: n === 8 ? "current" : "removed",
      sendId: n,
      recvId: 100 + n,
      fingerprint: "d4a4403c77ffae9b",
    })),
  }) as unknown as RouterState;
const timeline = Array.from({ length: 50 }, (_, n) => `06:00:00.${n} r1 ${"a long sentence ".repeat(20)}`);

for (const [columns, rows] of [
  [80, 24],
  [120, 40],
  [40, 10],
  [20, 3],
] as const) {
  test(`a frame fits a terminal of ${columns} by ${rows}`, () => {
    const lines = frame([state("r1"), state("r2")], timeline, { columns, rows });
    assert.ok(lines.length < rows, `${lines.length} lines`);
    assert.ok(lines.every((line) => line.length < columns));
  });
}

test("tables stand side by side where they fit, one below the other where not", () => {
  const wide = frame([state("r1"), state("r2")], timeline, { columns: 120, rows: 40 });
  assert.match(wide[0] ?? "", /^r1: .*r2: /);
  const narrow = frame([state("r1"), state("r2")], timeline, { columns: 50, rows: 40 });
  assert.doesNotMatch(narrow[0] ?? "", /r2/);
  assert.ok(narrow.some((line) => line.startsWith("r2: ")));
  assert.ok(wide.length > 20, "the timeline fills what is left");
});
