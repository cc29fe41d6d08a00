import type { Instant, UnixMilliseconds } from "@karp/ikev2";

/** The moment `seconds` after `at` (before it, when negative). */
export function later(at: Instant, seconds: number): Instant {
  return (at + seconds * 1000) as Instant;
}

export function secondsBetween(from: Instant, to: Instant): number {
  return (to - from) / 1000;
}

export function wallLater(at: UnixMilliseconds, seconds: number): UnixMilliseconds {
  return (at + seconds * 1000) as UnixMilliseconds;
}

export function earliest(a: Instant | undefined, b: Instant | undefined): Instant | undefined {
  if (a === undefined) return b;
  return b === undefined || a < b ? a : b;
}

export function latest(a: Instant, b: Instant): Instant {
  return Math.max(a, b) as Instant;
}

/** RFC 3339 in UTC with milliseconds: 2026-11-21T04:45:00.123Z. */
export function formatRfc3339(at: UnixMilliseconds): string {
  const { year, month, day, hour, minute, second, millisecond } = civil(at);
  const date = `${pad(year, 4)}-${pad(month, 2)}-${pad(day, 2)}`;
  return `${date}T${pad(hour, 2)}:${pad(minute, 2)}:${pad(second, 2)}.${pad(millisecond, 3)}Z`;
}

/**
 * The time format of a key table row. RFC 7210 section 2 prints YYYYMMDDHHSSZ, but describes a field for minutes as
 * well: YYYYMMDDHHMMSSZ is meant. Fractions of a second are cut.
 */
export function formatKeyTableTime(at: UnixMilliseconds): string {
  const { year, month, day, hour, minute, second } = civil(at);
  return `${pad(year, 4)}${pad(month, 2)}${pad(day, 2)}${pad(hour, 2)}${pad(minute, 2)}${pad(second, 2)}Z`;
}

/** Minutes since midnight, UTC. */
export function minuteOfDay(at: UnixMilliseconds): number {
  const { hour, minute } = civil(at);
  return hour * 60 + minute;
}

interface Civil {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  readonly millisecond: number;
}

const MILLISECONDS_PER_DAY = 86_400_000;

/** The proleptic Gregorian calendar, counted in eras of 400 years that begin on the first of March. */
function civil(at: UnixMilliseconds): Civil {
  const whole = Math.trunc(at);
  const days = Math.floor(whole / MILLISECONDS_PER_DAY);
  const inDay = whole - days * MILLISECONDS_PER_DAY;
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const leapDays = Math.floor(dayOfEra / 1460) - Math.floor(dayOfEra / 36_524) + Math.floor(dayOfEra / 146_096);
  const yearOfEra = Math.floor((dayOfEra - leapDays) / 365);
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153);
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9;
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1,
    hour: Math.floor(inDay / 3_600_000),
    minute: Math.floor(inDay / 60_000) % 60,
    second: Math.floor(inDay / 1000) % 60,
    millisecond: inDay % 1000,
  };
}

function pad(value: number, width: number): string {
  return value.toString().padStart(width, "0");
}
