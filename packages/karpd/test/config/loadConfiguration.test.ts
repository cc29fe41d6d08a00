import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { formatProblems } from "../../src/config/formatProblems.ts";
import type { DaemonSettings, LoadResult } from "../../src/config/settings.ts";
import type { Configuration } from "../../src/core/configuration.ts";
import { header, Project, type ProjectOptions, r2 } from "./project.ts";

test("the example of the guide, with every default", async (t) => {
  const { configuration, daemon, warnings, files, directory } = await loaded(
    t,
    `# /etc/karp/karp.yaml on r1; r2's is the mirror
router: r1.example.net               # who we are, as in our certificate
credentials:
  certificate: r1.pem
  private-key: r1.key                # 0600, or systemd:r1.key
  trust: ca.pem
sessions:
  r2:
    protocol: bgp
    driver: bird
    local: 10.0.0.1
    remote: 10.0.0.2
    peer: r2.example.net             # the only identity that may key this session
    mode: observe                    # observe -> opportunistic -> required
rollover: { every: 30d, window: "02:00-04:00 UTC" }
`,
  );
  assert.deepEqual(warnings, []);
  assert.deepEqual(configuration.sessions, [
    {
      name: "r2",
      protocol: "bgp",
      port: 179,
      driver: "bird",
      driverSettings: {},
      localAddress: "10.0.0.1",
      remoteAddress: "10.0.0.2",
      peer: "r2.example.net",
      mode: "observe",
      start: "always",
      algorithms: ["aes-128-cmac-96", "hmac-sha-1-96", "hmac-sha-256-128"],
      tcpOptions: ["covered"],
      pfs: true,
      reservedKeyIds: [],
      keyReaders: [],
      rollover: {
        everySeconds: 2_592_000,
        jitter: 0.1,
        window: { startMinute: 120, endMinute: 240 },
        hardSeconds: 7_776_000,
        drainSeconds: 60,
        keepOldSeconds: 86_400,
        settleSeconds: 30,
        quarantineSeconds: 240,
        orphanSeconds: 600,
        preferTimeoutSeconds: 30,
      },
      onExpiry: "keep-and-alarm",
    },
  ]);
  const [peer] = configuration.peers;
  assert.ok(peer);
  const { localAuthentication, suites, localIdentity, remoteIdentity, ...rest } = peer;
  assert.deepEqual(rest, {
    name: "r2.example.net",
    local: { address: "10.0.0.1", port: 500 },
    remote: { address: "10.0.0.2", port: 500 },
    remoteAuthentication: { kind: "certificate" },
    rekeyAfterSeconds: 28_800,
    reauthenticateAfterSeconds: 7_776_000,
    livenessAfterSeconds: 60,
  });
  assert.deepEqual([localIdentity.idType, text(localIdentity.data)], [2, "r1.example.net"]);
  assert.deepEqual([remoteIdentity.idType, text(remoteIdentity.data)], [2, "r2.example.net"]);
  assert.equal(localAuthentication.kind, "signature");
  assert.equal(localAuthentication.kind === "signature" && localAuthentication.certificates.length, 1);
  assert.deepEqual(suites, [
    {
      encryption: [{ id: 20, keyLengthBits: 128 }, { id: 20, keyLengthBits: 256 }, { id: 28 }],
      integrity: [],
      prf: [5, 6, 7],
      keyExchange: [31, 19, 20, 14],
    },
    {
      encryption: [
        { id: 12, keyLengthBits: 128 },
        { id: 12, keyLengthBits: 256 },
      ],
      integrity: [12],
      prf: [5, 6, 7],
      keyExchange: [31, 19, 20, 14],
    },
  ]);
  assert.deepEqual(daemon.listen, [
    { address: "10.0.0.1", port: 500 },
    { address: "10.0.0.1", port: 4500 },
  ]);
  assert.deepEqual(daemon.store, {
    path: "/var/lib/karp/store/keys.db",
    keyEncryptionKeyPath: "/var/lib/karp/store/keys.db.key",
    keyEncryptionKeyIsCredential: false,
  });
  assert.equal(daemon.control.socketPath, "/run/karp/control.sock");
  assert.equal(daemon.trustAnchors.length, 1);
  assert.deepEqual(files.map((file) => file.replace(`${directory}/`, "")).sort(), [
    "ca.pem",
    "karp.yaml",
    "r1.key",
    "r1.pem",
  ]);
});

