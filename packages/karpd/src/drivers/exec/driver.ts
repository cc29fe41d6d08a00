import { access, constants, stat } from "node:fs/promises";
import { dirname } from "node:path";
import type { SessionConfiguration } from "../../core/configuration.ts";
import type {
  ApplyOutcome,
  DriverFinding,
  DriverKey,
  ObserveOutcome,
  RevokeOutcome,
  RoutingDriver,
} from "../../ports/routingDriver.ts";
import { directoryFault } from "../atomicFile.ts";
import type { DriverContext } from "../context.ts";
import { fingerprintOf, keySetFault } from "../keys.ts";
import { DriverSettingsError } from "../sessionSettings.ts";
import { errnoOf, messageOf, printable, withoutKeys } from "../text.ts";
import { parseApplyAnswer, parseRevokeAnswer } from "./answer.ts";
import { type ProgramEnd, runProgram } from "./runProgram.ts";
import { execSettings } from "./settings.ts";

/** A program of the operator's, called with the keys on its standard input. */
export function createExecDriver(context: DriverContext): RoutingDriver {
  return new ExecDriver(context);
}

const FORMAT = "karp-exec";
const VERSION = 1;

class ExecDriver implements RoutingDriver {
  readonly name = "exec";
  readonly observes = false;
  readonly #context: DriverContext;

  constructor(context: DriverContext) {
    this.#context = context;
  }

  async apply(session: SessionConfiguration, keys: readonly DriverKey[]): Promise<ApplyOutcome> {
    const fault = keySetFault(keys);
    if (fault !== undefined) return { kind: "refused", reason: fault };
    const { answer, reason, isSetUp } = await this.#call(session, "apply", keys);
    if (answer === undefined) return { kind: isSetUp ? "refused" : "pending", reason };
    return parseApplyAnswer(answer, keys) ?? { kind: "refused", reason: noAnswer(reason) };
  }

  async observe(): Promise<ObserveOutcome> {
    return { kind: "unavailable", reason: "the program is not asked about connections" };
  }

  async revoke(session: SessionConfiguration, keep: readonly DriverKey[]): Promise<RevokeOutcome> {
    const { answer, reason } = await this.#call(session, "revoke", keep);
    if (answer === undefined) return { kind: "failed", reason };
    return parseRevokeAnswer(answer, keep) ?? { kind: "failed", reason: noAnswer(reason) };
  }

  async examine(session: SessionConfiguration): Promise<readonly DriverFinding[]> {
    try {
      const { program } = execSettings(session);
      await assertTrustworthy(program);
      return [{ severity: "ok", text: `keys go to ${program}` }];
    } catch (error) {
      return [{ severity: "error", text: messageOf(error) }];
    }
  }

  async close(): Promise<void> {}

  /** The program's standard output, or why there is none that counts. */
  async #call(session: SessionConfiguration, request: "apply" | "revoke", keys: readonly DriverKey[]): Promise<Called> {
    try {
      const settings = execSettings(session);
      await assertTrustworthy(settings.program);
      const end = await runProgram(
        { ...settings, input: requestDocument(session, request, keys) },
        this.#context.clock,
      );
      const called = calledWith(end, settings.program, settings.timeoutMilliseconds, keys);
      if (called.reason !== "") this.#context.log("warning", `exec: ${session.name}: ${called.reason}`);
      return called;
    } catch (error) {
      return { answer: undefined, reason: messageOf(error), isSetUp: error instanceof DriverSettingsError };
    }
  }
}

/** No such program, or none that can be run. Anything else (no descriptor, no memory) may be over the next time. */
const SET_UP_ERRNOS: ReadonlySet<string> = new Set(["ENOENT", "EACCES", "EPERM", "ENOTDIR", "ELOOP", "ENOEXEC"]);

interface Called {
  readonly answer: string | undefined;
  /** What went wrong, or what the program said on its standard error; may be empty. */
  readonly reason: string;
  readonly isSetUp: boolean;
}

function calledWith(end: ProgramEnd, program: string, timeoutMilliseconds: number, keys: readonly DriverKey[]): Called {
  if (end.kind === "notStarted") {
    const isSetUp = SET_UP_ERRNOS.has(end.errno ?? "");
    return { answer: undefined, reason: `cannot run ${program}: ${end.reason}`, isSetUp };
  }
  const complaint = lastLine(withoutKeys(end.complaint, keys));
  if (end.kind === "timedOut") {
    const reason = `${program} did not answer within ${timeoutMilliseconds / 1000} s${complaint && `: ${complaint}`}`;
    return { answer: undefined, reason, isSetUp: false };
  }
  if (end.status === 0) return { answer: end.output, reason: complaint, isSetUp: false };
  const reason = `${program} ended with ${end.status}${complaint && `: ${complaint}`}`;
  return { answer: undefined, reason, isSetUp: false };
}

function noAnswer(complaint: string): string {
  return `the program's answer is not {"outcome": …} as the exec driver expects it${complaint && `; it says: ${complaint}`}`;
}

function lastLine(text: string): string {
  return printable(text.trimEnd().split("\n").at(-1) ?? "");
}

/** What the program reads on its standard input: one JSON document, then end of file. */
function requestDocument(session: SessionConfiguration, request: string, keys: readonly DriverKey[]): string {
  const document = {
    format: FORMAT,
    version: VERSION,
    request,
    session: session.name,
    protocol: session.protocol,
    "local-address": session.localAddress,
    "remote-address": session.remoteAddress,
    port: session.port,
    ...(session.vrf !== undefined && { vrf: session.vrf }),
    keys: keys.map((key) => ({
      "admin-key-name": key.adminKeyName,
      fingerprint: fingerprintOf(key),
      "send-id": key.sendId,
      "recv-id": key.recvId,
      algorithm: key.algorithm,
      "covers-tcp-options": key.coversTcpOptions,
      use: key.use,
      "master-key": key.masterKey.expose((octets) => Buffer.from(octets).toString("hex")),
    })),
  };
  return `${JSON.stringify(document)}\n`;
}

/**
 * Whether the program may be given keys: only root and karp's user can change it.
 * @throws DriverSettingsError
 */
async function assertTrustworthy(program: string): Promise<void> {
  if (!program.startsWith("/")) {
    throw new DriverSettingsError(`command: "${printable(program)}" is not an absolute path`);
  }
  const fault = await programFault(program);
  if (fault !== undefined) throw new DriverSettingsError(fault);
}

async function programFault(program: string): Promise<string | undefined> {
  try {
    await access(program, constants.X_OK);
  } catch (error) {
    return `cannot run ${program} (${errnoOf(error)})`;
  }
  const { mode, uid } = await stat(program);
  if ((mode & 0o022) !== 0) return `${program} gets keys and can be changed by others: chmod go-w ${program}`;
  if (uid !== 0 && uid !== process.geteuid?.()) {
    return `${program} gets keys and belongs to user ${uid}: chown root ${program}`;
  }
  return directoryFault(dirname(program));
}
