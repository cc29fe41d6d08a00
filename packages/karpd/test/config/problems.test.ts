import assert from "node:assert/strict";
import { chmodSync, mkdirSync, unlinkSync } from "node:fs";
import { type TestContext, test } from "node:test";
import { formatProblems } from "../../src/config/formatProblems.ts";
import { loadConfiguration } from "../../src/config/loadConfiguration.ts";
import { drivers } from "../../src/drivers/index.ts";
import { driverOptions } from "../../src/runtime/driverSet.ts";
import { type Expected, expectProblems, problemsOf } from "./expectProblems.ts";
import { credentials, driverSchemas, header, Project, r2, validAt } from "./project.ts";

/** A good file around the lines of one session. */
function session(...lines: readonly string[]): string {
  const own = ["driver: bird", "local: 10.0.0.1", "remote: 10.0.0.2", "peer: r2.example.net"];
  const words = lines.map((line) => line.replace(/[«»]/g, "").split(":")[0]);
  const kept = own.filter((line) => !words.includes(line.split(":")[0]));
  return `${header}\nsessions:\n  r2:\n${[...kept, ...lines].map((line) => `    ${line}`).join("\n")}\n`;
}

async function one(t: TestContext, marked: string, code: string, what: Expected["what"], advice: Expected["advice"]) {
  await expectProblems(t, marked, [{ code, what, advice }]);
}

// ---- YAML

test("bad YAML: an unclosed quote", (t) =>
  one(
    t,
    `${header}\nsessions:\n  r2: { driver: bird, vrf: 'blue }\n«»`,
    "syntax",
    /^not valid YAML: missing closing 'quote/,
    "close the quote or bracket, or write `word: value`",
  ));

test("bad YAML: a tab as indentation", (t) =>
  one(
    t,
    `${header}\nsessions:\n«\t»r2: {}\n`,
    "syntax",
    "not valid YAML: tabs are not allowed as indentation",
    "indent with spaces, two for each level",
  ));

test("bad YAML: two words on a line", (t) =>
  one(
    t,
    "router: «r»1: x\n",
    "syntax",
    /^not valid YAML: nested mappings/,
    'one `word: value` a line; put a value that holds ": " in quotes',
  ));

test("bad YAML: a second document", (t) =>
  one(
    t,
    `${header}\nsessions:\n${r2}\n«---»\nrouter: r2\n`,
    "syntax",
    "a second YAML document begins here",
    "keep everything in one document: remove the line `---`",
  ));

test("bad YAML: an unknown tag", (t) =>
  one(
    t,
    session("mode: «!blue» observe"),
    "syntax",
    "not valid YAML: unresolved tag: !blue",
    "remove the tag (the word after `!`)",
  ));

test("bad YAML: anchors and aliases are refused", (t) =>
  expectProblems(t, session("vrf: &v «blue»", "mode: observe", "ike: «*v»"), [
    {
      code: "anchor",
      what: /^anchors \(&\) and aliases \(\*\)/,
      advice: /^write the value out, or put what sessions share/,
    },
    { code: "anchor", what: /^anchors/, advice: /^write the value out/ },
  ]));

test("duplicate peer: the second session of a name is refused with the line of the first", (t) =>
  one(
    t,
    `${header}\nsessions:\n${r2}\n  «r2»: { driver: bird }\n`,
    "duplicateWord",
    "`r2` stands here for the second time, first in line 4",
    "keep one of the two",
  ));

test("an empty file misses its two required words", (t) =>
  expectProblems(t, "«»«»", [
    {
      code: "missingWord",
      what: "`router` is missing in the file",
      advice: "add `router: …`. Who we are, as in our certificate.",
    },
    { code: "missingWord", what: "`sessions` is missing in the file", advice: /^add `sessions: …`/ },
  ]));

test("a list where the file's words belong", (t) =>
  one(
    t,
    "«-» router\n",
    "wrongKind",
    "the file holds a list, and words with values belongs there",
    "indent the words below it, one `word: value` a line",
  ));

test("a file that does not exist", async (t) => {
  const path = new Project(t).path("nowhere.yaml");
  const result = await loadConfiguration(path, { driverSchemas });
  assert.ok(!result.ok);
  const [problem] = result.problems;
  assert.deepEqual(
    [problem?.code, problem?.what, problem?.advice],
    ["unreadableFile", `${path} does not exist`, "write a first one with: karp init"],
  );
});

test("a configuration that everyone may write", (t) =>
  expectProblems(
    t,
    `«r»outer: r1.example.net\n${credentials}\nsessions:\n${r2}\n`,
    [
      {
        code: "writableByAll",
        what: "everyone on this machine may write <dir>/karp.yaml",
        advice: "chmod 644 <dir>/karp.yaml",
      },
    ],
    (project) => {
      const write = project.write.bind(project);
      Object.assign(project, { write: (name: string, content: string) => write(name, content, 0o666) });
      return undefined;
    },
  ));