test("every word of a session, and of defaults behind it", async (t) => {
  const { configuration } = await loaded(
    t,
    `${header}
listen: ["10.0.0.1:5500", "[2001:db8::1]:5501"]
store: state/keys.db
store-key: kek
control: karp.sock
rollover: { every: 7d, jitter: 5%, hard: 20d }
defaults:
  protocol: ldp
  driver: bird
  mode: opportunistic
  algorithms: [hmac-sha-256-128]
  tcp-options: [omitted, covered]
  pfs: false
  reserved-key-ids: [0, 7, 100-102]
  on-expiry: fail-closed
  ike-sa: release
  peer-port: 5500
  ike: { encryption: [aes-256-cbc, aes-128-gcm], prf: [hmac-sha-384], key-exchange: [ecp-384], rekey: 1h, release-after: 5m }
  bird: { control: /run/one.ctl, interval: 5s }
sessions:
  a: { local: 10.0.0.1, remote: 10.0.0.2, peer: r2.example.net }
  b.v6:
    protocol: rpki-rtr
    port: 8282
    driver: exec
    exec: { command: [/bin/true, x] }
    local: 2001:DB8:0::1
    remote: 2001:db8::2
    peer: R3.Example.Net
    vrf: 0100
    peer-address: 2001:db8::3
    peer-port: 501
    mode: required
    psk-file: r3.psk
    algorithms: [aes-128-cmac-96]
    tcp-options: [covered]
    pfs: true
    reserved-key-ids: []
    on-expiry: keep-and-alarm
    ike-sa: keep
    ike: {}
    rollover: { every: 2d, window: "22:00-01:30 UTC", drain: 5s, keep-old: 1h, settle: 1m, quarantine: 5m, orphan: 20m, prefer-timeout: 10s }
  c: { local: 10.0.0.1, remote: 10.0.0.9, peer: 10.0.0.9, fingerprint: "sha256:${"ab:".repeat(31)}cd", bird: { control: /run/two.ctl } }
`,
  );
  const [a, b, c] = configuration.sessions;
  assert.deepEqual(
    pick(a, ["protocol", "port", "driver", "driverSettings", "mode", "algorithms", "tcpOptions", "pfs"]),
    [
      "ldp",
      646,
      "bird",
      { control: "/run/one.ctl", interval: "5s" },
      "opportunistic",
      ["hmac-sha-256-128"],
      ["omitted", "covered"],
      false,
    ],
  );
  assert.deepEqual(a?.reservedKeyIds, [0, 7, 100, 101, 102]);
  assert.equal(a?.onExpiry, "fail-closed");
  assert.deepEqual([a?.rollover.everySeconds, a?.rollover.jitter, a?.rollover.hardSeconds], [604_800, 0.05, 1_728_000]);
  assert.deepEqual(
    pick(b, ["protocol", "port", "driver", "driverSettings", "localAddress", "remoteAddress", "vrf", "peer"]),
    ["rpki-rtr", 8282, "exec", { command: ["/bin/true", "x"] }, "2001:db8::1", "2001:db8::2", "0100", "r3.example.net"],
  );
  assert.deepEqual(b?.rollover, {
    everySeconds: 172_800,
    jitter: 0.05,
    window: { startMinute: 1320, endMinute: 90 },
    hardSeconds: 1_728_000,
    drainSeconds: 5,
    keepOldSeconds: 3600,
    settleSeconds: 60,
    quarantineSeconds: 300,
    orphanSeconds: 1200,
    preferTimeoutSeconds: 10,
  });
  assert.deepEqual(c?.driverSettings, { control: "/run/two.ctl", interval: "5s" });

  const [first, second, third] = configuration.peers;
  assert.deepEqual(
    [first?.local, first?.remote.port, first?.releaseAfterIdleSeconds],
    [{ address: "10.0.0.1", port: 5500 }, 5500, 300],
  );
  assert.deepEqual(
    first?.suites.map(({ encryption }) => encryption.map(({ id }) => id)),
    [[12], [20]],
  );
  assert.equal(first?.rekeyAfterSeconds, 3600);
  assert.deepEqual(
    [second?.local, second?.remote],
    [
      { address: "2001:db8::1", port: 5501 },
      { address: "2001:db8::3", port: 501 },
    ],
  );
  assert.equal(second?.releaseAfterIdleSeconds, undefined);
  const psk = second?.remoteAuthentication;
  assert.equal(
    psk?.kind === "psk" && psk.secret.expose((octets) => Buffer.from(octets).toString("hex").slice(0, 16)),
    "e805d09e38a4dfa8",
  );
  assert.deepEqual(third?.remoteIdentity, { idType: 1, data: Uint8Array.of(10, 0, 0, 9) });
  const pinned = third?.remoteAuthentication;
  assert.deepEqual(
    pinned?.kind === "pinned" && pinned.fingerprints.map((octets) => [octets.length, octets[0], octets[31]]),
    [[32, 0xab, 0xcd]],
  );
});

