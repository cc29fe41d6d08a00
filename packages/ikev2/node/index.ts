export { NodeCryptoProvider } from "./nodeCryptoProvider.ts";
export { type Clock, Pump, systemClock } from "./pump.ts";
export { loadSigningKey } from "./signingKey.ts";
export { type HandedOverSocket, ListenError, type ReceivedDatagram, UdpTransport } from "./udpTransport.ts";
