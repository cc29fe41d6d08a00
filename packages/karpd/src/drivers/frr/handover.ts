import type { SessionConfiguration } from "../../core/configuration.ts";
import { type Handover, HandoverFailure } from "../../ports/handover.ts";
import type { DriverContext } from "../context.ts";
import { createKeyedHandover, type PasswordRemoval } from "../shared/keyedHandover.ts";
import { runTool, type ToolAnswer } from "../shared/runTool.ts";
import { findPassword } from "./password.ts";
import { type FrrSettings, frrSettings } from "./settings.ts";

/** For `karp unmanage` and `karp migrate`. */
export function createFrrHandover(context: DriverContext): Handover {
  return createKeyedHandover({ name: "frr", passwordRemoval }, context);
}

/** By vtysh, in the running configuration; what is saved stays for a person to write. */
async function passwordRemoval(session: SessionConfiguration): Promise<PasswordRemoval> {
  const settings = frrSettings(session);
  const running = await vtysh(settings, ["-c", "show running-config"]);
  if (!running.ok) throw new HandoverFailure(`FRR cannot be asked: ${running.reason}`);
  const found = findPassword(running.output, session);
  if (found === undefined) {
    const { remoteAddress, protocol } = session;
    const text = `take the MD5 password for ${remoteAddress} (${protocol}) out of FRR by hand: it does not stand at a neighbor of its own in \`router bgp\`; karp migrate waits for it`;
    return { text };
  }
  const { context, off, on } = found;
  return {
    text: `FRR, in \`${context}\`: ${off} (by vtysh; \`write memory\` saves it when you are content)`,
    remove: () => configure(settings, [context, off]),
    putBack: () => configure(settings, [context, on]),
  };
}

/** On stdin: what stands on a command line every local user can read. @throws HandoverFailure, without the words */
async function configure(settings: FrrSettings, lines: readonly string[]): Promise<void> {
  const input = ["configure terminal", ...lines, "end", ""].join("\n");
  const answer = await vtysh(settings, [], input);
  const refused = answer.ok ? /^% .*$/m.exec(answer.output)?.[0] : answer.reason;
  if (refused !== undefined) throw new HandoverFailure(`FRR does not take it: ${refused}`);
}

function vtysh({ vtysh, pathspace }: FrrSettings, words: readonly string[], input?: string): Promise<ToolAnswer> {
  return runTool(vtysh, [...(pathspace === undefined ? [] : ["-N", pathspace]), ...words], input);
}