// ---- words and values

test("unknown word: did you mean", async (t) => {
  await one(
    t,
    session("«algoritms»: [hmac-sha-1-96]"),
    "unknownWord",
    "`algoritms` is not a word that belongs in `sessions.r2`",
    "did you mean `algorithms`?",
  );
  await one(
    t,
    session("«pskFile»: r2.psk"),
    "unknownWord",
    "`pskFile` is not a word that belongs in `sessions.r2`",
    "did you mean `psk-file`?",
  );
});

test("unknown word: a slip in a required word is said once", (t) =>
  one(
    t,
    `${header}\nsessions:\n  r2: { driver: bird, local: 10.0.0.1, «remoet»: 10.0.0.2, peer: r2.example.net }\n`,
    "unknownWord",
    /`remoet`/,
    "did you mean `remote`?",
  ));

test("unknown word: nothing near lists what may stand there", (t) =>
  one(
    t,
    `${header}\nrollover: { «frequency»: 3d }\nsessions:\n${r2}\n`,
    "unknownWord",
    "`frequency` is not a word that belongs in `rollover`",
    "words that may stand here: every, jitter, window, hard, drain, keep-old, settle, quarantine, orphan, prefer-timeout",
  ));

test("unknown word: the words of other programs", (t) =>
  one(t, session("«neighbor»: 10.0.0.2"), "unknownWord", "`neighbor` is not a word of karp", "write `remote`"));

test("a missing word is said at its session", (t) =>
  one(
    t,
    `${header}\nsessions:\n  «r2»: { driver: bird, local: 10.0.0.1, remote: 10.0.0.2 }\n`,
    "missingWord",
    "`peer` is missing in `sessions.r2`",
    "add `peer: …`. The only identity that may key this session, as in the peer's certificate; `none` for a neighbour without karp (solo mode).",
  ));

test("a word without a value", (t) =>
  one(
    t,
    session("«peer-address»:"),
    "emptyValue",
    "`peer-address` has no value",
    "Address of the peer's karp, when it is not `remote`.",
  ));

test("groups are not in this version", (t) =>
  one(
    t,
    `${header}\nsessions:\n${r2}\n«groups»:\n  lan7: { protocol: ospfv2 }\n`,
    "notInThisVersion",
    "`groups` (keys for OSPF and PIM on a shared link) is not in this version",
    "remove `groups:`; sessions between two routers go under `sessions:`",
  ));

test("router: none names nobody", (t) =>
  one(
    t,
    session().replace(/^router: .*$/m, "router: «none»"),
    "badValue",
    "`none` names nobody",
    /^write a name, as in the certificate/,
  ));

test("a secret in the configuration is refused, and not shown", async (t) => {
  const problems = await problemsOf(t, session("«psk»: hunter2hunter2"), [
    {
      code: "inlineSecret",
      what: "`psk`: secrets do not stand in the configuration",
      advice: "put the secret into a file (mode 0600) and name it: psk-file: /etc/karp/PEER.psk",
    },
  ]);
  assert.match(formatProblems(problems), /psk: \*{14}\n/);
  assert.doesNotMatch(JSON.stringify(problems), /hunter2/);
});

test("the text of a key where its file belongs is refused, and not shown", async (t) => {
  const body = "MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF";
  const marked = `router: r1.example.net\ncredentials:\n  private-key: «"-----BEGIN PRIVATE KEY-----${body}-----END PRIVATE KEY-----"»\n  trust: ca.pem\nsessions:\n${r2}\n`;
  const problems = await problemsOf(t, marked, [
    {
      code: "badValue",
      what: "the text of a key stands where its file belongs",
      advice: "put it into a file (mode 0600) and write the file's name",
    },
  ]);
  assert.doesNotMatch(JSON.stringify(problems) + formatProblems(problems), /MC4CAQAwBQ|VwBCIEIJ/);
});

test("a secret on a line with a YAML error is not shown", async (t) => {
  const result = await new Project(t).load("router: r1\nsessions:\n  r2: { psk: hunter2: x }\n");
  assert.ok(!result.ok);
  assert.equal(result.problems[0]?.code, "syntax");
  assert.match(formatProblems(result.problems), /psk: \*+\n/);
  assert.doesNotMatch(formatProblems(result.problems), /hunter2/);
});

test("session names", (t) =>
  one(
    t,
    `${header}\nsessions:\n  «"R2 (core)"»: { driver: bird }\n`,
    "badName",
    "`R2 (core)` is no name for this",
    "write r2-core-: a-z, 0-9, dots, dashes and underscores, up to 63",
  ));

