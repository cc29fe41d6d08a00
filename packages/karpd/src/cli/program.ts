import { Command, InvalidArgumentError, Option } from "commander";
import type { HandoutOptions } from "./handout.ts";
import { type LifeActions, lifeCommands } from "./life.ts";
import type { Showable } from "./show.ts";
import { CommandFailure, parseDuration } from "./text.ts";

const handoutFormats = ["ios-xr", "ios-xe", "junos", "eos", "sros", "bird", "rfc8177"] as const;
const DEFAULT_CONFIGURATION = "/etc/karp/karp.yaml";
const DEFAULT_SOCKET = "/run/karp/control.sock";

/** What the commands do; each is loaded when it is used, so that `karp show` starts in an instant. */
export interface CommandActions extends LifeActions {
  run(options: { readonly config: string; readonly logLevel: string }): Promise<void>;
  keyer(options: KeyerCommandOptions): Promise<void>;
  wrap(command: readonly string[], options: WrapOptions): Promise<void>;
  check(options: { readonly config: string; readonly json: boolean; readonly offline: boolean }): Promise<void>;
  diff(options: { readonly socket: string; readonly json: boolean }): Promise<void>;
  init(options: InitOptions): Promise<void>;
  demo(options: DemoOptions): Promise<void>;
  doctor(peer: string | undefined, options: DoctorOptions): Promise<void>;
  show(
    what: Showable,
    options: { readonly socket: string; readonly json: boolean; readonly rfc7210?: boolean; readonly session?: string },
  ): Promise<void>;
  handout(session: string, options: HandoutOptions): Promise<void>;
  command(path: string, body: unknown, options: { readonly socket: string; readonly json: boolean }): Promise<void>;
}

export interface KeyerCommandOptions {
  readonly config: string;
  readonly logLevel: string;
  readonly socket?: string;
  readonly user: string;
}

export interface WrapOptions {
  readonly config: string;
  /** Seconds. */
  readonly hold: number;
  readonly openFiles?: number;
}

export interface InitOptions {
  readonly config: string;
  readonly router?: string;
  readonly session?: string;
  readonly local?: string;
  readonly remote?: string;
  readonly peer?: string;
  readonly include?: string;
}

export interface DoctorOptions {
  readonly config: string;
  readonly socket?: string;
  readonly json: boolean;
  readonly kernel: boolean;
}

export interface DemoOptions {
  readonly json: boolean;
  readonly seconds: number;
}

export function createProgram(version: string, actions: CommandActions): Command {
  const program = new Command("karp")
    .description("keys for routing protocols that no human needs to see")
    .version(version)
    .showHelpAfterError("(karp --help shows the commands)");
  daemonCommands(program, actions);
  showCommands(program, actions);
  keyCommands(program, actions);
  lifeCommands(program, actions, configOption);
  return program;
}

const configOption = (): Option =>
  new Option("-c, --config <file>", "configuration file").default(DEFAULT_CONFIGURATION).env("KARP_CONFIG");
const socketOption = (): Option =>
  new Option("-s, --socket <path>", "control socket of the daemon").default(DEFAULT_SOCKET).env("KARP_SOCKET");

function daemonCommands(program: Command, actions: CommandActions): void {
  program
    .command("run")
    .description("run the daemon in the foreground")
    .addOption(configOption())
    .addOption(
      new Option("--log-level <level>", "what to log").choices(["debug", "info", "warn", "error"]).default("info"),
    )
    .action((options) => actions.run(options));
  program
    .command("keyer")
    .description("run the privileged process that keys sockets of routing daemons (drivers linux, frr, gobgp)")
    .addOption(configOption())
    .addOption(new Option("-s, --socket <path>", "unix socket to serve (default: as the configuration says)"))
    .option("--user <name>", "the user, beside root, whose processes may ask (default: karp, where there is one)")
    .addOption(
      new Option("--log-level <level>", "what to log").choices(["debug", "info", "warn", "error"]).default("info"),
    )
    .action((options) => actions.keyer(options));
  program
    .command("wrap <command...>")
    .usage("[options] -- <program> [arguments]")
    .description("run a routing daemon with its outgoing connections keyed before the first packet leaves")
    .addOption(configOption())
    .option("--hold <seconds>", "how long a non-blocking connect() may wait for a key", holdSeconds, 1)
    .option("--open-files <n>", "soft limit of open files for the daemon (default: the hard limit)", openFiles)
    .action((command: string[], options: WrapOptions) => actions.wrap(command, options));
  program
    .command("check")
    .description("check the configuration and the routing daemon's side of it; changes nothing")
    .addOption(configOption())
    .option("--offline", "look at the configuration only", false)
    .option("--json", "for programs", false)
    .action((options) => actions.check(options));
  program
    .command("diff")
    .description("what a reload would change in the running daemon")
    .addOption(socketOption())
    .option("--json", "for programs", false)
    .action((options) => actions.diff(options));
  program
    .command("init")
    .description("write a first configuration, mode observe, and the files that the routing daemon includes")
    .addOption(configOption())
    .option("--router <name>", "who we are, as in our certificate")
    .option("--session <name>", "name of the first session")
    .option("--local <address>", "our address of that session")
    .option("--remote <address>", "the neighbour's address")
    .option("--peer <name>", "the neighbour's identity, as in its certificate")
    .option("--include <file>", "the file that BIRD will include (default /var/lib/karp/bird/SESSION.conf)")
    .action((options) => actions.init(options));
  program
    .command("demo")
    .description("two daemons on this machine key a session and roll it; no root, no kernel support needed")
    .option("--json", "one JSON event a line", false)
    .option("--seconds <n>", "how long", positive, 18)
    .action((options) => actions.demo(options));
  program
    .command("doctor [peer]")
    .description("look for what keeps karp from working here, or with one peer, and say what to do")
    .addOption(configOption())
    .addOption(
      new Option("-s, --socket <path>", "control socket of the daemon (default: as the configuration says)").env(
        "KARP_SOCKET",
      ),
    )
    .option("--kernel", "what this machine's kernel can do, against what the sessions need", false)
    .option("--json", "for programs", false)
    .action((peer: string | undefined, options: DoctorOptions) => actions.doctor(peer, options));
}