test("file names are relative to the configuration's directory; systemd: names a credential", async (t) => {
  const project = new Project(t);
  const result = await project.load(
    `router: r1.example.net
credentials: { private-key: systemd:r1.key, trust: ca.pem }
store: state/keys.db
store-key: systemd:kek
control: karp.sock
sessions:
${r2}
`,
    { environment: { CREDENTIALS_DIRECTORY: project.directory } },
  );
  assert.ok(result.ok, shown(result));
  assert.deepEqual(result.daemon.store, {
    path: project.path("state/keys.db"),
    keyEncryptionKeyPath: project.path("kek"),
    keyEncryptionKeyIsCredential: true,
  });
  assert.equal(result.daemon.control.socketPath, project.path("karp.sock"));
});

test("raw public keys: no certificate, the peer pinned by fingerprint in base64, two during a change", async (t) => {
  const digest = Buffer.alloc(32, 0x5a);
  const { configuration } = await loaded(
    t,
    `router: r1.example.net
credentials: { private-key: other.key }
sessions:
  r2: { driver: bird, local: 10.0.0.1, remote: 10.0.0.2, peer: r2.example.net, fingerprint: ["sha256:${digest.toString("base64")}", "sha256:${digest.toString("hex")}"] }
`,
  );
  const { localAuthentication: ours, remoteAuthentication: theirs } = configuration.peers[0] ?? {};
  assert.equal(ours?.kind === "signature" && ours.certificates.length, 0);
  assert.equal(ours?.kind === "signature" && ours.key.algorithms[0], "ecdsa-sha256");
  assert.deepEqual(theirs?.kind === "pinned" && theirs.fingerprints, [new Uint8Array(digest), new Uint8Array(digest)]);
});

test("pre-shared keys need no credentials at all; each peer has its own", async (t) => {
  const { configuration } = await loaded(
    t,
    `router: r1.example.net
sessions:
  r2: { driver: bird, local: 10.0.0.1, remote: 10.0.0.2, peer: r2.example.net, psk-file: r2.psk }
  r3: { driver: bird, local: 10.0.0.1, remote: 10.0.0.3, peer: r3.example.net, psk-file: r3.psk }
`,
  );
  assert.deepEqual(
    configuration.peers.map((peer) => [peer.localAuthentication.kind, peer.remoteAuthentication.kind]),
    [
      ["psk", "psk"],
      ["psk", "psk"],
    ],
  );
});

test("two sessions of one peer make one peer", async (t) => {
  const { configuration } = await loaded(
    t,
    `${header}
sessions:
  r2-v4: { driver: bird, local: 10.0.0.1, remote: 10.0.0.2, peer: r2.example.net, peer-address: 10.0.0.2 }
  r2-v6: { driver: bird, local: 2001:db8::1, remote: 2001:db8::2, peer: R2.EXAMPLE.net, peer-address: 10.0.0.2 }
`,
  );
  assert.equal(configuration.peers.length, 1);
  assert.deepEqual(
    configuration.sessions.map(({ peer }) => peer),
    ["r2.example.net", "r2.example.net"],
  );
});

test("two sessions of one peer in any order: both ends come to the same addresses for their IKE SA", async (t) => {
  const ends = [
    ["10.0.0.1", "2001:db8::1", "10.0.9.1"],
    ["10.0.0.2", "2001:db8::2", "10.0.9.2"],
  ] as const;
  const addressesOf = async (end: 0 | 1, order: readonly (0 | 1 | 2)[]): Promise<unknown> => {
    const lines = order.map((i) => {
      const [local, remote] = [ends[end][i], ends[1 - end]?.[i]];
      return `  s${i}: { driver: bird, local: "${local}", remote: "${remote}", peer: r9.example.net }`;
    });
    const { configuration } = await loaded(t, `${header}\nsessions:\n${lines.join("\n")}\n`);
    return configuration.peers.map(({ local, remote }) => [local.address, remote.address]);
  };
  for (const order of [[0, 1, 2] as const, [1, 0, 2] as const, [2, 1, 0] as const, [1, 2, 0] as const]) {
    assert.deepEqual(await addressesOf(0, order), [["10.0.0.1", "10.0.0.2"]]);
    assert.deepEqual(await addressesOf(1, order), [["10.0.0.2", "10.0.0.1"]]);
  }
  assert.deepEqual(await addressesOf(0, [1]), [["2001:db8::1", "2001:db8::2"]]);
});

