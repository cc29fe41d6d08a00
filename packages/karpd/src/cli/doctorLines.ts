import type { PeerView, SessionView } from "../core/views.ts";
import type { Finding } from "./findings.ts";

export function ofPeer(view: PeerView): Finding {
  const about = `peer ${view.peer}`;
  if (view.ikeSa === "established")
    return { severity: "ok", about, text: `IKE SA with ${view.remoteIdentity} at ${view.remote}, ${view.suite ?? ""}` };
  if (view.lastFailure === undefined)
    return { severity: "ok", about, text: `no IKE SA with ${view.remote} at the moment` };
  return {
    severity: "warning",
    about,
    text: `no IKE SA with ${view.remote}: ${view.lastFailure.text} (${view.lastFailure.at}); ${adviceOn(view.lastFailure.text)}`,
  };
}

/** A peer that answered is reachable: then the two disagree, and the end that refused has the reason in its events. */
function adviceOn(failure: string): string {
  if (failure.includes("mirrors UDP")) return "find what sends packets back there: a loop, a test service, an attacker";
  if (failure.includes("did not answer")) return "is UDP open between the two, and does karp run there?";
  if (failure.includes("was answered with")) return "the peer refused us: `karp show events` there says why";
  return "`karp show events` has the details";
}

export function ofSession(view: SessionView): Finding {
  const next = view.rollover.nextCommand === undefined ? "" : `; try: ${view.rollover.nextCommand}`;
  const waiting = view.rollover.waitingFor;
  const waits = waiting === undefined ? "" : `; waits for ${waiting.whom} since ${waiting.since} ${waiting.reason}`;
  return {
    severity: view.safe ? "ok" : "warning",
    about: `session ${view.session}`,
    text: `${view.safety}; ${view.rollover.step}${waits}${next}`,
  };
}