test("bad address: each kind has its own advice", async (t) => {
  const cases: readonly (readonly [string, string, string])[] = [
    ["10.0.0.300", "`10.0.0.300` is not an IP address", "write an address such as 10.0.0.1 or 2001:db8::1"],
    ["10.0.0.2/31", "`10.0.0.2/31` is a prefix, not an address", "write 10.0.0.2"],
    ["010.0.0.2", "`010.0.0.2` has leading zeros", "write 10.0.0.2"],
    [
      "10.0.0.2:179",
      "`10.0.0.2:179` has a port, an address alone stands here",
      "write 10.0.0.2; ports have words of their own",
    ],
    [
      "r2.example.net",
      "`r2.example.net` is a name, not an address",
      "write the address itself: karp asks no name server",
    ],
    ["0.0.0.0", "`0.0.0.0` is every address and none", "write the one address that is meant"],
    ["224.0.0.5", "`224.0.0.5` is a multicast address", "write the address of one router"],
    ["fe80::1%eth0", "`fe80::1%eth0` is an address with a zone, not an address", "write fe80::1"],
    [
      "fe80::1",
      "`fe80::1` is a link-local address",
      "not in this version: give both ends a global or unique local address",
    ],
    ['"::ffff:10.0.0.2"', "`::ffff:10.0.0.2` is an IPv4 address in disguise", "write 10.0.0.2"],
    ["2001:db8:::1", "`2001:db8:::1` is not an IP address", "write an address such as 10.0.0.1 or 2001:db8::1"],
  ];
  for (const [text, what, advice] of cases) await one(t, session(`remote: «${text}»`), "badValue", what, advice);
});

test("local and remote must be two addresses of one family", async (t) => {
  await one(
    t,
    session("remote: «10.0.0.1»"),
    "sameAddress",
    "`local` and `remote` are the same address",
    "write the neighbour's address as `remote`",
  );
  await one(
    t,
    session("remote: «2001:db8::2»"),
    "mixedFamilies",
    "`local` and `remote` are of different families",
    "write two IPv4 or two IPv6 addresses: a session runs over one of the two",
  );
});

test("durations", async (t) => {
  const cases: readonly (readonly [string, string, string])[] = [
    ["30", "`30` says no unit", "write 30s for seconds, or m, h, d, w"],
    ["30days", "`days` is not a unit of time", "write s, m, h, d or w, as in 30d"],
    ["monthly", "`monthly` is not a duration", "write a number and a unit, as in 90s, 30m, 12h, 30d"],
    ["0s", "a duration of zero", "write at least 1s"],
  ];
  for (const [text, what, advice] of cases)
    await one(t, session(`rollover: { every: «${text}» }`), "badValue", what, advice);
});

test("windows", async (t) => {
  const cases: readonly (readonly [string, string, string])[] = [
    ["02:00-04:00", "`02:00-04:00` says no time zone", 'write "02:00-04:00 UTC"; other zones are not known'],
    ["02:00-04:00 CET", "`CET`: windows are given in UTC only", 'convert the times and write "02:00-04:00 UTC"'],
    ["at night", "`at night` is not a window of the day", 'write "02:00-04:00 UTC"'],
    ["25:00-26:00 UTC", "`25:00-26:00 UTC`: a day has 24 hours of 60 minutes", 'write "02:00-04:00 UTC"'],
    [
      "02:00-02:00 UTC",
      "`02:00-02:00 UTC` begins when it ends",
      "leave `window` out for the whole day, or write two different times",
    ],
  ];
  for (const [text, what, advice] of cases)
    await one(t, session(`rollover: { window: «"${text}"» }`), "badValue", what, advice);
});

test("listen: wildcards, ports and repeats", async (t) => {
  const around = (value: string): string => `${header}\nlisten: ${value}\nsessions:\n${r2}\n`;
  await one(
    t,
    around("«0.0.0.0:5500»"),
    "badValue",
    "`0.0.0.0:5500`: karp listens on the addresses of its sessions, never on all",
    "name the addresses, or write the port alone: listen: 5500 for each session's `local`",
  );
  await one(t, around("[«10.0.0.1:0»]"), "badValue", "`0` is not a port", "write a number from 1 to 65535");
  await one(
    t,
    around("[10.0.0.1, «10.0.0.1:500»]"),
    "duplicateValue",
    "port 500 of 10.0.0.1 stands here twice",
    "keep one of the two",
  );
  await one(
    t,
    around("«[10.0.0.7, 10.0.0.8]»"),
    "notListening",
    "karp does not listen on 10.0.0.1, the session's `local`",
    "add 10.0.0.1 to `listen`",
  );
});

