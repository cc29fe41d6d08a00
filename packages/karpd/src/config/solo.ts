import type { SoloConfiguration } from "../core/configuration.ts";
import type { Report } from "./report.ts";
import type { SessionLayers } from "./sessions.ts";
import { parseDuration } from "./words.ts";

const DAY_SECONDS = 86_400;
const defaults = { keys: 4, everySeconds: 45 * DAY_SECONDS } as const;
/** DISA STIG: no key of a routing protocol is used for longer than 180 days. */
const MOST_SECONDS = 180 * DAY_SECONDS;

/** `peer: none`: the neighbour has no karp. */
export function isAlone({ session }: SessionLayers): boolean {
  return session.peer === "none";
}

/** The chain of keys for a neighbour without karp; undefined where there is a peer. */
export function soloOf(layers: SessionLayers, report: Report): SoloConfiguration | undefined {
  const { session, path } = layers;
  if (!isAlone(layers)) {
    if (session.solo === undefined) return undefined;
    const advice = "write `peer: none` for a neighbour without karp, or remove `solo`";
    report.add("soloWithPeer", [...path, "solo"], `\`solo\` is for \`peer: none\`, not for ${session.peer}`, advice, {
      aim: "key",
    });
    return undefined;
  }
  for (const word of ["psk-file", "fingerprint", "peer-address"] as const) {
    if (session[word] === undefined) continue;
    const what = `\`${word}\` is about a peer, and there is none`;
    report.add("noPeer", [...path, word], what, `remove \`${word}\`, or write who the peer is`, { aim: "key" });
  }
  const every = parseDuration(session.solo?.every ?? "");
  const everySeconds = every.ok ? every.value : defaults.everySeconds;
  const keys = session.solo?.keys ?? defaults.keys;
  judge(layers, { keys, everySeconds }, report);
  return { keys, everySeconds };
}

function judge({ path }: SessionLayers, { keys, everySeconds }: SoloConfiguration, report: Report): void {
  const at = [...path, "solo", "every"];
  if (keys * everySeconds > MOST_SECONDS) {
    const days = (keys * everySeconds) / DAY_SECONDS;
    const most = Math.floor(MOST_SECONDS / DAY_SECONDS / keys);
    const what = `${keys} keys together last ${days} days: more than 180`;
    report.add("chainTooLong", at, what, `write at most \`every: ${most}d\`, or fewer \`keys\``);
  } else if (everySeconds < DAY_SECONDS) {
    const what = `a key of a chain that is sent with for ${everySeconds} s`;
    const advice = "write a day or more, except in tests: the neighbour rolls by its own clock";
    report.add("shortChain", at, what, advice, { severity: "warning" });
  }
}
