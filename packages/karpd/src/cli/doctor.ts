import { probeKernelTcpAo } from "@karp/tcp-ao/linux";
import { formatProblems } from "../config/formatProblems.ts";
import { loadConfiguration } from "../config/loadConfiguration.ts";
import type { DaemonSettings } from "../config/settings.ts";
import { ControlClient, ControlError } from "../control/client.ts";
import type { PeerView, SessionView } from "../core/views.ts";
import { type DriverKinds, driverOptions } from "../runtime/driverSet.ts";
import { asFinding, examineSessions } from "./check.ts";
import { ofPeer, ofSession } from "./doctorLines.ts";
import { type Finding, report } from "./findings.ts";
import { examineListening } from "./listening.ts";

export interface DoctorOptions {
  readonly configurationFile: string;
  /** Where the daemon is asked; absent: where the configuration says. */
  readonly socket?: string;
  readonly json: boolean;
  readonly driverKinds: DriverKinds;
}

/** `karp doctor`: from the machine up to the peers, everything that could keep karp from working, each line with what to do. */
export async function doctor(options: DoctorOptions): Promise<{ readonly text: string; readonly ok: boolean }> {
  const findings: Finding[] = [machine(), kernel()];
  const loaded = await loadConfiguration(options.configurationFile, driverOptions(options.driverKinds));
  if (!loaded.ok) {
    findings.push({
      severity: "error",
      about: "configuration",
      text: `${options.configurationFile} cannot be used; \`karp check\` shows each line`,
    });
    if (options.json) findings.push(...loaded.problems.map(asFinding));
    const { text } = report(findings, options.json);
    return { text: options.json ? text : `${formatProblems(loaded.problems)}\n${text}`, ok: false };
  }
  findings.push({ severity: "ok", about: "configuration", text: options.configurationFile });
  findings.push(...loaded.warnings.map(asFinding));
  findings.push(...(await examineListening(loaded.daemon, options.socket)));
  findings.push(...(await examineSessions(loaded.configuration, options.driverKinds, loaded.daemon.keyer.socketPath)));
  findings.push(...(await daemon(options.socket, loaded.daemon)));
  return report(findings, options.json);
}

function machine(): Finding {
  return { severity: "ok", about: "machine", text: `Node.js ${process.version}, ${process.platform} ${process.arch}` };
}

function kernel(): Finding {
  const probed = probe();
  if (typeof probed === "string")
    return { severity: "warning", about: "kernel", text: `cannot be asked whether it has TCP-AO: ${probed}` };
  const { supported, algorithms } = probed;
  if (supported) return { severity: "ok", about: "kernel", text: `has TCP-AO with ${algorithms.join(", ")}` };
  return {
    severity: "warning",
    about: "kernel",
    text: "has no TCP-AO: BIRD cannot use a key on this machine; boot a Linux kernel 6.7 or newer that was built with CONFIG_TCP_AO=y (`mode: observe` works without)",
  };
}

/** What the kernel can do, or why nobody knows: where no native code can be loaded there is nothing to ask with. */
function probe(): ReturnType<typeof probeKernelTcpAo> | string {
  try {
    return probeKernelTcpAo();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** What the running daemon says of itself, its peers and its sessions. */
async function daemon(socket: string | undefined, settings: DaemonSettings): Promise<readonly Finding[]> {
  const path = socket ?? settings.control.socketPath;
  const client = new ControlClient(path);
  try {
    const peers = (await client.get("/v1/peers")) as readonly PeerView[];
    const sessions = (await client.get("/v1/sessions")) as readonly SessionView[];
    return [
      { severity: "ok", about: "daemon", text: `answers on ${path}` },
      ...peers.map(ofPeer),
      ...sessions.map(ofSession),
    ];
  } catch (error) {
    if (!(error instanceof ControlError)) throw error;
    return [{ severity: "error", about: "daemon", text: error.message }];
  }
}
