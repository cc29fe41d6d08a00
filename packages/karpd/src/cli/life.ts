import { type Command, InvalidArgumentError, Option } from "commander";
import { parseDuration } from "./text.ts";

/** What the commands of a session's life do: into karp's hands, out of them, and back. */
export interface LifeActions {
  migrate(session: string, options: MigrateOptions): Promise<void>;
  unmanage(session: string, options: LifeOptions): Promise<void>;
  manage(session: string, options: LifeOptions): Promise<void>;
}

export interface LifeOptions {
  readonly config: string;
  readonly socket?: string;
  readonly json: boolean;
}

export interface MigrateOptions extends LifeOptions {
  readonly plan: boolean;
  readonly yes: boolean;
  /** Seconds. */
  readonly within: number;
  /** Wall clock, milliseconds since 1970. */
  readonly at?: number;
}

export function lifeCommands(program: Command, actions: LifeActions, configOption: () => Option): void {
  const command = (name: string, description: string): Command =>
    program
      .command(name)
      .description(description)
      .addOption(configOption())
      .addOption(
        new Option("-s, --socket <path>", "control socket of the daemon (default: as the configuration says)").env(
          "KARP_SOCKET",
        ),
      )
      .option("--json", "for programs", false);
  command("migrate <session>", "move a session from no authentication, MD5 or static keys to karp, with a way back")
    .option("--plan", "say what would happen and which step resets the session; change nothing", false)
    .option("--yes", "do it", false)
    .option("--at <time>", "begin then: HH:MM or HH:MM:SS, UTC; give the neighbour's operator the same", timeOfDay)
    .option("--within <duration>", "how long to wait before everything goes back", within, 600)
    .action((session: string, options: MigrateOptions) => actions.migrate(session, options));
  command("unmanage <session>", "leave a session and its keys to people; works without the daemon and the peer").action(
    (session: string, options: LifeOptions) => actions.unmanage(session, options),
  );
  command("manage <session>", "take a session back that was left to people, with the session up").action(
    (session: string, options: LifeOptions) => actions.manage(session, options),
  );
}

function within(text: string): number {
  const value = /[a-z]$/.test(text) ? parseDuration(text) : undefined;
  if (value === undefined || value < 5 || value > 86_400) throw new InvalidArgumentError("a duration from 5s to 24h");
  return value;
}

/** The next such moment from now on. */
function timeOfDay(text: string): number {
  const parts = /^([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?$/.exec(text);
  if (parts === null) throw new InvalidArgumentError("a time of day such as 02:00 or 02:00:30, UTC");
  const [, hours, minutes, seconds = "0"] = parts;
  const now = new Date();
  const at = Date.UTC(
    now.getUTCFullYear(),
    now.getUTCMonth(),
    now.getUTCDate(),
    Number(hours),
    Number(minutes),
    Number(seconds),
  );
  return at > now.getTime() ? at : at + 86_400_000;
}
