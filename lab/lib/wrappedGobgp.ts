import { Gobgp } from "./gobgp.ts";
import type { DaemonMaker } from "./twoRouters.ts";
import { wrappedPid, wrapper } from "./wrap.ts";

/** GoBGP whose gobgpd runs under `karp wrap` and opens connections. */
class WrappedGobgp extends Gobgp {
  /** That of gobgpd: the process in front of it is the supervisor. */
  override get pid(): number {
    return wrappedPid(super.pid);
  }
}

export function wrappedGobgp(): DaemonMaker<WrappedGobgp> {
  return (lab, plan) => {
    const front = wrapper(lab, plan.namespace);
    return new WrappedGobgp(lab, plan, { isPassive: false, driver: "linux", wrapper: front });
  };
}
