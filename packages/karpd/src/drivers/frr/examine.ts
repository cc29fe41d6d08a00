import type { SessionConfiguration } from "../../core/configuration.ts";
import type { DriverFinding } from "../../ports/routingDriver.ts";
import { runTool, type ToolAnswer } from "../shared/runTool.ts";
import { type FrrFacts, findingsOf } from "./findings.ts";
import { type FrrSettings, frrSettings } from "./settings.ts";

/** Asks FRR what it is and how it is configured; its configuration holds passwords and goes nowhere. */
export async function examineFrr(session: SessionConfiguration): Promise<readonly DriverFinding[]> {
  const settings = frrSettings(session);
  const version = await ask(settings, "show version");
  if (!version.ok) {
    const text = `FRR cannot be asked: ${version.reason}; karp's user has to be in the group frrvty for that. Its sockets are keyed all the same`;
    return [{ severity: "warning", text }];
  }
  const commands = await ask(settings, "find tcp-ao");
  const running = await ask(settings, "show running-config");
  const facts: FrrFacts = {
    version: version.output,
    commands: commands.ok ? commands.output : "",
    running: running.ok ? running.output : "",
  };
  return findingsOf(session, facts);
}

function ask({ vtysh, pathspace }: FrrSettings, command: string): Promise<ToolAnswer> {
  return runTool(vtysh, [...(pathspace === undefined ? [] : ["-N", pathspace]), "-c", command]);
}
