// A real BIRD in a network namespace, driven as an operator does: configuration files and birdc.
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Daemon, exec, must } from "./exec.ts";
import type { Lab } from "./lab.ts";
import type { Peering, RouterPlan, RoutingDaemon } from "./routingDaemon.ts";
import { GiveUpError, waitFor } from "./wait.ts";

export interface BgpPeering extends Peering {
  /** File that the block includes: empty, or `authentication ao; keys { … };`. */
  readonly keyFile: string;
}

export interface BirdOptions {
  readonly namespace: string;
  readonly routerId: string;
  readonly peering: BgpPeering;
  /** Prefixes that it originates. */
  readonly routes: readonly string[];
  /** 3: Debian's bird3 on the PATH (default); 2: bird2, unpacked below /opt. */
  readonly version?: 2 | 3;
  /** More lines of the `protocol bgp` block; the last one of a kind wins, so they may change what the lab writes. */
  readonly protocolLines?: readonly string[];
  /** More lines of bird.conf. */
  readonly configurationLines?: readonly string[];
  /** The `bird:` block of karp.yaml, beside what follows from the lab's paths. */
  readonly driverWords?: Readonly<Record<string, string>>;
}

/** What `birdc show protocols all NAME` says; absent is not zero. */
export interface ProtocolStatus {
  readonly state: string;
  readonly since: string;
  readonly info: string;
  readonly ao:
    | { readonly current: number; readonly rnext: number; readonly good: number; readonly bad: number }
    | undefined;
  readonly routes: { readonly imported: number; readonly exported: number } | undefined;
}

const TIMERS = "hold time 9; keepalive time 1; connect delay time 1; connect retry time 2; error wait time 1, 2;";
const PROGRAMS = { 2: "/opt/bird2/usr/sbin/bird", 3: "bird" } as const;

/** Makers of BIRDs for `setUpTwoRouters`. */
export function bird(options: Partial<BirdOptions> = {}): (lab: Lab, plan: RouterPlan) => Bird {
  return (lab, { peering, keyFile, ...plan }) => {
    const made = new Bird(lab, { ...plan, ...options, peering: { ...peering, keyFile } });
    made.writeKeyFile("# no key yet\n");
    return made;
  };
}

export class Bird implements RoutingDaemon {
  readonly options: BirdOptions;
  readonly log: string;
  readonly #folder: string;
  readonly #socket: string;
  #daemon: Daemon | undefined;