test("a peer whose sessions are all in a VRF: karp has to be told where to listen", (t) =>
  one(
    t,
    `${header}\nsessions:\n  r2: { driver: bird, local: 10.1.0.1, remote: 10.1.0.2, vrf: «red», peer: r2.example.net }\n`,
    "notListening",
    "10.1.0.1 is in VRF red, and karp's own packets take the default VRF",
    "name our address there in `listen`, and the peer's in `peer-address`",
  ));

test("numbers, truth values and choices", async (t) => {
  await one(
    t,
    session("peer-port: «99999»"),
    "badValue",
    "`99999` is not a whole number from 1 to 65535",
    "write a whole number from 1 to 65535",
  );
  await one(t, session("pfs: «yes»"), "badValue", "`yes` is neither true nor false", "write true");
  await one(
    t,
    session("mode: «opportunisitc»"),
    "badValue",
    "`opportunisitc` is not a value of `mode`",
    "did you mean `opportunistic`? One of: observe, opportunistic, required",
  );
  await one(
    t,
    session("protocol: «ospf»"),
    "badValue",
    "`ospf` is not a value of `protocol`",
    "write one of: bgp, ldp, msdp, pcep, rpki-rtr",
  );
  await one(
    t,
    session("algorithms: «hmac-sha-1-96»"),
    "wrongKind",
    "`algorithms` holds one value, and a list belongs there",
    "write `algorithms: [first, second]`",
  );
  await one(
    t,
    session("algorithms: «[]»"),
    "emptyList",
    "the list is empty",
    "write at least one value, or leave the word out for its default",
  );
  await one(
    t,
    session("algorithms: [hmac-sha-1-96, «hmac-sha-1-96»]"),
    "duplicateValue",
    "`hmac-sha-1-96` stands here twice",
    "keep one of the two",
  );
  await one(
    t,
    session("reserved-key-ids: [1, «256»]"),
    "badValue",
    "`256` is not a KeyID",
    "write a number from 0 to 255, or a range such as 100-119",
  );
  await one(t, session("reserved-key-ids: [«9-3»]"), "badValue", "`9-3` runs backwards", "write 3-9");
  await one(t, session("rollover: { jitter: «80%» }"), "badValue", "`80%` is too much", "write at most 50%");
  await one(
    t,
    session("peer: «r2..example.net»"),
    "badValue",
    "`r2..example.net` is not an identity",
    "write a domain name (r1.example.net), an address, user@domain, keyid:TEXT or dn:0xHEX",
  );
});

test("rollover: times that do not fit together", async (t) => {
  await one(
    t,
    session("rollover: { every: 10d, hard: «11d» }"),
    "hardTooShort",
    "`hard` ends 950400 s after the key was made, the next key is due after up to 950400 s",
    "write more than 950400s, or leave it out for 2592000s",
  );
  await one(
    t,
    session("rollover: { every: 1d, keep-old: «1d» }"),
    "keepOldTooLong",
    "`keep-old` is more than a quarter of `every` (86400 s)",
    "write at most 21600s, or leave it out",
  );
});

test("rollover: warnings for a short quarantine and for a window with a short period", (t) =>
  expectProblems(t, session('rollover: { every: 1h, window: «"02:00-04:00 UTC"», quarantine: «10s» }'), [
    {
      code: "windowWins",
      what: "with a `window` keys roll at most once a day, `every` is shorter",
      advice: "leave out `window`, or write `every: 1d` or more",
    },
    {
      code: "shortQuarantine",
      what: "`quarantine` of 10 s is less than twice the maximum segment lifetime",
      advice: /^leave it out for 240s, except in tests/,
    },
  ]));

// ---- drivers

test("what the driver cannot do", async (t) => {
  await one(
    t,
    `${header}\nsessions:\n  r2: { driver: exec, exec: { command: [/bin/keys] }, local: 10.0.0.1, remote: 10.0.0.2, peer: r2.example.net, algorithms: «[hmac-sha-256-128]» }\n`,
    "driverCannot",
    "the driver exec cannot do `hmac-sha-256-128`",
    "write one or more of: aes-128-cmac-96",
  );
});

test("unknown driver, and none at all", async (t) => {
  await one(t, session("driver: «brid»"), "unknownDriver", "there is no driver `brid`", "did you mean `bird`?");
  await one(
    t,
    `${header}\nsessions:\n  «r2»: { local: 10.0.0.1, remote: 10.0.0.2, peer: r2.example.net }\n`,
    "missingWord",
    "nothing says which driver keys `r2`",
    "add `driver: …`, one of: bird, exec",
  );
});

