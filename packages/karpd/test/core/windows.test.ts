import assert from "node:assert/strict";
import test from "node:test";
import { assertNoViolations, keyed, makePair } from "./harness/pair.ts";

const DAY_SECONDS = 86_400;

/** Wall minutes since midnight, UTC, at which rollovers began of their own accord. */
function beginnings(window: { startMinute: number; endMinute: number }, from: string, days: number): readonly number[] {
  const pair = makePair({ rollover: { window, everySeconds: 3600, hardSeconds: 14 * DAY_SECONDS } });
  pair.world.wallOffset = Date.parse(from) - pair.world.milliseconds;
  keyed(pair);
  const keyedAt = pair.world.now().wall;
  pair.world.run(days * DAY_SECONDS);
  assertNoViolations(pair);
  // What is wanted waits for the window: the key that is negotiated is what counts
  const made = [pair.a, pair.b].flatMap(({ events }) => events.filter(({ name }) => name === "mktNegotiated"));
  return made.filter(({ at }) => at > keyedAt).map(({ at }) => Math.floor((at / 60_000) % 1440));
}

test("a daily window that wraps around midnight: rollovers begin before and after it, and at no other time", () => {
  const minutes = beginnings({ startMinute: 23 * 60, endMinute: 60 }, "2026-11-20T12:00:00Z", 2);
  assert.ok(minutes.length >= 2);
  for (const minute of minutes) assert.ok(minute >= 23 * 60 || minute < 60, `${minute}`);
});

test("the window is UTC: it does not move on the days on which people move their clocks", () => {
  // Europe 2026-03-29 01:00 UTC, North America 2026-03-08
  for (const day of ["2026-03-28", "2026-03-07"]) {
    const minutes = beginnings({ startMinute: 60, endMinute: 120 }, `${day}T12:00:00Z`, 2);
    assert.ok(minutes.length >= 2);
    for (const minute of minutes) assert.ok(minute >= 60 && minute < 120, `${day}: ${minute}`);
  }
});
