import type { SessionConfiguration } from "../core/configuration.ts";
import type { MktAlgorithm } from "../core/keytable/row.ts";
import type { KeyView } from "../core/views.ts";
import { type DoctorFinding, linesAbout } from "./finding.ts";
import { usesKernel } from "./kernel.ts";

/** What a kind of driver can put into its routing daemon. */
export interface Abilities {
  readonly algorithms: readonly MktAlgorithm[];
  readonly tcpOptions: readonly ("covered" | "omitted")[];
}

export interface AlgorithmFacts {
  /** Of the session's driver; undefined: not known, then it can do everything. */
  readonly abilities: Abilities | undefined;
  /** Undefined: the kernel could not be asked. */
  readonly kernel: ReadonlySet<MktAlgorithm> | undefined;
  /** Of all sessions, from the running daemon; undefined: it does not run. */
  readonly keys: readonly KeyView[] | undefined;
}

/** What session, driver and kernel have in common, and what the option flag has to be at the other end. */
export function algorithmLines(session: SessionConfiguration, facts: AlgorithmFacts): readonly DoctorFinding[] {
  const inUse = facts.keys?.find((key) => key.session === session.name && key.state === "current");
  return [algorithms(session, facts, inUse), optionFlag(session, facts.abilities, inUse)];
}

function algorithms(
  session: SessionConfiguration,
  { abilities, kernel }: AlgorithmFacts,
  inUse: KeyView | undefined,
): DoctorFinding {
  const { ok, error } = linesAbout(`session ${session.name}: algorithms`);
  const byDriver = session.algorithms.filter((one) => abilities?.algorithms.includes(one) ?? true);
  if (byDriver.length === 0) {
    const can = abilities?.algorithms.join(", ") ?? "";
    return error(
      `driver ${session.driver} can none of ${session.algorithms.join(", ")}`,
      `set \`algorithms:\` to some of ${can}`,
    );
  }
  const isLocal = usesKernel(session);
  const common = isLocal && kernel !== undefined ? byDriver.filter((one) => kernel.has(one)) : byDriver;
  if (common.length === 0) {
    const what = kernel?.size === 0 ? "the kernel has no TCP-AO" : `the kernel has none of ${byDriver.join(", ")}`;
    return error(what, "see: karp doctor --kernel");
  }
  const limits = isLocal ? `driver ${session.driver} and kernel` : `driver ${session.driver}`;
  const unasked = isLocal && kernel === undefined ? " (the kernel could not be asked)" : "";
  const current = inUse === undefined ? "" : `; the key in use has ${inUse.algorithm}`;
  return ok(`${common.join(", ")} with ${limits}${unasked}; the peer has to offer one of them${current}`);
}

/** TCP_OPT of the MKT: whether the MAC covers the TCP options (RFC 5925 section 3.1). Both ends need the same. */
function optionFlag(
  { name, tcpOptions }: SessionConfiguration,
  abilities: Abilities | undefined,
  inUse: KeyView | undefined,
): DoctorFinding {
  const { ok, warning, error } = linesAbout(`session ${name}: option flag`);
  const possible = tcpOptions.filter((one) => abilities?.tcpOptions.includes(one) ?? true);
  if (possible.length === 0)
    return error(
      `the driver cannot have TCP options ${tcpOptions.join(" or ")}`,
      `set \`tcp-options\` to ${abilities?.tcpOptions.join(" or ")} at both ends`,
    );
  const wanted = possible.length > 1 ? `${possible.join(" or else ")}, as the peer takes it` : possible.join();
  if (inUse === undefined) return ok(`TCP options: ${wanted}; a neighbour that is keyed by hand needs the same`);
  const used = inUse.coversTcpOptions ? "covered" : "omitted";
  if (!possible.includes(used))
    return warning(`the key in use has TCP options ${used}, the configuration says ${wanted}`, `karp rekey ${name}`);
  return ok(`TCP options: ${used} by the key in use; a neighbour that is keyed by hand needs the same`);
}
