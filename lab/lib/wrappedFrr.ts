import { Frr, type FrrOptions } from "./frr.ts";
import type { DaemonMaker } from "./twoRouters.ts";
import { wrappedPid, wrapper } from "./wrap.ts";

/** FRR whose bgpd runs under `karp wrap` and opens connections. */
export class WrappedFrr extends Frr {
  /** That of bgpd: the process in front of it is the supervisor. */
  override get pid(): number {
    return wrappedPid(super.pid);
  }

  get supervisorPid(): number {
    return super.pid;
  }
}

export function wrappedFrr(options: FrrOptions = {}): DaemonMaker<WrappedFrr> {
  return (lab, plan) => {
    const front = wrapper(lab, plan.namespace);
    return new WrappedFrr(lab, plan, { isPassive: false, driver: "linux", wrapper: front, ...options });
  };
}
