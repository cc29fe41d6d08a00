import type { SessionConfiguration } from "../core/configuration.ts";
import type { Report } from "./report.ts";

/** What is wrong only because of another session. */
export function compareSessions(sessions: readonly SessionConfiguration[], report: Report): void {
  const byAddresses = new Map<string, SessionConfiguration[]>();
  for (const session of sessions) {
    const key = [session.vrf ?? "", session.localAddress, session.remoteAddress].join(" ");
    const others = byAddresses.get(key) ?? [];
    comparePair(others, session, report);
    byAddresses.set(key, [...others, session]);
  }
}

function comparePair(others: readonly SessionConfiguration[], session: SessionConfiguration, report: Report): void {
  const at = ["sessions", session.name, "remote"];
  const same = others.find((other) => other.port === session.port);
  const [first] = others;
  if (same !== undefined) {
    const what = `\`${same.name}\` has the same addresses and port: no key could tell the two sessions apart`;
    report.add("duplicateSession", at, what, "keep one of the two, or give one other addresses, `vrf` or `port`");
  } else if (first !== undefined) {
    const what = `\`${first.name}\` has the same addresses: Linux matches TCP-AO keys by address, not by port`;
    const advice = "give one of them other addresses, or watch that their KeyIDs differ (`karp show keys`)";
    report.add("sharedAddresses", at, what, advice, { severity: "warning" });
  }
}
