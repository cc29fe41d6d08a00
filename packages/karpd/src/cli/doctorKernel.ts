import { loadConfiguration } from "../config/loadConfiguration.ts";
import type { SessionConfiguration } from "../core/configuration.ts";
import { examineKernel } from "../doctor/kernel.ts";
import { type KernelProbes, linuxProbes } from "../doctor/kernelProbes.ts";
import { type DriverKinds, driverOptions } from "../runtime/driverSet.ts";
import { type Finding, report } from "./findings.ts";

export interface DoctorKernelOptions {
  readonly configurationFile: string;
  readonly json: boolean;
  readonly driverKinds: DriverKinds;
  /** Default: this machine's kernel. */
  readonly probes?: KernelProbes;
}

/** `karp doctor --kernel`: what the kernel can do, against what the configured sessions need; works without a configuration. */
export async function doctorKernel(
  options: DoctorKernelOptions,
): Promise<{ readonly text: string; readonly ok: boolean }> {
  const { sessions, findings } = await configured(options);
  return report([...findings, ...(await examine(options.probes ?? linuxProbes, sessions))], options.json);
}

/** Where no native code can be loaded there is nothing to ask with. */
async function examine(probes: KernelProbes, sessions: readonly SessionConfiguration[]): Promise<readonly Finding[]> {
  try {
    return await examineKernel(probes, sessions);
  } catch (error) {
    const text = `cannot be asked: ${error instanceof Error ? error.message : String(error)}`;
    return [{ severity: "error", about: "kernel", text, todo: "run it on Linux with the package koffi installed" }];
  }
}

async function configured({ configurationFile, driverKinds }: DoctorKernelOptions): Promise<{
  readonly sessions: readonly SessionConfiguration[];
  readonly findings: readonly Finding[];
}> {
  const loaded = await loadConfiguration(configurationFile, driverOptions(driverKinds));
  if (loaded.ok) return { sessions: loaded.configuration.sessions, findings: [] };
  const text = `${configurationFile} cannot be used, so nobody knows what the sessions need`;
  const todo = "correct what `karp check` shows, or name another file with --config";
  return { sessions: [], findings: [{ severity: "warning", about: "configuration", text, todo }] };
}
