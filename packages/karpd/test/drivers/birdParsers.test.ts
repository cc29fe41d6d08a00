import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { test } from "node:test";
import fc from "fast-check";
import { ConfigFiles, expand } from "../../src/drivers/bird/configFiles.ts";
import { findProtocol } from "../../src/drivers/bird/configScan.ts";
import { parseInclude, renderInclude } from "../../src/drivers/bird/includeFile.ts";
import { parseProtocols } from "../../src/drivers/bird/protocolDetails.ts";
import { MalformedReply, type Reply, ReplyReader } from "../../src/drivers/bird/replies.ts";
import { birdVersion, hasTcpAo, parseConfigureStatus, parseStatus } from "../../src/drivers/bird/status.ts";
import { isSameMkt } from "../../src/drivers/keys.ts";
import { folder, key } from "./support.ts";

function reply(...lines: readonly string[]): Reply {
  const [found] = new ReplyReader().push(`${lines.join("\n")}\n`);
  assert.ok(found);
  return found;
}

/** As BIRD 3.4.0 sends it, with our time format. */
const DETAILS = `2002-Name       Proto      Table      State  Since         Info
1002-peer       BGP        ---        up     1763700066.608123  Established   
1006-  Created:            1763700065.566001
   BGP state:          Established
     Neighbor address: 10.0.0.2
     Neighbor AS:      65002
     Local AS:         65001
     Neighbor ID:      2.1.1.1
     Local capabilities
       Multiprotocol
         AF announced: ipv4
     Session:          external AS4
     Source address:   10.0.0.1
     Hold timer:       197.545/240
     TCP-AO:
       Current key:    11
       RNext key:      12
       Good packets:   6
       Bad packets:    0
   Channel ipv4
     State:          UP
     Import state:   UP
       Import updates:             10          0          0          0          0          0         10
 
0000 `;

test("show protocols all: every field of an established session", () => {
  assert.deepEqual(parseProtocols(reply(...DETAILS.split("\n"))).get("peer"), {
    name: "peer",
    kind: "BGP",
    state: "up",
    since: 1763700066608.123,
    info: "Established",
    bgpState: "Established",
    neighborAddress: "10.0.0.2",
    tcpAo: { currentSendId: 11, rnextRecvId: 12, goodPackets: 6, badPackets: 0 },
  });
  assert.equal(parseProtocols(reply(...DETAILS.split("\n"))).get("other"), undefined);
  assert.equal(parseProtocols(reply("8003 No protocols match")).get("peer"), undefined);
});

test("show protocols all: a key that the kernel does not name (-1) and a counter beyond 2^53 are absent", () => {
  const odd = DETAILS.replace("Current key:    11", "Current key:    -1").replace(
    "packets:   6",
    "packets:   99999999999999999999",
  );
  const { tcpAo } = parseProtocols(reply(...odd.split("\n"))).get("peer") ?? {};
  assert.deepEqual(tcpAo, { rnextRecvId: 12, badPackets: 0 });
});

test("show status and configure status", () => {
  const lines = ["1000-BIRD 3.4.0", "1011-Router ID is 1.1.1.1", " Last reconfiguration on 1763700066.366123"];
  assert.deepEqual(parseStatus(reply(...lines, "0013 Daemon is up and running")), {
    version: "3.4.0",
    lastReconfigurationAt: 1763700066366.123,
    state: "running",
  });
  assert.equal(parseStatus(reply(...lines, "0013 Reconfiguration in progress"))?.state, "reconfiguring");
  assert.equal(parseStatus(reply(...lines, "0013 Shutdown in progress"))?.state, "shuttingDown");
  assert.deepEqual(parseConfigureStatus(reply("0003-Daemon is up and running", "0000 ")), { isBusy: false });
  assert.deepEqual(parseConfigureStatus(reply("0004-Reconfiguration in progress", "0000 ")), { isBusy: true });
  const undo = reply("0003-Daemon is up and running", "0022-Configuration unconfirmed, undo in 19.393 s", "0000 ");
  assert.deepEqual(parseConfigureStatus(undo), { isBusy: false, undoInSeconds: 19.393 });
  assert.equal(parseConfigureStatus(reply("9001 syntax error")), undefined);
});