test("driver settings are checked against the driver's own schema", async (t) => {
  await one(
    t,
    session("bird: { «contrl»: /run/bird.ctl }"),
    "unknownWord",
    "`contrl` is not a word that belongs in `sessions.r2.bird`",
    "did you mean `control`?",
  );
  await one(
    t,
    session("bird: { control: «bird.ctl» }"),
    "badValue",
    "`bird.ctl` does not fit here",
    "an absolute path",
  );
  await one(
    t,
    session("driver: bird", "«exec»: { command: [x] }"),
    "otherDriver",
    "words of the driver exec, but the session's driver is bird",
    "write `driver: exec`, or remove the words of exec",
  );
  await one(
    t,
    `${header}\nsessions:\n  «r2»: { driver: exec, local: 10.0.0.1, remote: 10.0.0.2, peer: r2.example.net }\n`,
    "missingWord",
    "the driver exec needs `command`",
    "add `exec: { command: … }`. program and arguments",
  );
});

// ---- identities and credentials

test("own identity as a peer's is refused, however it is written", (t) =>
  one(
    t,
    session("peer: «R1.Example.NET»"),
    "ownIdentity",
    "`peer` is this router's own identity",
    "write the neighbour's name: nobody else may key the session",
  ));

test("one pre-shared key for two peers is refused, also in two files", (t) =>
  expectProblems(
    t,
    `router: r1.example.net
sessions:
  r2: { driver: bird, local: 10.0.0.1, remote: 10.0.0.2, peer: r2.example.net, psk-file: r2.psk }
  r3: { driver: bird, local: 10.0.0.1, remote: 10.0.0.3, peer: r3.example.net, psk-file: «copy.psk» }
`,
    [
      {
        code: "sharedPsk",
        what: "the same pre-shared key as for `r2.example.net`: each of the two peers could pass for the other",
        advice: /^make a key of its own for each peer/,
      },
    ],
    (project) => {
      project.write("copy.psk", project.read("r2.psk").trim());
      return undefined;
    },
  ));

test("weak pre-shared key is refused unless allow-weak-psk says so", async (t) => {
  const weak = (project: Project): undefined => project.write("weak.psk", "changeme\n") as undefined;
  const [what, advice] = [
    /^the pre-shared key is weak: at most \d+ bits of 128$/,
    /^head -c 32 \/dev\/urandom \| base64 > FILE/,
  ];
  await expectProblems(t, session("psk-file: «weak.psk»"), [{ code: "weakPsk", what, advice }], weak);
  await expectProblems(t, session("psk-file: weak.psk", "allow-weak-psk: true"), [], weak);
});

test("missing, empty, unreadable secret file", async (t) => {
  await one(
    t,
    session("psk-file: «nowhere.psk»"),
    "unreadableFile",
    "<dir>/nowhere.psk does not exist",
    "make the file, or correct its name",
  );
  const empty = (project: Project): undefined => project.write("empty.psk", "") as undefined;
  await expectProblems(
    t,
    session("psk-file: «empty.psk»"),
    [{ code: "emptyFile", what: "<dir>/empty.psk is empty", advice: "write the file again, or name another" }],
    empty,
  );
  const lineEnd = (project: Project): undefined => project.write("empty.psk", "\n") as undefined;
  await expectProblems(
    t,
    session("psk-file: «empty.psk»"),
    [{ code: "badPsk", what: "the file holds no key, only a line end", advice: /^head -c 32/ }],
    lineEnd,
  );
  const directory = (project: Project): undefined => mkdirSync(project.path("dir.psk"), 0o700) as undefined;
  await expectProblems(
    t,
    session("psk-file: «dir.psk»"),
    [{ code: "unreadableFile", what: "<dir>/dir.psk is not a file", advice: "name a file" }],
    directory,
  );
});

test("world-readable secret file is refused with the chmod to type", async (t) => {
  const open =
    (mode: number) =>
    (project: Project): undefined =>
      chmodSync(project.path("r2.psk"), mode) as undefined;
  const advice = "chmod 600 <dir>/r2.psk, and replace the secret if others may have read it";
  for (const mode of [0o644, 0o604, 0o601]) {
    const what = `<dir>/r2.psk has mode 0${mode.toString(8)}: everyone on this machine may use it`;
    await expectProblems(t, session("psk-file: «r2.psk»"), [{ code: "openSecret", what, advice }], open(mode));
  }
  const what = "<dir>/r2.psk has mode 0660: its group may write it";
  await expectProblems(t, session("psk-file: «r2.psk»"), [{ code: "openSecret", what, advice }], open(0o660));
  await expectProblems(t, session("psk-file: r2.psk"), [], open(0o640)); // a group of its own may read
});

