export { Secret } from "./bytes/secret.ts";
export type * from "./codec/message.ts";
export type { TrafficSelector } from "./codec/trafficSelector.ts";
export type * from "./crypto/provider.ts";
export type * from "./engine/machine.ts";
