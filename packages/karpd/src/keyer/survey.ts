import type { SocketSurvey } from "../ports/keyer.ts";
import type { KernelSocket, OpenSocket } from "./kernel.ts";
import type { Keyed } from "./keyed.ts";
import { hasMd5For } from "./match.ts";
import { keysOf, type Wish } from "./socketKeys.ts";
import { GONE, type SocketTable } from "./socketTable.ts";

/** What protects these sockets of the session; changes nothing. */
export function surveyOf(
  { session, keys = [] }: Keyed,
  { listeners, connections }: Readonly<Record<"listeners" | "connections", readonly KernelSocket[]>>,
  wish: Wish,
  table: SocketTable,
): SocketSurvey {
  const established = connections.filter(({ state }) => state === "established");
  const sockets = [...listeners, ...established];
  const present = sockets.map((socket) => table.borrow(socket, (open) => keysOf(open, wish)));
  const others = present.flatMap((held) => (held === GONE ? [] : held.filter((one) => !wish.isOurs(one))));
  const isOurs = (open: OpenSocket): boolean =>
    open.isSigned() && keysOf(open, wish).some((one) => one.isCurrent && wish.isOurs(one));
  return {
    isUp: established.length > 0,
    isKeyed: established.some((socket) => table.borrow(socket, isOurs) === true),
    hasMd5: sockets.some((socket) => hasMd5For(session, socket)),
    othersKeyIds: [...new Set(others.flatMap(({ sendId, recvId }) => [sendId, recvId]))],
    hasKeys: keys.some(({ isPlaceholder }) => isPlaceholder !== true),
  };
}