test("pre-shared keys that begin like hexadecimal or base64 and are not", async (t) => {
  const psk =
    (content: string) =>
    (project: Project): undefined =>
      project.write("x.psk", content) as undefined;
  await expectProblems(
    t,
    session("psk-file: «x.psk»"),
    [
      {
        code: "badPsk",
        what: "the key begins with 0x and is not hexadecimal",
        advice: "write an even number of hexadecimal digits after 0x",
      },
    ],
    psk("0xabc"),
  );
  await expectProblems(
    t,
    session("psk-file: «x.psk»"),
    [{ code: "badPsk", what: "the key begins with 0s and is not base64", advice: "write base64 characters after 0s" }],
    psk("0sab*c"),
  );
});

test("two ways for a peer to prove itself, or none", async (t) => {
  await one(
    t,
    session("psk-file: r2.psk", `«fingerprint»: sha256:${"ab".repeat(32)}`),
    "twoCredentials",
    "both `psk-file` and `fingerprint` say how the peer proves itself",
    "keep one of the two",
  );
  await one(
    t,
    `router: r1.example.net\ncredentials: { private-key: r1.key }\nsessions:\n  r2: { driver: bird, local: 10.0.0.1, remote: 10.0.0.2, peer: «r2.example.net» }\n`,
    "noCredential",
    "nothing says how `r2.example.net` proves itself",
    /^add `credentials: \{ trust: ca.pem \}`/,
  );
  await one(
    t,
    `router: r1.example.net\ncredentials: { trust: ca.pem }\nsessions:\n  r2: { driver: bird, local: 10.0.0.1, remote: 10.0.0.2, peer: «r2.example.net» }\n`,
    "noCredential",
    "nothing to prove ourselves with to `r2.example.net`",
    /^add `credentials: \{ private-key: … \}`/,
  );
});

test("fingerprints", async (t) => {
  const advice = /^write sha256: and 64 hexadecimal digits or 44 base64 characters/;
  await one(
    t,
    session(`fingerprint: «md5:${"ab".repeat(16)}»`),
    "badValue",
    "the fingerprint does not begin with sha256:",
    advice,
  );
  await one(
    t,
    session("fingerprint: «sha256:abcd»"),
    "badValue",
    "the fingerprint has 4 characters and is neither form of a SHA-256",
    advice,
  );
});

test("certificate without its private key", (t) =>
  one(
    t,
    `router: r1.example.net\ncredentials: { certificate: «r1.pem», trust: ca.pem }\nsessions:\n  r2: { driver: bird, local: 10.0.0.1, remote: 10.0.0.2, peer: r2.example.net, psk-file: r2.psk }\n`,
    "noPrivateKey",
    "a certificate without its private key",
    "add `private-key: /etc/karp/…` beside it",
  ));

test("private key that does not belong to the certificate", (t) =>
  one(
    t,
    `router: r1.example.net\ncredentials: { certificate: r1.pem, private-key: «other.key», trust: ca.pem }\nsessions:\n${r2}\n`,
    "keyMismatch",
    "the private key does not belong to the certificate",
    "name the key that belongs to the certificate, or have a certificate made for this key",
  ));

test("private key that is encrypted, no key at all, or readable by everyone", async (t) => {
  const around = (name: string): string =>
    `router: r1.example.net\ncredentials: { private-key: «${name}», trust: ca.pem }\nsessions:\n${r2}\n`;
  await one(
    t,
    around("encrypted.key"),
    "badPrivateKey",
    /^encrypted.key is of no use as private key: the private key is encrypted/,
    /^make one with: openssl genpkey/,
  );
  await one(
    t,
    around("r2.psk"),
    "badPrivateKey",
    /^r2.psk is of no use as private key: not a private key in PEM/,
    /^make one with/,
  );
  const open = (project: Project): undefined => chmodSync(project.path("r1.key"), 0o644) as undefined;
  await expectProblems(
    t,
    around("r1.key"),
    [
      {
        code: "openSecret",
        what: "<dir>/r1.key has mode 0644: everyone on this machine may use it",
        advice: /^chmod 600/,
      },
    ],
    open,
  );
});

test("certificate that does not name the router", async (t) => {
  const around = (router: string, certificate: string): string =>
    `router: ${router}\ncredentials: { certificate: «${certificate}», private-key: r1.key, trust: ca.pem }\nsessions:\n${r2}\n`;
  const advice = "have a certificate made with this name as subjectAltName, or correct `router`";
  await one(
    t,
    around("r9.example.net", "r1.pem"),
    "certificateNames",
    /^the certificate does not name `r9.example.net`: it has DNS:r1.example.net, IP Address:10.0.0.1$/,
    advice,
  );
  // A common name does not count.
  await one(
    t,
    around("r1.example.net", "common-name-only.pem"),
    "certificateNames",
    "the certificate does not name `r1.example.net`: it has no subjectAltName at all",
    advice,
  );
  await expectProblems(t, around("10.0.0.1", "r1.pem").replace(/[«»]/g, ""), []);
  await one(t, around("10.0.0.9", "r1.pem"), "certificateNames", /does not name `10.0.0.9`/, advice);
});