  constructor(lab: Lab, options: BirdOptions) {
    this.options = options;
    this.#folder = join("/etc/lab", options.namespace);
    this.#socket = join("/run", `${options.namespace}.bird.ctl`);
    this.log = join(lab.out, `${options.namespace}.bird.log`);
    mkdirSync(this.#folder, { recursive: true });
    writeFileSync(this.#configuration, birdConfiguration(options, this.log));
    lab.defer(() => this.#daemon?.end("SIGKILL"));
  }

  get namespace(): string {
    return this.options.namespace;
  }

  get peering(): BgpPeering {
    return this.options.peering;
  }

  get #configuration(): string {
    return join(this.#folder, "bird.conf");
  }

  get configuration(): string {
    return this.#configuration;
  }

  get driverWords(): readonly string[] {
    const words = {
      include: this.options.peering.keyFile,
      control: this.#socket,
      config: this.#configuration,
      "configure-interval": "1s",
      ...this.options.driverWords,
    };
    return ["driver: bird", `bird: ${JSON.stringify(words)}`];
  }

  get controlSocket(): string {
    return this.#socket;
  }

  get pid(): number {
    if (this.#daemon === undefined) throw new Error("BIRD is not started");
    return this.#daemon.pid;
  }

  /** Starts BIRD in the foreground of its namespace and waits until its control socket answers. */
  async start(): Promise<void> {
    const { namespace, version = 3 } = this.options;
    const command = [PROGRAMS[version], "-f", "-c", this.#configuration, "-s", this.#socket];
    const daemon = new Daemon(`BIRD of ${namespace}`, command, this.log, { namespace });
    this.#daemon = daemon;
    const answers = async (): Promise<string> => {
      if (!daemon.isRunning()) throw new GiveUpError(`BIRD of ${namespace} ended:\n${daemon.logTail()}`);
      return await this.birdc("show", "status");
    };
    await waitFor(`BIRD of ${namespace} to answer`, answers, { seconds: 20 });
  }

  async end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    await this.#daemon?.end(signal);
  }

  /** One birdc command. @throws Error when birdc says that it failed */
  birdc(...words: string[]): Promise<string> {
    return must(["birdc", "-s", this.#socket, ...words]);
  }

  /** Makes BIRD read its configuration again. @returns BIRD's last word on it */
  async configure(): Promise<string> {
    const { stdout, stderr } = await exec(["birdc", "-s", this.#socket, "configure"]);
    return (stdout || stderr).trim().split("\n").at(-1) ?? "";
  }

  async status(protocol = this.options.peering.protocol): Promise<ProtocolStatus> {
    return parseProtocol(await this.birdc("show", "protocols", "all", protocol));
  }

  async waitEstablished(routes: number, seconds = 60): Promise<ProtocolStatus> {
    const what = `${this.options.namespace}'s session with ${routes} routes`;
    return await waitFor(
      what,
      async () => {
        const status = await this.status();
        if (status.info !== "Established") throw new Error(`${status.state} ${status.info}`);
        return status.routes?.imported === routes && status.routes.exported === routes ? status : undefined;
      },
      { seconds },
    );
  }

  /** Writes an included key file as a whole, never half; default that of the first session. */
  writeKeyFile(text: string, keyFile = this.options.peering.keyFile): void {
    mkdirSync(join(keyFile, ".."), { recursive: true });
    writeFileSync(`${keyFile}.new`, text, { mode: 0o600 });
    renameSync(`${keyFile}.new`, keyFile);
  }

  logLines(pattern: RegExp): string[] {
    if (!existsSync(this.log)) return [];
    return readFileSync(this.log, "utf8")
      .split("\n")
      .filter((line) => pattern.test(line));
  }
}

/** Another session of the same BIRD, as a daemon of its own. */
export function otherSession(daemon: Bird, peering: Peering): RoutingDaemon {
  const status = () => daemon.status(peering.protocol);
  return {
    namespace: daemon.namespace,
    peering,
    get pid() {
      return daemon.pid;
    },
    driverWords: [],
    start: () => daemon.start(),
    end: (signal) => daemon.end(signal),
    status,
    waitEstablished: (_routes, seconds = 60) =>
      waitFor(
        `${daemon.namespace}'s session ${peering.protocol}`,
        async () => {
          const now = await status();
          return now.info === "Established" ? now : undefined;
        },
        { seconds },
      ),
  };
}

/** One more `protocol bgp` block for bird.conf, without routes. */
export function moreProtocol({ protocol, local, localAs, remote, remoteAs, port }: Peering, lines: readonly string[]) {
  const at = port === undefined ? "" : ` port ${port}`;
  return [
    `protocol bgp ${protocol} {`,
    `  local ${local}${at} as ${localAs}; neighbor ${remote}${at} as ${remoteAs};`,
    "  ipv4 { import none; export none; };",
    `  ${TIMERS}`,
    ...lines, // an include stands alone on its line
    "}",
  ].join("\n");
}

function birdConfiguration(options: BirdOptions, log: string): string {
  const { routerId, peering, routes, protocolLines = [], configurationLines = [] } = options;
  const { protocol, local, localAs, remote, remoteAs, keyFile } = peering;
  const channel = local.includes(":") ? "ipv6" : "ipv4";
  return `log "${log}" all;
router id ${routerId};
timeformat protocol iso long ms;
protocol device { scan time 5; }
protocol static originated {
  ${channel};
${routes.map((route) => `  route ${route} blackhole;`).join("\n")}
}
protocol bgp ${protocol} {
  local ${local} as ${localAs};
  neighbor ${remote} as ${remoteAs};
  ${channel} { import all; export all; };
  ${TIMERS}
${protocolLines.map((line) => `  ${line}\n`).join("")}include "${keyFile}";
}
${configurationLines.map((line) => `${line}\n`).join("")}`;
}

/** Reads the text of `birdc show protocols all NAME` (BIRD 2.20 and 3.4 print it alike). */
export function parseProtocol(text: string): ProtocolStatus {
  const row = /^(\S+) +BGP +\S+ +(\S+) +(\d\S*(?: \d\S*)?) *(.*)$/m.exec(text);
  if (row === null) throw new Error(`birdc shows no BGP protocol:\n${text}`);
  const [, , state = "", since = "", info = ""] = row;
  const number = (pattern: RegExp): number | undefined => {
    const found = pattern.exec(text)?.[1];
    return found === undefined ? undefined : Number(found);
  };
  const current = number(/^ +Current key: +(\d+)$/m);
  const rnext = number(/^ +RNext key: +(\d+)$/m);
  const good = number(/^ +Good packets: +(\d+)$/m);
  const bad = number(/^ +Bad packets: +(\d+)$/m);
  const whole = current !== undefined && rnext !== undefined && good !== undefined && bad !== undefined;
  const imported = number(/^ +Routes: +(\d+) imported/m);
  const exported = number(/^ +Routes: +.*?(\d+) exported/m);
  return {
    state,
    since,
    info: info.trim(),
    ao: whole ? { current, rnext, good, bad } : undefined,
    routes: imported === undefined || exported === undefined ? undefined : { imported, exported },
  };
}

/** r1 and r2 of `addTwoRouters`, each with `count` routes of its own, and key files below `keyFolder(router)`. */
export function twoBirds(lab: Lab, count: number, keyFile: (router: string, protocol: string) => string): [Bird, Bird] {
  const make = (n: number): Bird => {
    const other = 3 - n;
    return new Bird(lab, {
      namespace: `r${n}`,
      routerId: `10.0.0.${n}`,
      routes: Array.from({ length: count }, (_, i) => `10.${100 + n}.${i >> 8}.${i & 255}/32`),
      peering: {
        protocol: `r${other}`,
        local: `10.0.0.${n}`,
        localAs: 65000 + n,
        remote: `10.0.0.${other}`,
        remoteAs: 65000 + other,
        keyFile: keyFile(`r${n}`, `r${other}`),
      },
    });
  };
  return [make(1), make(2)];
}

/**
 * BIRD keeps `Since` on the monotonic clock and prints it as wall time anew each time: the last digits wander with the
 * clock's adjustment, by tens of milliseconds on a busy machine. A session that restarts takes more than a second here.
 * @returns `before` when `now` is the same moment, else `now`
 */
export function sameSince(now: string, before: string | undefined): string {
  if (before === undefined) return now;
  const distance = Math.abs(Date.parse(`${now.replace(" ", "T")}Z`) - Date.parse(`${before.replace(" ", "T")}Z`));
  return distance <= 500 ? before : now;
}