test("listen: forms and the address that each session talks from", async (t) => {
  const forms: readonly (readonly [string, string, readonly string[]])[] = [
    ["", "10.0.0.1:500", ["10.0.0.1:500", "10.0.0.1:4500"]],
    ["listen: 5500", "10.0.0.1:5500", ["10.0.0.1:5500"]],
    ['listen: ":5500"', "10.0.0.1:5500", ["10.0.0.1:5500"]],
    ["listen: 10.0.0.1", "10.0.0.1:500", ["10.0.0.1:500"]],
    ["listen: 127.0.0.1:5500", "127.0.0.1:5500", ["127.0.0.1:5500"]],
    ["listen: [10.0.0.1:5500, 127.0.0.1]", "10.0.0.1:5500", ["10.0.0.1:5500", "127.0.0.1:500"]],
    [
      'listen: ["[2001:db8::9]:7", "2001:db8::a", 10.0.0.7]',
      "10.0.0.7:500",
      ["2001:db8::9:7", "2001:db8::a:500", "10.0.0.7:500"],
    ],
  ];
  for (const [line, expected, sockets] of forms) {
    const { configuration, daemon } = await loaded(t, `${header}\n${line}\nsessions:\n${r2}\n`);
    const { address, port } = configuration.peers[0]?.local ?? {};
    assert.equal(`${address}:${port}`, expected, line);
    assert.deepEqual(
      daemon.listen.map((place) => `${place.address}:${place.port}`),
      sockets,
      line,
    );
  }
});

test("a session in a VRF: karp's own packets take the default VRF, so its `local` is no place to listen", async (t) => {
  const inVrf = (name: string, peer: string): string =>
    `  ${name}: { driver: bird, local: 10.1.0.1, remote: 10.1.0.2, vrf: red, peer: ${peer}, peer-address: 10.0.0.2 }\n`;
  const plain = r2.replace(/^( {2}r2: \{)/, "$1 peer-address: 10.0.0.2,");
  const places = async (text: string): Promise<readonly unknown[]> => {
    const { configuration, daemon } = await loaded(t, `${header}\n${text}`);
    return [...configuration.peers.map(({ local }) => local), ...daemon.listen].map(
      ({ address, port }) => `${address}:${port}`,
    );
  };
  const first = inVrf("a", "r2.example.net");
  const wanted = ["10.0.0.1:500", "10.0.0.1:500", "10.0.0.1:4500"];
  assert.deepEqual(await places(`sessions:\n${first}${plain}\n`), wanted, "whichever stands first");
  assert.deepEqual(await places(`sessions:\n${plain}\n${first}`), wanted);
  assert.deepEqual(await places(`listen: 10.0.0.1\nsessions:\n${first}`), ["10.0.0.1:500", "10.0.0.1:500"]);
});

test("keep-old is a quarter of a short period unless said", async (t) => {
  const { configuration } = await loaded(t, `${header}\nrollover: { every: 4s, drain: 1s }\nsessions:\n${r2}\n`);
  assert.equal(configuration.sessions[0]?.rollover.keepOldSeconds, 1);
});

test("secrets show nowhere in what was loaded", async (t) => {
  const { configuration } = await loaded(
    t,
    `router: r1.example.net\nsessions:\n  r2: { driver: bird, local: 10.0.0.1, remote: 10.0.0.2, peer: r2.example.net, psk-file: r2.psk }\n`,
  );
  assert.equal(JSON.stringify(configuration).includes("8T3vXq0m5hJx1sVZkq2bN7yLw4cRfD9e"), false);
  assert.match(JSON.stringify(configuration), /"secret":"\[secret\]"/);
});

// ---- below: the helpers

async function loaded(t: TestContext, yaml: string, options: ProjectOptions = {}): Promise<Loaded> {
  const project = new Project(t);
  const result = await project.load(yaml, options);
  assert.ok(result.ok, shown(result));
  return { ...result, directory: project.directory };
}

interface Loaded {
  readonly configuration: Configuration;
  readonly daemon: DaemonSettings;
  readonly files: readonly string[];
  readonly warnings: readonly unknown[];
  readonly directory: string;
}

function shown(result: LoadResult): string {
  return result.ok ? "" : formatProblems(result.problems);
}

function text(octets: Uint8Array): string {
  return Buffer.from(octets).toString();
}

function pick<T extends object, K extends keyof T>(value: T | undefined, names: readonly K[]): readonly unknown[] {
  return names.map((name) => value?.[name]);
}

test("the default algorithms are all that the driver can, in the order of preference", async (t) => {
  const session = (name: string, address: string, more: string): string =>
    `  ${name}: { local: 10.0.0.1, remote: ${address}, peer: ${name}.example.net, psk-file: ${name}.psk, ${more} }\n`;
  const r3 = session("r3", "10.0.0.3", "driver: exec, exec: { command: [/bin/keys] }");
  const { configuration } = await loaded(
    t,
    `router: r1.example.net\nsessions:\n${session("r2", "10.0.0.2", "driver: bird")}${r3}`,
  );
  assert.deepEqual(
    configuration.sessions.map(({ algorithms }) => algorithms),
    [["aes-128-cmac-96", "hmac-sha-1-96", "hmac-sha-256-128"], ["aes-128-cmac-96"]],
  );
});
