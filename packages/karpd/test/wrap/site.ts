import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { readLines, writeLine } from "../../src/keyer/lines.ts";
import { type KeySocketOutcome, parseRequest } from "../../src/keyer/protocol.ts";
import { karp } from "../program.ts";

const source = join(import.meta.dirname, "daemon.c");

/** Why these tests cannot run here; undefined: they can. */
export const missing: string | undefined = whatIsMissing();

function whatIsMissing(): string | undefined {
  if (process.platform !== "linux") return "karp wrap runs on Linux";
  if (process.arch !== "x64" && process.arch !== "arm64") return "karp wrap runs on x64 and arm64";
  if (spawnSync("cc", ["--version"]).error !== undefined) return "no C compiler (cc) to build the test's daemon with";
  return undefined;
}

/** One router on loopback addresses that no other test has: a karp.yaml, a stand-in keyer, a neighbour, a daemon. */
export class WrapSite {
  readonly folder: string;
  readonly keyer: StandInKeyer;
  /** The neighbour of the session, and somebody else. */
  readonly neighbour: Listener;
  readonly stranger: Listener;
  readonly daemon: string;

  private constructor(folder: string, keyer: StandInKeyer, neighbour: Listener, stranger: Listener) {
    this.folder = folder;
    this.keyer = keyer;
    this.neighbour = neighbour;
    this.stranger = stranger;
    this.daemon = join(folder, "daemon");
  }

  static async create(t: TestContext, words: Readonly<Record<string, string>> = {}): Promise<WrapSite> {
    const folder = mkdtempSync(join(tmpdir(), "karp-wrap-"));
    const network = `127.${randomInt(1, 255)}.${randomInt(0, 256)}`;
    const keyer = new StandInKeyer(join(folder, "keyer.sock"));
    const site = new WrapSite(folder, keyer, await Listener.open(`${network}.2`), await Listener.open(`${network}.3`));
    t.after(() => site.#remove());
    const { status, stderr } = spawnSync("cc", ["-O1", "-pthread", "-o", site.daemon, source]);
    if (status !== 0) throw new Error(`daemon.c does not compile: ${stderr.toString()}`);
    site.#write(network, words);
    return site;
  }

  get configuration(): string {
    return join(this.folder, "karp.yaml");
  }

  /** `karp wrap` with this command line behind it. */
  wrap(command: readonly string[], options: readonly string[] = [], environment: NodeJS.ProcessEnv = {}): Wrapped {
    const words = ["wrap", "--config", this.configuration, ...options, "--", ...command];
    return new Wrapped(spawn(process.execPath, [karp, ...words], { env: { ...process.env, ...environment } }));
  }

  async #remove(): Promise<void> {
    await Promise.all([this.keyer.close(), this.neighbour.close(), this.stranger.close()]);
    rmSync(this.folder, { recursive: true, force: true });
  }

  #write(network: string, words: Readonly<Record<string, string>>): void {
    mkdirSync(this.folder, { recursive: true });
    const session = {
      driver: "linux",
      local: `${network}.1`,
      remote: this.neighbour.address,
      port: String(this.neighbour.port),
      peer: "r2.example.net",
      mode: "required",
      ...words,
    };
    const text = `router: r1.example.net
credentials: { certificate: r1.pem, private-key: r1.key, trust: ca.pem }
keyer: ${this.keyer.path}
sessions:
  r2:
${Object.entries(session)
  .map(([word, value]) => `    ${word}: ${value}`)
  .join("\n")}
`;
    writeFileSync(this.configuration, text);
  }
}

/** A TCP listener that counts. */
export class Listener {
  readonly address: string;
  accepted = 0;
  readonly #server: Server;

  private constructor(address: string, server: Server) {
    this.address = address;
    this.#server = server;
    server.on("connection", (socket) => {
      this.accepted++;
      socket.on("error", () => undefined);
      socket.resume();
      socket.end();
    });
  }

  static async open(address: string): Promise<Listener> {
    const server = createServer();
    server.listen({ host: address, port: 0, backlog: 4096 });
    await once(server, "listening");
    return new Listener(address, server);
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  get words(): readonly [string, string] {
    return [this.address, String(this.port)];
  }

  async close(): Promise<void> {
    this.#server.close();
  }
}

/** Speaks the keyer's protocol and keys nothing. */
export class StandInKeyer {
  readonly path: string;
  /** What it says; "silent": nothing at all. */
  answer: KeySocketOutcome | "silent" = { kind: "keyed", session: "r2" };
  readonly asked: { readonly address: string; readonly port: number }[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;
  #onAsked: () => void = () => undefined;

  constructor(path: string) {
    this.path = path;
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => this.#sockets.delete(socket));
      readLines(socket, (line) => this.#hear(socket, line));
    });
  }

  async start(): Promise<void> {
    this.#server.listen(this.path);
    await once(this.#server, "listening");
  }

  /** Resolves with the next question. */
  nextQuestion(): Promise<void> {
    return new Promise((resolve) => {
      this.#onAsked = resolve;
    });
  }

  /** The session has keys now. */
  announce(): void {
    for (const socket of this.#sockets) writeLine(socket, { event: "keyed", session: "r2" });
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }

  #hear(socket: Socket, line: string): void {
    const request = parseRequest(line);
    if (request.request !== "keySocket") throw new Error(`a supervisor asks ${request.request}`);
    this.asked.push(request.destination);
    if (this.answer !== "silent") writeLine(socket, { id: request.id, result: this.answer });
    this.#onAsked();
  }
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A running `karp wrap`. */
export class Wrapped {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  #stdout = "";
  #stderr = "";

  constructor(child: ChildProcess) {
    this.child = child;
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.#stdout += text;
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr += text;
    });
    this.ended = new Promise((resolve) => {
      child.once("close", (code, signal) => resolve({ code, signal, stdout: this.#stdout, stderr: this.#stderr }));
    });
  }

  /** Resolves when stderr has come to say so. */
  async complained(text: RegExp): Promise<void> {
    while (!text.test(this.#stderr)) {
      if (this.child.stderr === null) throw new Error("stderr is not read");
      await once(this.child.stderr, "data");
    }
  }

  /** Resolves when `text` has been printed. */
  async printed(text: string): Promise<void> {
    while (!this.#stdout.includes(text)) {
      if (this.child.stdout === null) throw new Error("stdout is not read");
      await once(this.child.stdout, "data");
    }
  }
}
