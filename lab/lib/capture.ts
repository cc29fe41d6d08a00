import { join } from "node:path";
import { Daemon } from "./exec.ts";
import type { Lab } from "./lab.ts";
import { waitFor } from "./wait.ts";

/** A running tcpdump that writes whole packets to `<out>/<name>.pcap`. */
export class Capture {
  readonly file: string;
  readonly #daemon: Daemon;

  private constructor(file: string, daemon: Daemon) {
    this.file = file;
    this.#daemon = daemon;
  }

  /** Starts tcpdump and waits until it listens. @param filter a pcap filter expression */
  static async start(lab: Lab, name: string, namespace: string, filter: string, device = "e0"): Promise<Capture> {
    const file = join(lab.out, `${name}.pcap`);
    const quiet = ["-n", "-Z", "root", "-s", "0", "-B", "8192", "-U", "--immediate-mode"];
    const command = ["tcpdump", "-i", device, ...quiet, "-w", file, filter];
    const daemon = new Daemon(`tcpdump in ${namespace}`, command, join(lab.out, `${name}.tcpdump.log`), { namespace });
    await waitFor("tcpdump to listen", () => daemon.logTail().includes("listening on"), { seconds: 20 });
    lab.defer(() => daemon.end("SIGKILL"));
    return new Capture(file, daemon);
  }

  /** Stops it; a capture with holes would prove nothing, so it is asserted that none was dropped. */
  async stop(lab: Lab): Promise<void> {
    await this.#daemon.end("SIGINT");
    const dropped = /^(\d+) packets? dropped by kernel$/m.exec(this.#daemon.logTail())?.[1];
    lab.equal("the capture is complete (packets dropped by tcpdump)", dropped, "0");
  }
}