test("expired certificate is a warning: keys in use stay", (t) =>
  expectProblems(
    t,
    `router: r1.example.net\ncredentials: { certificate: «r1.pem», private-key: r1.key, trust: «ca.pem» }\nsessions:\n${r2}\n`,
    [
      {
        code: "expired",
        what: /^the certificate expired at 2125-/,
        advice: /^have a new one made: peers refuse this one/,
      },
      {
        code: "expired",
        what: /^the certificate of CN=karp test authority expired at 2126-/,
        advice: /^put the authority's new certificate/,
      },
    ],
    () => ({ nowMilliseconds: Date.parse("2200-01-01T00:00:00Z") }),
  ));

test("certificate that is not yet valid is a warning", (t) =>
  expectProblems(
    t,
    `router: r1.example.net\ncredentials: { certificate: «r1.pem», private-key: r1.key, trust: ca.pem }\nsessions:\n${r2}\n`,
    [
      {
        code: "notYetValid",
        what: /^the certificate is valid from 20/,
        advice: "look at this machine's clock, or wait",
      },
    ],
    () => ({ nowMilliseconds: Date.parse("2001-01-01T00:00:00Z") }),
  ));

test("trust file that is missing, is no certificate, or is not an authority's", async (t) => {
  const around = (name: string): string =>
    `router: r1.example.net\ncredentials: { private-key: r1.key, trust: «${name}» }\nsessions:\n${r2}\n`;
  await one(
    t,
    around("nowhere.pem"),
    "unreadableFile",
    "<dir>/nowhere.pem does not exist",
    "make the file, or correct its name",
  );
  await one(
    t,
    around("r2.psk"),
    "badCertificate",
    "r2.psk holds no certificate that can be read",
    /^name a file with -----BEGIN CERTIFICATE-----/,
  );
  await one(
    t,
    around("common-name-only.pem"),
    "notAnAuthority",
    "the certificate of CN=r1.example.net is not an authority's",
    /`fingerprint:` under its session$/,
  );
});

test("systemd: outside a unit", (t) =>
  one(
    t,
    `router: r1.example.net\ncredentials: { private-key: «systemd:r1.key», trust: ca.pem }\nsessions:\n${r2}\n`,
    "noCredentials",
    "`systemd:r1.key`: there is no CREDENTIALS_DIRECTORY",
    "run karp from a systemd unit with LoadCredential=r1.key:/path/to/file, or name a file",
  ));

// ---- sessions against each other

test("duplicate session: the same addresses and port", (t) =>
  one(
    t,
    `${header}\nsessions:\n${r2}\n  again: { driver: bird, local: 10.0.0.1, remote: «10.0.0.2», peer: r2.example.net }\n`,
    "duplicateSession",
    "`r2` has the same addresses and port: no key could tell the two sessions apart",
    "keep one of the two, or give one other addresses, `vrf` or `port`",
  ));

test("two sessions of one BIRD with one include file, or one protocol", async (t) => {
  const second = (name: string, words: string): string =>
    `  ${name}: { driver: bird, local: 10.0.0.1, remote: 10.0.1.${name.length}, peer: r2.example.net, bird: ${words} }\n`;
  const real = () => driverOptions(drivers);
  const marked = `${header}\nsessions:\n${r2}\n${second("other", "{ include: «/var/lib/karp//bird/r2.conf» }")}`;
  const advice = "give each of the two a `include` of its own";
  const what = "`r2` has the include file /var/lib/karp//bird/r2.conf too";
  await expectProblems(t, marked, [{ code: "sharedClaim", what, advice }], real);
  const protocol = `${header}\nsessions:\n${r2}\n${second("again", "{ protocol-name: «r2» }")}`;
  const twice = "`r2` has protocol r2 of the BIRD at /run/bird/bird.ctl too";
  const own = "give each of the two a `protocol-name` of its own";
  await expectProblems(t, protocol, [{ code: "sharedClaim", what: twice, advice: own }], real);
  const elsewhere = `{ protocol-name: r2, control: /run/bird2.ctl }`;
  await expectProblems(t, `${header}\nsessions:\n${r2}\n${second("another", elsewhere)}`, [], real);
});

