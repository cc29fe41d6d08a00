import { readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";

interface LoadedKey {
  readonly sendId: number;
  readonly recvId: number;
  readonly secret: string;
  readonly algorithm: string;
  readonly preference: number;
}

export interface FakeBirdOptions {
  readonly directory: string;
  readonly protocol?: string;
  readonly version?: string;
  readonly neighbor?: string;
  /** Default: r2.conf in the directory. */
  readonly include?: string;
  /** BIRD's names of algorithms that the kernel does not know. */
  readonly unknownAlgorithms?: readonly string[];
}

/**
 * BIRD as far as the driver can see it: the reply protocol, one BGP protocol, and the rules by which BIRD restarts a
 * session when its keys change. It reads the real include file. Written from BIRD's behaviour, not from the driver.
 */
export class FakeBird {
  readonly control: string;
  readonly config: string;
  readonly include: string;
  readonly protocol: string;
  readonly commands: string[] = [];
  /** Something happens just before it answers this command. */
  before: ((command: string) => void) | undefined;
  loaded: readonly LoadedKey[] = [];
  loadedAt = preciseNow();
  /** Of BIRD itself, seconds since 1970. */
  startedAt = 1_700_000_000;
  state: "established" | "connecting" | "failed" | "disabled" = "established";
  current: number | undefined;
  rnext: number | undefined;
  good = 6;
  restarts = 0;
  configures = 0;
  undoInSeconds: number | undefined;
  checkError: string | undefined;
  isRestricted = false;
  /** When the protocol came into its state. */
  since = "1700000001.500000";
  /** More rows of `show protocols`. */
  otherProtocols: readonly string[] = [];
  /** Hangs up instead of answering this command, once. */
  dropOn: string | undefined;
  /** Does what this command says, answers half of a line and hangs up, once. */
  loseAnswerTo: string | undefined;
  /** Answers this command with these lines. */
  answers = new Map<string, readonly string[]>();
  readonly #options: FakeBirdOptions;
  #wanderMilliseconds = 0;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;

  constructor(options: FakeBirdOptions) {
    this.#options = options;
    this.protocol = options.protocol ?? "r2";
    this.control = `${options.directory}/bird.ctl`;
    this.config = `${options.directory}/bird.conf`;
    this.include = options.include ?? `${options.directory}/r2.conf`;
    writeFileSync(
      this.config,
      `protocol bgp '${this.protocol}' {\n  neighbor 10.0.0.2 as 65002;\n  include "${this.include}";\n}\n`,
    );
  }

  async start(): Promise<this> {
    this.loadedAt = preciseNow();
    const server = createServer((socket) => this.#serve(socket));
    await new Promise<void>((resolve) => server.listen(this.control, resolve));
    this.#server = server;
    return this;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    const server = this.#server;
    this.#server = undefined;
    if (server) await new Promise((resolve) => server.close(resolve));
  }

  /** The peer asks for another of our keys: its rnext_key has moved. */
  peerAsksFor(sendId: number): void {
    if (!this.loaded.some((key) => key.sendId === sendId)) return;
    this.current = sendId;
    this.good++;
  }

  /** What an operator types: not within the same moment as karp's own, for a test is faster than fingers. */
  configure(): readonly string[] {
    const answer = this.#configure();
    this.loadedAt += 500;
    return answer;
  }

  #configure(): readonly string[] {
    if (this.checkError !== undefined)
      return [`0002-Reading configuration from ${this.config}`, `8002 ${this.checkError}`];
    const next = readKeys(readFileSync(this.include, "utf8"));
    this.configures++;
    this.undoInSeconds = undefined;
    const restarted = this.#reconfigure(next);
    this.loadedAt = preciseNow();
    return [
      `0002-Reading configuration from ${this.config}`,
      restarted ? "0004 Reconfiguration in progress" : "0003 Reconfigured",
    ];
  }

  #reconfigure(next: readonly LoadedKey[]): boolean {
    const isUsable = (key: LoadedKey): boolean => !(this.#options.unknownAlgorithms ?? []).includes(key.algorithm);
    const survives = (key: LoadedKey): boolean => next.some((other) => isSame(key, other));
    const best = [...next]
      .filter((key) => isUsable(key) && key.preference >= 0)
      .sort((a, b) => b.preference - a.preference)[0];
    const removed = this.loaded.filter((key) => !survives(key));
    const inUse = removed.some((key) => key.sendId === this.current || key.recvId === this.rnext);
    const backup = next.find((key) => this.loaded.some((old) => isSame(old, key)) && key.preference >= 0);
    const oldBest = this.loaded.find((key) => key.recvId === this.rnext && survives(key));
    const isSwitch = (this.loaded.length === 0) !== (next.length === 0);
    this.loaded = next;
    if (this.state === "failed" && (best !== undefined || next.length === 0)) this.state = "established";
    if (next.length > 0 && best === undefined) return this.#restart("failed");
    if (isSwitch || (inUse && this.state === "established" && backup === undefined && oldBest === undefined)) {
      this.#restart("established");
      this.#useBest(best, true);
      return true;
    }
    this.#useBest(best, inUse || this.current === undefined);
    return false;
  }

  #useBest(best: LoadedKey | undefined, moves: boolean): void {
    this.rnext = best?.recvId;
    if (moves) this.current = best?.sendId;
  }

  #restart(state: FakeBird["state"]): true {
    if (this.state !== "disabled") this.state = state;
    this.restarts++;
    return true;
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("error", () => undefined);
    socket.write(`0001 BIRD ${this.#options.version ?? "3.4.0"} ready.\n`);
    let rest = "";
    socket.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const command of lines) this.#answer(socket, command);
    });
  }

  #answer(socket: Socket, command: string): void {
    this.before?.(command);
    this.commands.push(command);
    if (this.dropOn === command) {
      this.dropOn = undefined;
      socket.destroy();
      return;
    }
    // In two pieces, as a stream may bring them
    const text = `${(this.answers.get(command) ?? this.#reply(command)).join("\n")}\n`;
    if (this.loseAnswerTo === command) {
      this.loseAnswerTo = undefined;
      socket.end(text.slice(0, 7));
      return;
    }
    socket.write(text.slice(0, 7));
    socket.write(text.slice(7));
  }

  #reply(command: string): readonly string[] {
    if (command === 'timeformat "%s.%6f"') return ["0000 "];
    if (command === "show status") return this.#status();
    if (command === "configure status") return this.#configureStatus();
    if (this.isRestricted) return ["8007 Access denied"];
    if (command === "configure check") {
      return [
        `0002-Reading configuration from ${this.config}`,
        this.checkError ? `8002 ${this.checkError}` : "0020 Configuration OK",
      ];
    }
    if (command === "configure") return this.#configure();
    if (command === `disable "${this.protocol}"`) return this.#disable();
    if (command === `enable "${this.protocol}"`) {
      this.state = "established";
      return [`0011-${this.protocol}: enabled`, "0000 "];
    }
    if (command === `show protocols all "${this.protocol}"`) return this.#details();
    if (command === "show protocols") return this.#list();
    if (command === "show protocols all") return this.#details();
    if (command.startsWith("show protocols all")) return ["8003 No protocols match"];
    return ["9001 syntax error, unexpected CF_SYM_UNDEFINED"];
  }

  #disable(): readonly string[] {
    const was = this.state;
    this.state = "disabled";
    return [
      was === "disabled" ? `0008-${this.protocol}: already disabled` : `0009-${this.protocol}: disabled`,
      "0000 ",
    ];
  }

  #status(): readonly string[] {
    // BIRD keeps the moment on the monotonic clock, and counts back from now whenever it prints it
    this.#wanderMilliseconds = this.#wanderMilliseconds === 0 ? 3 : 0;
    return [
      `1000-BIRD ${this.#options.version ?? "3.4.0"}`,
      "1011-Router ID is 1.1.1.1",
      " Hostname is guest",
      ` Current server time is ${seconds(Date.now())}`,
      ` Last reboot on ${seconds(this.startedAt * 1000)}`,
      ` Last reconfiguration on ${seconds(this.loadedAt + this.#wanderMilliseconds)}`,
      "0013 Daemon is up and running",
    ];
  }

  #configureStatus(): readonly string[] {
    if (this.undoInSeconds === undefined) return ["0003-Daemon is up and running", "0000 "];
    return [
      "0003-Daemon is up and running",
      `0022-Configuration unconfirmed, undo in ${this.undoInSeconds} s`,
      "0000 ",
    ];
  }

  #list(): readonly string[] {
    const rows = [this.#row(), ...this.otherProtocols.map((row) => ` ${row}`)];
    return ["2002-Name       Proto      Table      State  Since         Info", `1002-${rows.join("\n")}`, "0000 "];
  }

  #row(): string {
    const columns = {
      established: ["up", "Established"],
      connecting: ["start", "Connect"],
      failed: ["down", "Error: Authentication failed"],
      disabled: ["down", ""],
    };
    const [state, info] = columns[this.state];
    return `${this.protocol.padEnd(10)} BGP        ---        ${state?.padEnd(6)} ${this.since}  ${info?.padEnd(14)}`;
  }

  #details(): readonly string[] {
    const bgp = { established: "Established", connecting: "Connect", failed: "Down", disabled: "Down" }[this.state];
    const tcpAo = [
      "     TCP-AO:",
      `       Current key:    ${this.current}`,
      `       RNext key:      ${this.rnext}`,
      `       Good packets:   ${this.good}`,
      "       Bad packets:    0",
    ];
    return [
      "2002-Name       Proto      Table      State  Since         Info",
      `1002-${this.#row()}`,
      "1006-  Created:            1700000000.000000",
      `   BGP state:          ${bgp}`,
      `     Neighbor address: ${this.#options.neighbor ?? "10.0.0.2"}`,
      "     Neighbor AS:      65002",
      "     Local AS:         65001",
      ...(this.state === "established" && this.loaded.length > 0 ? tcpAo : []),
      "   Channel ipv4",
      "     State:          UP",
      " ",
      "0000 ",
    ];
  }
}

function readKeys(text: string): readonly LoadedKey[] {
  const pattern =
    /key \{ send id (\d+); recv id (\d+); secret hex:([0-9a-f]+); algorithm ([a-z0-9 ]+);( preferred;| deprecated;)? \};/g;
  return Array.from(text.matchAll(pattern), ([, sendId, recvId, secret = "", algorithm = "", use]) => ({
    sendId: Number(sendId),
    recvId: Number(recvId),
    secret,
    algorithm,
    preference: use === undefined ? 0 : use === " preferred;" ? 1 : -1,
  }));
}

function isSame(a: LoadedKey, b: LoadedKey): boolean {
  return a.sendId === b.sendId && a.recvId === b.recvId && a.secret === b.secret && a.algorithm === b.algorithm;
}

/** Wall clock with microseconds, as BIRD has it. */
function preciseNow(): number {
  return performance.timeOrigin + performance.now();
}

function seconds(milliseconds: number): string {
  return (milliseconds / 1000).toFixed(6);
}
