import type { SessionConfiguration } from "../../core/configuration.ts";
import type { DriverClock } from "../context.ts";
import { printable } from "../text.ts";
import { isSameAddress } from "./addresses.ts";
import { converse } from "./controlSocket.ts";
import { type ProtocolDetails, parseProtocolDetails } from "./protocolDetails.ts";
import type { BirdSettings } from "./settings.ts";
import { type BirdStatus, hasTcpAo, OLDEST_VERSIONS, parseStatus, TIME_FORMAT_COMMAND } from "./status.ts";

/** What BIRD says about itself and one protocol. */
export interface Look {
  readonly status: BirdStatus;
  /** Undefined: BIRD has no protocol of this name. */
  readonly protocol: ProtocolDetails | undefined;
}

/** BIRD's answers make no sense. */
export class UnexpectedAnswer extends Error {
  override readonly name = "UnexpectedAnswer";
}

/** @throws BirdUnreachable, UnexpectedAnswer */
export function lookAt(settings: BirdSettings, clock: DriverClock): Promise<Look> {
  return converse(settings.control, clock, async (bird) => {
    await bird.ask(TIME_FORMAT_COMMAND);
    const status = parseStatus(await bird.ask("show status"));
    if (status === undefined) {
      throw new UnexpectedAnswer("BIRD's answer to `show status` is not understood; is this BIRD 2.16 or newer?");
    }
    const details = await bird.ask(`show protocols all "${settings.protocolName}"`);
    return { status, protocol: parseProtocolDetails(details, settings.protocolName) };
  });
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