test("multisession: two protocols between the same addresses are a warning", async (t) => {
  const second = (more: string): string =>
    `${header}\nsessions:\n${r2}\n  ldp: { protocol: ldp, driver: bird, local: 10.0.0.1, remote: ${more}, peer: r2.example.net }\n`;
  await one(
    t,
    second("«10.0.0.2»"),
    "sharedAddresses",
    "`r2` has the same addresses: Linux matches TCP-AO keys by address, not by port",
    /^give one of them other addresses/,
  );
  await expectProblems(t, second("10.0.0.2, vrf: blue"), []);
});

test("one peer with two different credentials", (t) =>
  one(
    t,
    `${header}\nsessions:\n${r2}\n  v6: { driver: bird, local: 2001:db8::1, remote: 2001:db8::2, peer: r2.example.net, psk-file: «r2.psk» }\n`,
    "credentialConflict",
    "`r2` and `v6` disagree about how `r2.example.net` proves itself",
    "write the same `psk-file` or `fingerprint` in both, or in neither",
  ));

test("one peer with two different IKE settings", (t) =>
  one(
    t,
    `${header}\nsessions:\n${r2}\n  v6: { driver: bird, local: 2001:db8::1, remote: 2001:db8::2, peer: «r2.example.net», peer-port: 5500 }\n`,
    "peerConflict",
    "`r2` and `v6` disagree about the IKE SA with `r2.example.net`",
    /^write the same `peer-address`, `peer-port`/,
  ));

test("no session at all is a warning", (t) =>
  one(
    t,
    `${header}\n«sessions»: {}\n`,
    "noSessions",
    "there is no session to key",
    "add one below `sessions:`, or begin with: karp init",
  ));

test("all problems of a file at once, printed as a compiler does", async (t) => {
  const project = new Project(t);
  const result = await project.load(`router: r1.example.net
credentials: { certificate: r1.pem, private-key: r1.key, trust: nowhere.pem }
sessions:
  r2:
    driver: brid
    local: 10.0.0.1/24
    remote: 10.0.0.2
    peer: r1.example.net
\tmode: x
`);
  assert.ok(!result.ok);
  const [tab] = result.problems;
  assert.equal(result.problems.length, 1, "a syntax error stands alone: the rest would be its echo");
  assert.equal(tab?.line, 9);

  const fixed = await project.load(`router: r1.example.net
credentials: { certificate: r1.pem, private-key: r1.key, trust: nowhere.pem }
sessions:
  r2:
    driver: brid
    local: 10.0.0.1/24
    remote: 10.0.0.2
    peer: r1.example.net
    modus: observe
`);
  assert.ok(!fixed.ok);
  assert.equal(
    formatProblems(fixed.problems).replaceAll(project.directory, "/etc/karp"),
    `/etc/karp/karp.yaml:2:65: error: /etc/karp/nowhere.pem does not exist
  2 | credentials: { certificate: r1.pem, private-key: r1.key, trust: nowhere.pem }
    |                                                                 ^^^^^^^^^^^
    = make the file, or correct its name

/etc/karp/karp.yaml:5:13: error: there is no driver \`brid\`
  5 |     driver: brid
    |             ^^^^
    = did you mean \`bird\`?

/etc/karp/karp.yaml:6:12: error: \`10.0.0.1/24\` is a prefix, not an address
  6 |     local: 10.0.0.1/24
    |            ^^^^^^^^^^^
    = write 10.0.0.1

/etc/karp/karp.yaml:8:11: error: \`peer\` is this router's own identity
  8 |     peer: r1.example.net
    |           ^^^^^^^^^^^^^^
    = write the neighbour's name: nobody else may key the session

/etc/karp/karp.yaml:9:5: error: \`modus\` is not a word that belongs in \`sessions.r2\`
  9 |     modus: observe
    |     ^^^^^
    = words that may stand here: bird, exec, protocol, driver, vrf, mode, start, algorithms, tcp-options, pfs, reserved-key-ids, key-readers, on-expiry, ike-sa, peer-port, ike, port, local, remote, peer, peer-address, fingerprint, psk-file, allow-weak-psk, rollover, solo`,
  );
});

test("a problem has its path for programs", async (t) => {
  const project = new Project(t);
  const result = await project.load(session("reserved-key-ids: [1, 999]").replace(/[«»]/g, ""), {
    nowMilliseconds: validAt,
  });
  assert.ok(!result.ok);
  assert.equal(result.problems[0]?.path, "sessions.r2.reserved-key-ids.1");
});

test("files that are gone after a reload are said again", async (t) => {
  const project = new Project(t);
  const yaml = session("psk-file: r2.psk");
  assert.ok((await project.load(yaml)).ok);
  unlinkSync(project.path("r2.psk"));
  assert.equal((await project.load(yaml)).ok, false);
});