test("TCP-AO is in BIRD 2.17 and 3.1, not in 2.16 and 3.0", () => {
  for (const version of ["2.17", "2.17.1", "2.20.0", "3.1.0", "3.1.7", "3.4.0", "4.0", "3.2-alpha1"])
    assert.ok(hasTcpAo(version), version);
  for (const version of ["1.6.8", "2.0.12", "2.16.2", "3.0.5", "3.0-alpha2", "nonsense"])
    assert.ok(!hasTcpAo(version), version);
  assert.equal(birdVersion("BIRD 2.17.1 ready."), "2.17.1");
  assert.equal(birdVersion("BIRD v3.4.0-12-gabc ready."), "3.4.0-12-gabc");
});

test("replies: cut anywhere, they are the same; spontaneous lines belong to none", () => {
  const text = `0001 BIRD 3.4.0 ready.\n+Config timeout expired\n${DETAILS}\n`;
  const whole = new ReplyReader().push(text);
  fc.assert(
    fc.property(fc.array(fc.nat(text.length), { maxLength: 8 }), (cuts) => {
      const reader = new ReplyReader();
      const edges = [0, ...cuts.sort((a, b) => a - b), text.length];
      const parts = edges.slice(1).flatMap((end, index) => reader.push(text.slice(edges[index], end)));
      assert.deepEqual(parts, whole);
    }),
  );
});

test("replies: any text gives replies or a typed refusal; every parser takes any reply", () => {
  const line = fc.oneof(
    fc.string(),
    fc.constantFrom(...DETAILS.split("\n")),
    fc.string().map((text) => `1006-${text}`),
    fc.string().map((text) => ` ${text}`),
  );
  fc.assert(
    fc.property(fc.array(line), (lines) => {
      try {
        for (const found of new ReplyReader().push(`${lines.join("\n")}\n0000 \n`)) {
          parseProtocols(found);
          parseStatus(found);
          parseConfigureStatus(found);
        }
      } catch (error) {
        assert.ok(error instanceof MalformedReply);
      }
    }),
    { numRuns: 2_000 },
  );
});

test("include file: what is rendered is read back", () => {
  const uses = fc.constantFrom("accept" as const, "preferred" as const, "deprecated" as const);
  const algorithms = fc.constantFrom("aes-128-cmac-96" as const, "hmac-sha-1-96" as const);
  const keys = fc
    .uniqueArray(fc.integer({ min: 0, max: 127 }), { maxLength: 8 })
    .chain((numbers) =>
      fc.tuple(...numbers.map((n) => fc.tuple(uses, algorithms).map(([use, algorithm]) => key(n, use, { algorithm })))),
    );
  fc.assert(
    fc.property(keys, fc.boolean(), (written, isProtocolDisabled) => {
      const read = parseInclude(renderInclude("r2", { keys: written, isProtocolDisabled }));
      assert.ok(
        read.kind === "ours" && read.isProtocolDisabled === isProtocolDisabled && read.keys.length === written.length,
      );
      for (const [index, one] of read.keys.entries()) {
        const other = written[index];
        assert.ok(other && isSameMkt(one, other) && one.use === other.use && one.adminKeyName === other.adminKeyName);
      }
    }),
  );
});

