// A real systemd as the service manager of one router: the units that the package brings, as an operator installs them.
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Daemon, type ExecResult, exec, must } from "./exec.ts";
import type { Lab } from "./lab.ts";
import { GiveUpError, waitFor } from "./wait.ts";

const PROGRAM = "/lib/systemd/systemd";
const UNITS = "/etc/systemd/system";
/** Of a machine, and nothing that this one has. */
const MASKED = ["binfmt", "tmpfiles-setup", "tmpfiles-setup-dev", "tmpfiles-setup-dev-early", "sysctl", "modules-load"];
const ALSO_MASKED = [
  "update-done",
  "machine-id-commit",
  "journal-flush",
  "random-seed",
  "firstboot",
  "journal-catalog-update",
];

export class Systemd {
  readonly #namespace: string;
  readonly #daemon: Daemon;

  /** Boots it in namespaces of its own, in the network namespace `namespace`, and waits until units can be started. */
  static async boot(lab: Lab, namespace: string): Promise<Systemd> {
    for (const name of [...MASKED, ...ALSO_MASKED]) link("/dev/null", `${UNITS}/systemd-${name}.service`);
    // karp where a package would have it; units may hide the folder that the working tree is in
    mkdirSync("/opt/karp", { recursive: true });
    await must(["mount", "--bind", lab.repo, "/opt/karp"]);
    link("/opt/karp/packages/karpd/bin/karp.js", "/usr/bin/karp");
    link("/opt/host-node/node", "/usr/bin/node");
    const systemd = new Systemd(lab, namespace);
    await systemd.#ready();
    return systemd;
  }

  private constructor(lab: Lab, namespace: string) {
    this.#namespace = namespace;
    const script = [
      "mount --make-rprivate /",
      "mount -t cgroup2 cgroup2 /sys/fs/cgroup",
      `exec ${PROGRAM} --system --unit=basic.target --log-target=console --show-status=no`,
    ];
    const spaces = ["--pid", "--fork", "--kill-child", "--mount", "--mount-proc", "--cgroup"];
    const command = ["env", "container=lab", "unshare", ...spaces, "sh", "-ec", script.join("\n")];
    this.#daemon = new Daemon("systemd", command, join(lab.out, `${namespace}.systemd.log`), { namespace });
    lab.defer(() => this.#daemon.end("SIGKILL"));
  }

  async #ready(): Promise<void> {
    await waitFor(
      "systemd to have started",
      async () => {
        if (!this.#daemon.isRunning()) throw new GiveUpError(`systemd ended:\n${this.#daemon.logTail(40)}`);
        const state = (await this.#inside(["systemctl", "is-system-running"])).stdout.trim();
        if (state === "running" || state === "degraded") return true;
        throw new Error(state);
      },
      { seconds: 90 },
    );
  }

  /** systemctl, as root types it. @throws Error with what it says */
  async systemctl(...words: string[]): Promise<string> {
    return await this.inside("systemctl", ...words);
  }

  /** One property of a unit. */
  async property(unit: string, name: string): Promise<string> {
    return (await this.systemctl("show", "--value", "--property", name, unit)).trim();
  }

  async mainPid(unit: string): Promise<number> {
    return Number(await this.property(unit, "MainPID"));
  }

  /** A file below /proc of the unit's main process, whose number is systemd's. */
  async proc(unit: string, file: string): Promise<string> {
    return await this.inside("cat", `/proc/${await this.mainPid(unit)}/${file}`);
  }

  /** A program among systemd's processes. @throws Error with what it says */
  async inside(...command: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.#inside(command);
    if (code !== 0) throw new Error(`${command.join(" ")} ended with ${code}:\n${stderr || stdout}`);
    return stdout;
  }

  #inside(command: readonly string[]): Promise<ExecResult> {
    const { pid } = this.#daemon;
    const [init = ""] = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ");
    // The guest's own root is a change of root already, which systemctl takes for a sign to do nothing
    const enter = ["nsenter", "--target", init, "--mount", "--pid", "--root", "--wd", "env", "SYSTEMD_IGNORE_CHROOT=1"];
    return exec([...enter, ...command], { timeoutSeconds: 90 });
  }

  /** Until the unit's main process is another one than `before`, and the unit is active. @returns its number */
  restarted(unit: string, before: number): Promise<number> {
    return waitFor(
      `${unit} to run again`,
      async () => {
        const pid = await this.mainPid(unit);
        return pid !== 0 && pid !== before && (await this.property(unit, "ActiveState")) === "active" && pid;
      },
      { seconds: 60 },
    );
  }

  async journal(unit: string): Promise<string> {
    return await this.inside("journalctl", "--no-pager", "--output", "cat", "--unit", unit);
  }

  get namespace(): string {
    return this.#namespace;
  }
}

/** Installs a unit of the package, or one of the scenario's own. */
export function installUnit(name: string, text: string): void {
  const file = join(UNITS, name);
  mkdirSync(join(file, ".."), { recursive: true });
  writeFileSync(file, text);
}

export function packagedUnit(lab: Lab, name: string): string {
  return readFileSync(join(lab.repo, "packages/karpd/systemd", name), "utf8");
}

/** A block of a page of the guide, by its language. */
export function guideBlock(lab: Lab, page: string, language: string): string {
  const text = readFileSync(join(lab.repo, "docs/guide", page), "utf8");
  const block = new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, "ms").exec(text)?.[1];
  if (block === undefined) throw new Error(`${page} has no block in ${language}`);
  return block;
}

/** A user and a group of the same name, as useradd --system makes them. */
export function addSystemUser(name: string, id: number): void {
  writeFileSync("/etc/passwd", `${name}:x:${id}:${id}::/var/lib/${name}:/usr/sbin/nologin\n`, { flag: "a" });
  writeFileSync("/etc/group", `${name}:x:${id}:\n`, { flag: "a" });
}

export function copyFile(from: string, to: string): void {
  mkdirSync(join(to, ".."), { recursive: true });
  cpSync(from, to);
}

function link(target: string, path: string): void {
  mkdirSync(join(path, ".."), { recursive: true });
  symlinkSync(target, path);
}
