// For daemons whose sockets are keyed from outside: nothing but a TCP MD5 password has to go from their configuration.
import type { SessionConfiguration } from "../../core/configuration.ts";
import { type Handover, HandoverFailure, type Survey, type Undo } from "../../ports/handover.ts";
import type { Keyer, SocketSurvey } from "../../ports/keyer.ts";
import type { DriverContext } from "../context.ts";
import { messageOf } from "../text.ts";
import { keyedCarryOn } from "./keyedCarryOn.ts";
import { md5InTheWay } from "./md5InTheWay.ts";

/** How a kind of daemon comes to lose its MD5 password for the session's neighbour. */
export interface PasswordRemoval {
  /** What will be done, or what a person has to do, in a sentence. */
  readonly text: string;
  /** Absent: a person does it. @throws HandoverFailure */
  readonly remove?: () => Promise<void>;
  readonly putBack?: Undo;
}

export interface KeyedHandoverKind {
  readonly name: string;
  /** @throws HandoverFailure when it cannot be found out */
  passwordRemoval(session: SessionConfiguration): Promise<PasswordRemoval>;
}

export function createKeyedHandover(kind: KeyedHandoverKind, context: DriverContext): Handover {
  return {
    release: async (session) => ({ kind: "released", carryOn: keyedCarryOn(session) }),
    survey: (session) => survey(kind, context, session),
    takeOver: async (session) => await (await kind.passwordRemoval(session)).remove?.(),
    remember: async (session) => {
      const { protection } = await survey(kind, context, session);
      if (protection === "karp") return async () => undefined;
      // With the password that is there now
      const putBack = protection === "md5" ? (await kind.passwordRemoval(session)).putBack : undefined;
      return async () => {
        // A listener with keys of TCP-AO takes neither unsigned connections nor an MD5 password
        await letGo(await keyerOf(kind, context), session);
        if (protection !== "md5" || (await survey(kind, context, session)).protection === "md5") return;
        if (putBack === undefined) throw new HandoverFailure("give the routing daemon its MD5 password again");
        await putBack();
      };
    },
  };
}

async function survey(kind: KeyedHandoverKind, context: DriverContext, session: SessionConfiguration): Promise<Survey> {
  const keyer = await keyerOf(kind, context);
  const seen = await keyer.survey(session.name).catch(inASentence);
  const findings = await keyer.examine(session.name).catch(inASentence);
  const protection = protectionOf(seen);
  if (protection === "static") {
    const ids = seen.othersKeyIds.join(", ");
    throw new HandoverFailure(
      `the sockets have TCP-AO keys that karp did not install (KeyIDs ${ids}): take them out with whatever put them there`,
    );
  }
  const words = { none: "no authentication", md5: "TCP MD5", karp: "TCP-AO with karp's keys" };
  return {
    protection,
    now: `the sockets of the routing daemon for ${session.remoteAddress}, port ${session.port}: ${words[protection]}`,
    changes: protection === "md5" ? [(await kind.passwordRemoval(session)).text] : [],
    warnings: findings
      .filter(({ severity, text }) => severity !== "ok" && text !== md5InTheWay(session))
      .map(({ text }) => text),
    staticKeyIds: [],
    isPrepared: seen.hasKeys,
    isUp: seen.isUp,
    leftOver: [],
  };
}

async function letGo(keyer: Keyer, { name }: SessionConfiguration): Promise<void> {
  const outcome = await keyer.apply(name, []).catch(inASentence);
  if (outcome.kind === "installed" || outcome.kind === "pending") return;
  throw new HandoverFailure(`karp's keys are still on the sockets: ${outcome.reason}`);
}

function protectionOf({ isKeyed, hasMd5, othersKeyIds }: SocketSurvey): Survey["protection"] {
  if (isKeyed) return "karp";
  if (hasMd5) return "md5";
  return othersKeyIds.length > 0 ? "static" : "none";
}

async function keyerOf({ name }: KeyedHandoverKind, { keyer }: DriverContext): Promise<Keyer> {
  if (keyer === undefined) throw new HandoverFailure(`driver ${name} needs the keyer: karp keyer`);
  return await keyer();
}

function inASentence(error: unknown): never {
  throw new HandoverFailure(messageOf(error), { cause: error });
}