test("include file: any text is ours, empty, a person's keys or foreign; a changed line makes it foreign", () => {
  const good = renderInclude("r2", { keys: [key(1, "preferred"), key(2, "accept")], isProtocolDisabled: false });
  const mutated = fc
    .tuple(fc.nat(good.length), fc.nat(5), fc.string())
    .map(([at, cut, text]) => good.slice(0, at) + text + good.slice(at + cut));
  fc.assert(
    fc.property(fc.oneof(fc.string(), mutated), (text) => {
      assert.ok(["ours", "empty", "static", "foreign"].includes(parseInclude(text).kind));
    }),
    { numRuns: 3_000 },
  );
  assert.deepEqual(parseInclude(good.replace("send id 2", "send id  2")), { kind: "foreign", line: 5 });
  assert.deepEqual(parseInclude("# mine\n\n"), { kind: "empty" });
  assert.equal(parseInclude(`${good}keys { };`).kind, "foreign");
});

test("includes: wildcards, relative paths, nesting; comments and missing files are none", async (t) => {
  const root = folder(t);
  await mkdir(`${root}/d`);
  for (const name of ["a.conf", "b.conf", "c.txt", ".hidden.conf", "[x].conf"])
    await writeFile(`${root}/d/${name}`, "");
  assert.deepEqual(await expand(`${root}/d/[ab].conf`), [`${root}/d/a.conf`, `${root}/d/b.conf`]);
  assert.deepEqual(await expand(`${root}/d/[!a]*.conf`), [`${root}/d/[x].conf`, `${root}/d/b.conf`]);
  assert.deepEqual(await expand(`${root}/d/?.txt`), [`${root}/d/c.txt`]);
  assert.deepEqual(await expand(`${root}/nowhere/*`), []);
  await writeFile(`${root}/d/a.conf`, 'include "b.conf";\n');
  await writeFile(`${root}/bird.conf`, '# include "d/c.txt";\n  include "d/a.conf" ;\ninclude "missing.conf";\n');
  const files = await new ConfigFiles().collect(`${root}/bird.conf`);
  assert.deepEqual(
    files.map(({ path }) => path),
    [`${root}/bird.conf`, `${root}/d/a.conf`, `${root}/d/b.conf`],
  );
});

test("wildcards: any pattern is expanded or finds nothing", async (t) => {
  const root = folder(t);
  await writeFile(`${root}/a`, "");
  const pattern = fc.array(fc.constantFrom("*", "?", "[", "]", "a", "-", "!", "^", "\\", ".", "(", "+", "$"), {
    maxLength: 8,
  });
  await fc.assert(fc.asyncProperty(pattern, async (parts) => void (await expand(`${root}/${parts.join("")}`))));
});

test("findProtocol: names in quotes, comments, nested braces, includes, templates", async (t) => {
  const root = folder(t);
  const ours = "/var/lib/karp/bird/r2.conf";
  await writeFile(
    `${root}/more.conf`,
    `protocol bgp 'r-2.x' from edge {\n  ipv4 { import filter { if (net ~ [ 10.0.0.0/8+ ]) then accept; }; };\ninclude "${ours}";\n}\n`,
  );
  const dyn =
    '/* protocol bgp r3 { */\ntemplate bgp edge { local as 1; }\nprotocol static { route 10.0.0.0/8 via "eth0"; } # protocol bgp r4 {\ninclude "more.conf";\nprotocol bgp dyn {\n neighbor range 10.0.0.0/24;\n password "x";\n ipv4 { };\n}\n';
  await writeFile(`${root}/bird.conf`, dyn);
  const main = `${root}/bird.conf`;
  assert.deepEqual(await findProtocol(main, "r-2.x", ours), {
    file: `${root}/more.conf`,
    line: 1,
    includesOurs: true,
    isOverruled: false,
    end: 142,
    ownAuthentication: [],
    isDynamic: false,
  });
  assert.deepEqual(await findProtocol(main, "dyn", ours), {
    file: main,
    line: 5,
    includesOurs: false,
    isOverruled: false,
    end: dyn.lastIndexOf("}"),
    ownAuthentication: [{ word: "password", file: main, line: 7, offset: dyn.indexOf("password") }],
    isDynamic: true,
  });
  for (const name of ["r3", "r4"]) assert.equal(await findProtocol(main, name, ours), undefined);
});
