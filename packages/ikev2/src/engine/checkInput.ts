/** What only our own caller can get wrong: said at once, before anything is queued that could not be sent later. */

import { assertNever } from "../bytes/assertNever.ts";
import { UsageError } from "../bytes/errors.ts";
import type { IkeInput, InformItem } from "./machine.ts";

type CreateMkt = Extract<IkeInput, { readonly kind: "createMkt" }>;

const BITMAP_BYTES = 32;
/** The Number of TSs field has one octet, RFC 7296 section 3.13. */
const MOST_SELECTORS = 255;

/** Throws UsageError. */
export function checkCreateMkt({ sendId, rekeys, taken, terms }: CreateMkt): void {
  requireInteger("sendId", sendId, 255);
  if (rekeys !== undefined) requireInteger("rekeys", rekeys, 255);
  if (taken.length !== BITMAP_BYTES) refuse(`taken has ${taken.length} octets, not ${BITMAP_BYTES}`);
  if (terms.integrity.length === 0 || terms.tcpOptions.length === 0) refuse("terms without INTEG or TCP_OPT");
  for (const selectors of [terms.localSelectors, terms.remoteSelectors]) {
    if (selectors.length === 0 || selectors.length > MOST_SELECTORS) {
      refuse(`${selectors.length} traffic selectors, not 1 to ${MOST_SELECTORS}`);
    }
  }
}

/** Throws UsageError. */
export function checkInform(items: readonly InformItem[]): void {
  for (const item of items) checkItem(item);
}

function checkItem(item: InformItem): void {
  switch (item.kind) {
    case "keyState":
      requireInteger("sendId", item.sendId, 255);
      requireInteger("state", item.state, 255);
      return;
    case "deleteMkts":
      if (item.sendIds.length === 0 || item.sendIds.length > 256) refuse(`${item.sendIds.length} SendIDs to delete`);
      for (const sendId of item.sendIds) requireInteger("sendId", sendId, 255);
      return;
    case "freeze":
      requireInteger("seconds", item.seconds, 2 ** 32 - 1);
      return;
    default:
      assertNever(item);
  }
}

function requireInteger(name: string, value: number, maximum: number): void {
  if (!Number.isInteger(value) || value < 0 || value > maximum) refuse(`${name} ${value} is not 0 to ${maximum}`);
}

function refuse(detail: string): never {
  throw new UsageError("badInput", detail);
}
