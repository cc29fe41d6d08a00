import type { SessionConfiguration } from "../core/configuration.ts";
import type { Report } from "./report.ts";
import type { DriverAbilities } from "./settings.ts";

/** What is wrong only because of another session. */
export function compareSessions(
  sessions: readonly SessionConfiguration[],
  abilities: Readonly<Record<string, DriverAbilities>>,
  report: Report,
): void {
  refuseSharedClaims(sessions, abilities, report);
  const byAddresses = new Map<string, SessionConfiguration[]>();
  for (const session of sessions) {
    const key = [session.vrf ?? "", session.localAddress, session.remoteAddress].join(" ");
    const others = byAddresses.get(key) ?? [];
    comparePair(others, session, report);
    byAddresses.set(key, [...others, session]);
  }
}

/** Two sessions that write one file would take each other's keys out of it, in turns. */
function refuseSharedClaims(
  sessions: readonly SessionConfiguration[],
  abilities: Readonly<Record<string, DriverAbilities>>,
  report: Report,
): void {
  const owners = new Map<string, SessionConfiguration>();
  for (const session of sessions) {
    const able = Object.hasOwn(abilities, session.driver) ? abilities[session.driver] : undefined;
    for (const { word, value, what } of able?.claims?.(session) ?? []) {
      const key = JSON.stringify([session.driver, word, value]);
      const owner = owners.get(key);
      owners.set(key, owner ?? session);
      if (owner === undefined) continue;
      const path = ["sessions", session.name, session.driver, word];
      report.add(
        "sharedClaim",
        path,
        `\`${owner.name}\` has ${what} too`,
        `give each of the two a \`${word}\` of its own`,
      );
    }
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
