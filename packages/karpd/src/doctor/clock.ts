import type { KeyView } from "../core/views.ts";
import { type DoctorFinding, linesAbout } from "./finding.ts";

/** Clocks that are set by hand are off by seconds; more is a clock that was stepped. */
const TOLERANCE_MILLISECONDS = 5_000;

export interface ClockFacts {
  readonly nowMilliseconds: number;
  /** Whether the kernel says that its clock is kept right; undefined: it could not be asked. */
  readonly isSynchronized: boolean | undefined;
  /** Of the running daemon. */
  readonly keys: readonly KeyView[];
  /** The peer's last failure, in words. */
  readonly lastFailure?: string;
}

/**
 * What clocks decide: validity of certificates, when keys roll. IKEv2 tells nobody the time, so that a peer's clock shows
 * only where it makes a certificate invalid; our own shows by what we have written.
 */
export function clockLines({
  nowMilliseconds,
  isSynchronized,
  keys,
  lastFailure,
}: ClockFacts): readonly DoctorFinding[] {
  const { ok, warning, error } = linesAbout("clock");
  const now = new Date(nowMilliseconds).toISOString();
  const findings: DoctorFinding[] = [];
  const future = latestWritten(keys, nowMilliseconds + TOLERANCE_MILLISECONDS);
  if (future !== undefined) {
    const what = `it is ${now} here, but key ${future.name} has a date of ${future.at}: this clock was set back`;
    findings.push(error(what, "set the clock; a rollover waits for its date"));
  }
  if (isSynchronized === false)
    findings.push(
      warning(
        `it is ${now} here, and the kernel says that nobody keeps the clock right`,
        "run chrony, ntpd or systemd-timesyncd; look at: timedatectl",
      ),
    );
  if (lastFailure !== undefined && /not yet valid|expired/.test(lastFailure))
    findings.push(
      warning(
        `the last authentication failed over a date: ${lastFailure}`,
        "compare both machines' `date -u`; have an expired certificate renewed",
      ),
    );
  if (findings.length > 0) return findings;
  const kept = isSynchronized === true ? ", kept right by a time service" : "";
  return [ok(`it is ${now} here${kept}; no certificate and no key contradicts`)];
}

/** The key with the latest date of something that has happened, when that is later than `limit`. */
function latestWritten(
  keys: readonly KeyView[],
  limit: number,
): { readonly name: string; readonly at: string } | undefined {
  const dates = keys.flatMap(({ adminKeyName, history }) =>
    Object.values(history).map((at) => ({ name: adminKeyName, at })),
  );
  return dates.filter(({ at }) => Date.parse(at) > limit).sort((a, b) => Date.parse(b.at) - Date.parse(a.at))[0];
}
