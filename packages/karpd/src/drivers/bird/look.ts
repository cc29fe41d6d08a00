import type { SessionConfiguration } from "../../core/configuration.ts";
import { type DriverClock, delay } from "../context.ts";
import { printable } from "../text.ts";
import { isSameAddress } from "./addresses.ts";
import { type Conversation, converse } from "./controlSocket.ts";
import { type ProtocolDetails, parseProtocols } from "./protocolDetails.ts";
import type { BirdSettings } from "./settings.ts";
import { type BirdStatus, hasTcpAo, OLDEST_VERSIONS, parseStatus, TIME_FORMAT_COMMAND } from "./status.ts";

/** What BIRD says about itself and one protocol. */
export interface Look {
  readonly status: BirdStatus;
  /** Undefined: BIRD has no protocol of this name. */
  readonly protocol: ProtocolDetails | undefined;
}

/** Sessions that were keyed by one `configure` are looked at together: so they go on together, and share the next one. */
const GATHER_MILLISECONDS = 20;
/** From so many on BIRD is asked for all its protocols at once: that takes it as long as a fifth of them one by one. */
const MANY = 32;

/** BIRD's answers make no sense. */
export class UnexpectedAnswer extends Error {
  override readonly name = "UnexpectedAnswer";
}

interface Wish {
  readonly name: string;
  resolve(look: Look): void;
  reject(error: unknown): void;
}

/** Who waits for the next look, by control socket, while one is under way. */
const waiting = new Map<string, Wish[]>();

/**
 * What comes while BIRD is being asked shares one further conversation: with hundreds of sessions on one BIRD it answers
 * one command for each of them a second, or one for all, instead of three and a connection.
 * @throws BirdUnreachable, UnexpectedAnswer
 */
export function lookAt({ control, protocolName: name }: BirdSettings, clock: DriverClock): Promise<Look> {
  return new Promise((resolve, reject) => {
    const wish = { name, resolve, reject };
    const others = waiting.get(control);
    if (others !== undefined) {
      others.push(wish);
      return;
    }
    waiting.set(control, [wish]);
    void lookForAll(control, clock);
  });
}

/** Never rejects: whoever waits is told. */
async function lookForAll(control: string, clock: DriverClock): Promise<void> {
  const take = (): readonly Wish[] => waiting.get(control)?.splice(0) ?? [];
  let gatherMilliseconds = GATHER_MILLISECONDS;
  while ((waiting.get(control) ?? []).length > 0) {
    let wishes: readonly Wish[] = [];
    try {
      await converse(control, clock, async (bird) => {
        // On the open connection, which keeps a short-lived process alive
        if (gatherMilliseconds > 0) await delay(clock, gatherMilliseconds);
        wishes = take();
        await answer(bird, wishes);
      });
    } catch (error) {
      // Those that are answered already do not hear it
      for (const { reject } of [...wishes, ...take()]) reject(error);
    }
    gatherMilliseconds = 0; // further ones have gathered meanwhile
  }
  waiting.delete(control);
}

async function answer(bird: Conversation, wishes: readonly Wish[]): Promise<void> {
  await bird.ask(TIME_FORMAT_COMMAND);
  const status = parseStatus(await bird.ask("show status"));
  if (status === undefined) {
    throw new UnexpectedAnswer("BIRD's answer to `show status` is not understood; is this BIRD 2.16 or newer?");
  }
  const all = wishes.length < MANY ? undefined : parseProtocols(await bird.ask("show protocols all"));
  for (const { name, resolve } of wishes) {
    const found = all ?? parseProtocols(await bird.ask(`show protocols all "${name}"`));
    resolve({ status, protocol: found.get(name) });
  }
}

/** Why TCP-AO cannot be used with this protocol, whatever the keys; undefined: it can. */
export function obstacle(look: Look, session: SessionConfiguration, settings: BirdSettings): string | undefined {
  const { protocol } = look;
  const name = settings.protocolName;
  const tooOld = versionObstacle(look);
  if (tooOld !== undefined) return tooOld;
  if (protocol === undefined) {
    return `BIRD has no protocol ${name}: name the block \`protocol bgp ${name}\`, or say its name in \`protocol-name\``;
  }
  if (protocol.kind !== "BGP") return `BIRD's protocol ${name} is ${printable(protocol.kind)}, not BGP`;
  if (protocol.neighborRange !== undefined) {
    return `protocol ${name} has a neighbor range: BIRD has no TCP-AO on dynamic sessions; give this peer a block of its own`;
  }
  const { neighborAddress } = protocol;
  if (neighborAddress !== undefined && !isSameAddress(neighborAddress, session.remoteAddress)) {
    return `protocol ${name} has neighbor ${printable(neighborAddress)}, the session has remote ${session.remoteAddress}`;
  }
  return vrfObstacle(protocol.vrf, session.vrf, name);
}

/** The kernel looks TCP-AO keys up by VRF too: BIRD's and karp's must be the same. */
function vrfObstacle(birds: string | undefined, ours: string | undefined, name: string): string | undefined {
  if (birds === ours) return undefined;
  const quoted = birds === undefined ? "no `vrf`" : `vrf "${printable(birds)}"`;
  const fix = birds === undefined ? "take `vrf` out of the session" : `set vrf: ${printable(birds)} in the session`;
  return `protocol ${name} has ${quoted}, the session has ${ours === undefined ? "none" : `vrf: ${ours}`}: ${fix}`;
}

/** A BIRD without TCP-AO. */
export function versionObstacle({ status: { version } }: Look): string | undefined {
  return hasTcpAo(version)
    ? undefined
    : `BIRD ${printable(version, 20)} has no TCP-AO: BIRD ${OLDEST_VERSIONS} or newer is needed`;
}
