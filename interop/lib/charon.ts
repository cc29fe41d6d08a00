// strongSwan's charon, with a configuration, a network namespace and a control socket of its own.
import { type ChildProcess, spawn } from "node:child_process";
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeSite, type Site } from "./network.ts";
import { Vici, type ViciAnswer, type ViciSection } from "./vici.ts";
import { until } from "./wait.ts";

export const CHARON = "/usr/lib/ipsec/charon";

const PLUGINS =
  "random nonce aes sha1 sha2 hmac kdf gcm chapoly curve25519 openssl pem pkcs1 pkcs8 pubkey x509 constraints " +
  "kernel-netlink socket-default vici";

/** An IKE SA as charon lists it. */
export interface CharonSa {
  readonly uniqueid: string;
  readonly state: string;
  readonly remoteId: string;
  readonly remotePort: string;
  readonly isInitiator: boolean;
  /** 16 hexadecimal digits each. */
  readonly initiatorSpi: string;
  readonly responderSpi: string;
  /** "AES_GCM_16-128 PRF_HMAC_SHA2_256 CURVE_25519", with the integrity algorithm in second place where there is one. */
  readonly suite: string;
  readonly children: number;
}

export class Charon {
  readonly site: Site;
  readonly #folder: string;
  readonly #process: ChildProcess;
  readonly #vici: Vici;
  #names = 0;

  /** `settings`: lines for the section `charon` of strongswan.conf. */
  static async start(settings: readonly string[] = []): Promise<Charon> {
    const site = makeSite();
    const folder = mkdtempSync(join(tmpdir(), "karp-interop-"));
    const socket = join(folder, "vici");
    writeFileSync(join(folder, "strongswan.conf"), configuration(folder, socket, settings));
    // A copy: profiles of AppArmor go by the path, and would forbid files in a temporary folder.
    const program = join(folder, "charon");
    copyFileSync(CHARON, program);
    const charon = spawn("ip", ["netns", "exec", site.namespace, program], {
      env: { ...process.env, STRONGSWAN_CONF: join(folder, "strongswan.conf") },
      stdio: "ignore",
    });
    const log = (): string => (existsSync(join(folder, "log")) ? readFileSync(join(folder, "log"), "utf8") : "");
    const vici = await until(
      () => (charon.exitCode === null ? Vici.open(socket).catch(() => undefined) : Promise.reject(new Error(log()))),
      () => `charon does not answer:\n${log()}`,
    );
    return new Charon(site, folder, charon, vici);
  }

  private constructor(site: Site, folder: string, process: ChildProcess, vici: Vici) {
    this.site = site;
    this.#folder = folder;
    this.#process = process;
    this.#vici = vici;
  }

  get address(): string {
    return this.site.there;
  }

  async stop(): Promise<void> {
    this.#vici.close();
    if (this.#process.exitCode === null) {
      const ended = new Promise((resolve) => this.#process.once("exit", resolve));
      this.#process.kill("SIGTERM");
      await ended;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }

  command(name: string, message: ViciSection = {}): Promise<ViciAnswer> {
    return this.#vici.command(name, message);
  }

  /** Loads a connection. @returns its name */
  async connection(section: ViciSection): Promise<string> {
    const name = `c${++this.#names}`;
    await this.command("load-conn", { [name]: section });
    return name;
  }

  /** Begins an IKE SA without a child, or a child (with an IKE SA if there is none), and does not wait for the end. */
  async initiate(ike: string, child?: string): Promise<void> {
    await this.command("initiate", { ike, timeout: "-1", ...(child === undefined ? {} : { child }) });
  }

  async sas(ike: string): Promise<readonly CharonSa[]> {
    const listed = await this.#vici.stream("list-sas", "list-sa", { ike });
    return listed.flatMap((answer) => Object.values(answer)).flatMap((sa) => (isAnswer(sa) ? [saOf(sa)] : []));
  }

  /** The one IKE SA of this connection once it is established, also after a rekey. */
  async established(ike: string): Promise<CharonSa> {
    return await until(
      async () => {
        const sas = await this.sas(ike);
        const [sa] = sas;
        return sas.length === 1 && sa?.state === "ESTABLISHED" ? sa : undefined;
      },
      () => `charon has no established IKE SA of ${ike}:\n${this.log(ike)}`,
    );
  }

  /** The one IKE SA that has come in the place of `old`. */
  async rekeyed(ike: string, old: CharonSa): Promise<CharonSa> {
    return await until(
      async () => {
        const sas = await this.sas(ike);
        const [sa] = sas;
        return sas.length === 1 && sa?.state === "ESTABLISHED" && sa.initiatorSpi !== old.initiatorSpi ? sa : undefined;
      },
      () => `charon's IKE SA of ${ike} was not rekeyed:\n${this.log(ike)}`,
    );
  }

  async gone(ike: string): Promise<void> {
    await until(
      async () => (await this.sas(ike)).length === 0,
      () => `charon still has an IKE SA of ${ike}:\n${this.log(ike)}`,
    );
  }

  /** Lines of the log that are about this connection. */
  log(ike: string): string {
    const all = readFileSync(join(this.#folder, "log"), "utf8").split("\n");
    return all.filter((line) => line.includes(`<${ike}|`)).join("\n");
  }

  /** The whole log. */
  get fullLog(): string {
    return readFileSync(join(this.#folder, "log"), "utf8");
  }

  /** Until the log says so, from character `from` on. */
  async said(pattern: RegExp, from = 0): Promise<RegExpExecArray> {
    return await until(
      () => pattern.exec(this.fullLog.slice(from)) ?? undefined,
      () => `charon never said ${pattern}; it said:\n${this.fullLog.slice(from)}`,
    );
  }
}

function configuration(folder: string, socket: string, settings: readonly string[]): string {
  return [
    "charon {",
    `  load = ${PLUGINS}`,
    `  plugins { vici { socket = unix://${socket} } }`,
    `  filelog { file { path = ${join(folder, "log")}\n default = 1\n ike = 2\n cfg = 2\n ike_name = yes\n flush_line = yes } }`,
    ...settings.map((line) => `  ${line}`),
    "}",
    "",
  ].join("\n");
}

function isAnswer(value: unknown): value is ViciAnswer {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function saOf(sa: ViciAnswer): CharonSa {
  const text = (name: string): string => String(sa[name] ?? "");
  const keyed = (name: string, size: string): string =>
    sa[size] === undefined ? text(name) : `${text(name)}-${text(size)}`;
  const parts = [
    keyed("encr-alg", "encr-keysize"),
    keyed("integ-alg", "integ-keysize"),
    text("prf-alg"),
    text("dh-group"),
  ];
  const children = sa["child-sas"];
  return {
    uniqueid: text("uniqueid"),
    state: text("state"),
    remoteId: text("remote-id"),
    remotePort: text("remote-port"),
    isInitiator: text("initiator") === "yes",
    initiatorSpi: text("initiator-spi"),
    responderSpi: text("responder-spi"),
    suite: parts.filter((part) => part !== "").join(" "),
    children: isAnswer(children) ? Object.keys(children).length : 0,
  };
}
