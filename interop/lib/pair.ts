// One of our ends and charon, configured for each other.
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { type IkeSaView, NotifyType } from "@karp/ikev2";
import type { Charon, CharonSa } from "./charon.ts";
import { KarpEnd, type KarpOptions, PSK } from "./karpEnd.ts";
import type { ViciSection } from "./vici.ts";

export interface Pair {
  readonly karp: KarpEnd;
  readonly charon: Charon;
  /** Name of charon's connection; its child is `esp`. */
  readonly ike: string;
}

export interface PairOptions extends KarpOptions {
  /** Words for charon's connection, over the usual ones. */
  readonly connection?: ViciSection;
  /** The same for the rounds of authentication, in which `auth` and `id` have their usual values. */
  readonly local?: ViciSection;
  readonly remote?: ViciSection;
  /** What charon takes for the secret; null: none is loaded. */
  readonly charonPsk?: string | null;
}

/** PSK, and whatever suite our end proposes, unless told otherwise. */
export async function makePair(t: TestContext, charon: Charon, options: PairOptions = {}): Promise<Pair> {
  const karp = await KarpEnd.open(t, charon, options);
  const { charonPsk = PSK } = options;
  if (charonPsk !== null) {
    await charon.command("load-shared", { id: karp.identity, type: "IKE", data: charonPsk, owners: [karp.identity] });
  }
  const ike = await charon.connection({
    version: "2",
    local_addrs: [charon.address],
    remote_addrs: [karp.address],
    proposals: ["aes128gcm16-prfsha256-x25519"],
    childless: "allow",
    local: { auth: "psk", id: "charon.example", ...options.local },
    remote: { auth: "psk", id: karp.identity, ...options.remote },
    children: { esp: { esp_proposals: ["aes128gcm16"], mode: "transport", dpd_action: "none" } },
    ...options.connection,
  });
  return { karp, charon, ike };
}

/** Makes the IKE SA by the end named; both ends have it. */
export async function connect(pair: Pair, by: "karp" | "charon"): Promise<void> {
  if (by === "karp") pair.karp.inform();
  else await pair.charon.initiate(pair.ike);
  await Promise.all([pair.karp.established(), pair.charon.established(pair.ike)]);
}

/** Both ends have the same one IKE SA, without children, and a request of ours is answered in it. */
export async function assertWorks({ karp, charon, ike }: Pair): Promise<readonly [IkeSaView, CharonSa]> {
  const [ours, theirs] = [await karp.established(), await charon.established(ike)];
  assert.deepEqual([ours.initiatorSpi, ours.responderSpi], [theirs.initiatorSpi, theirs.responderSpi]);
  assert.deepEqual([ours.mkts, theirs.children], [[], 0]);
  const from = karp.events.length;
  karp.createMkt();
  const { failure } = await karp.event("mktFailed", from);
  assert.equal(failure.notifyType, NotifyType.NO_PROPOSAL_CHOSEN);
  return [ours, theirs];
}
