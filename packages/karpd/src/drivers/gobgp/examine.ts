import type { SessionConfiguration } from "../../core/configuration.ts";
import type { DriverFinding } from "../../ports/routingDriver.ts";
import { runTool } from "../shared/runTool.ts";
import { findingsOf } from "./findings.ts";
import { gobgpSettings } from "./settings.ts";

/** Asks gobgpd what it is and how the neighbour is configured. */
export async function examineGobgp(session: SessionConfiguration): Promise<readonly DriverFinding[]> {
  const { program, apiHost, apiPort } = gobgpSettings(session);
  const at = ["-u", apiHost, "-p", String(apiPort)];
  const version = await runTool(program, ["--version"]);
  const neighbor = await runTool(program, [...at, "-j", "neighbor", session.remoteAddress]);
  if (!neighbor.ok) {
    const text = `gobgpd cannot be asked: ${neighbor.reason}. Its sockets are keyed all the same`;
    return [{ severity: "warning", text }];
  }
  return findingsOf(session, version.ok ? version.output : "", neighbor.output);
}
