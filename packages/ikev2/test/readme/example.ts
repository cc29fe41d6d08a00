import { hex, IkeEndpoint, type IkeInput, keyIdBitmapOf, mktSelectors, Secret, utf8Encode } from "@karp/ikev2";
import { NodeCryptoProvider, systemClock } from "@karp/ikev2/node";

const psk = { kind: "psk", secret: new Secret(utf8Encode("1yEkCzVn8Rn5hZ0mQ3kXw7")) } as const;
// IANA's numbers: AES-GCM-16 with 128 bits, PRF_HMAC_SHA2_256, Curve25519
const suite = { encryption: [{ id: 20, keyLengthBits: 128 }], integrity: [], prf: [5], keyExchange: [31] };
const identity = (n: number) => ({ idType: 1, data: Uint8Array.of(10, 0, 0, n) });
const socket = (n: number) => ({ address: `10.0.0.${n}`, port: 500 });
const times = { rekeyAfterSeconds: 28_800, reauthenticateAfterSeconds: 7_776_000, livenessAfterSeconds: 1800 };

function router(own: number, other: number, sendId: number) {
  // BGP between the two, AES-CMAC-96 over header and options
  const selectors = mktSelectors(identity(own).data, identity(other).data, 179);
  const terms = { integrity: [8], tcpOptions: [1], keyExchange: [], ...selectors };
  const consider = () => ({ kind: "accept", sendId, terms, context: "bgp" }) as const;
  const endpoint = new IkeEndpoint({
    crypto: new NodeCryptoProvider(),
    policy: { consider, answerDelete: () => [] },
  });
  const names = { name: "peer", localIdentity: identity(own), remoteIdentity: identity(other) };
  const path = { local: socket(own), remote: socket(other) };
  const secrets = { localAuthentication: psk, remoteAuthentication: psk, suites: [suite] };
  endpoint.handle({ kind: "configure", peers: [{ ...names, ...path, ...secrets, ...times }] }, systemClock.now());
  return { endpoint, terms };
}

const routers = new Map([
  ["10.0.0.1", router(1, 2, 11)],
  ["10.0.0.2", router(2, 1, 22)],
]);

function feed(address: string, input: IkeInput): void {
  for (const effect of routers.get(address)?.endpoint.handle(input, systemClock.now()) ?? []) {
    if (effect.kind === "send") {
      const { local, remote, data } = effect; // a network would carry it
      feed(remote.address, { kind: "datagram", local: remote, remote: local, data });
    } else if (effect.kind === "event" && effect.event.kind === "mktNegotiated") {
      const { sendId, recvId, masterKey, commitId } = effect.event;
      console.log(`${address}: SendID ${sendId}, RecvID ${recvId}, key ${masterKey.expose(hex)}`);
      if (commitId !== undefined) feed(address, { kind: "commit", commitId }); // it is stored: the answer may leave
    }
  }
}

const { terms } = router(1, 2, 11);
feed("10.0.0.1", { kind: "createMkt", requestId: 1, peer: "peer", sendId: 11, taken: keyIdBitmapOf([]), terms });
