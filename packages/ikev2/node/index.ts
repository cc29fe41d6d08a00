export { NodeCryptoProvider } from "./nodeCryptoProvider.ts";
export { type Clock, Pump, systemClock } from "./pump.ts";
export { loadSigningKey } from "./signingKey.ts";
export { ListenError, type ReceivedDatagram, UdpTransport } from "./udpTransport.ts";