function showCommands(program: Command, actions: CommandActions): void {
  const show = program.command("show").description("what the daemon does");
  const views: readonly (readonly [Showable, string])[] = [
    ["peers", "IKE peers and their IKE SAs"],
    ["sessions", "sessions: safe or not, and why"],
    ["keys", "the key table, fingerprints instead of keys"],
    ["rollovers", "the passage from one key to the next: step, who is waited for, deadlines, what to type"],
    ["events", "what happened"],
  ];
  for (const [what, description] of views) {
    const command = show
      .command(`${what} [session]`)
      .description(description)
      .addOption(socketOption())
      .option("--json", "for programs", false);
    if (what === "keys") command.option("--rfc7210", "as rows of an RFC 7210 key table, without the keys", false);
    command.action((session: string | undefined, options: { socket: string; json: boolean; rfc7210?: boolean }) =>
      actions.show(what, { ...options, ...(session === undefined ? {} : { session }) }),
    );
  }
}

function keyCommands(program: Command, actions: CommandActions): void {
  const command = (name: string, description: string): Command =>
    program.command(name).description(description).addOption(socketOption()).option("--json", "for programs", false);
  type Common = { readonly socket: string; readonly json: boolean };

  command("rekey <session>", "roll the session's key now").action((session: string, options: Common) =>
    actions.command("/v1/rekey", { session }, options),
  );
  command(
    "revoke <session>",
    "end the use of all keys of a session; the session goes down unless another key protects it",
  )
    .option("--reason <text>", "for the record")
    .option("--yes", "do it", false)
    .action(async (session: string, options: Common & { readonly reason?: string; readonly yes: boolean }) => {
      if (!options.yes)
        throw new CommandFailure(`this ends session ${session}; say it again with --yes if a key was compromised`);
      const reason = options.reason === undefined ? {} : { reason: options.reason };
      await actions.command("/v1/revoke", { session, ...reason }, options);
    });
  command("freeze [session]", "no rollover for some time, here and at the peer")
    .option("--for <duration>", "for example 90m, 12h, 2d (default 1h)", seconds)
    .action((session: string | undefined, options: Common & { readonly for?: number }) =>
      actions.command(
        "/v1/freeze",
        { ...(session === undefined ? {} : { session }), seconds: options.for ?? 3600 },
        options,
      ),
    );
  command("thaw [session]", "end a freeze").action((session: string | undefined, options: Common) =>
    actions.command("/v1/thaw", session === undefined ? {} : { session }, options),
  );
  program
    .command("handout <session>")
    .description("the keys for a neighbour without karp (`peer: none`), in the words of its vendor; given once a chain")
    .addOption(socketOption())
    .addOption(new Option("--format <format>", "whose words").choices(handoutFormats).makeOptionMandatory())
    .option("--again", "the same keys once more, which is noted", false)
    .option(
      "--encrypt-to <file>",
      "a certificate in PEM: only who has its key can read it (CMS, for openssl cms -decrypt)",
    )
    .action((session: string, options: HandoutOptions) => actions.handout(session, options));
  command("reload", "read the configuration again; all or nothing").action((options: Common) =>
    actions.command("/v1/reload", {}, options),
  );
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 86_400)) throw new InvalidArgumentError("a number of seconds from 1 to 86400");
  return value;
}

function holdSeconds(text: string): number {
  const value = Number(text);
  if (!(value >= 0 && value <= 10)) throw new InvalidArgumentError("a number of seconds from 0 to 10");
  return value;
}

function openFiles(text: string): number {
  const value = Number(text);
  if (!(Number.isInteger(value) && value >= 64)) throw new InvalidArgumentError("a number of files from 64");
  return value;
}

function seconds(text: string): number {
  // A bare number is hours to one and seconds to another: as in the configuration, the unit must be said.
  const value = /[a-z]$/.test(text) ? parseDuration(text) : undefined;
  if (value === undefined || value < 1) throw new InvalidArgumentError("a duration such as 90s, 30m, 12h or 2d");
  return value;
}
