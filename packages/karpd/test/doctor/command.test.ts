import assert from "node:assert/strict";
import { test } from "node:test";
import { Karp, Site } from "../daemon/site.ts";

interface Finding {
  readonly severity: string;
  readonly about: string;
  readonly text: string;
  readonly todo: string;
}

async function json(...words: readonly string[]): Promise<readonly Finding[]> {
  return JSON.parse((await Karp.run(["doctor", ...words, "--json"])).stdout) as readonly Finding[];
}

test("karp doctor PEER asks a real karp, which keeps nothing of it; by identity or by session", async (t) => {
  const { r1, r2 } = await Site.create(t);
  const config = ["--config", r1.configurationFile];
  const down = await Karp.run(["doctor", r1.otherIdentity, ...config]);
  assert.equal(down.code, 1);
  assert.match(down.stdout, /^ERROR {3}path: nothing receives at UDP .* -> start karp there/m);
  for (const line of down.stdout.trimEnd().split("\n")) assert.match(line, / -> .{5}/, "each line ends in what to do");

  await r2.start();
  const found = await json(r1.session, ...config);
  const texts = found.filter(({ severity }) => severity === "ok").map(({ about, text }) => `${about}: ${text}`);
  assert.match(
    texts.join("\n"),
    /^path: IKE answers at UDP .*\nIKE suite: there is one in common; .*\npath: packets of 1,400 and 2,900 octets arrive/,
  );
  assert.equal(
    found.find(({ about }) => about === "NAT"),
    undefined,
    "nobody has seen an IKE SA yet",
  );
  const [seen] = (await r2.client.get("/v1/peers")) as { readonly role?: string }[];
  assert.notEqual(seen?.role, "responder", "no IKE SA was begun there");

  await r1.start();
  await r1.current();
  const up = await Karp.run(["doctor", r1.session, ...config]);
  assert.equal(up.code, 0, up.stdout);
  assert.match(up.stdout, /^ok {6}NAT: none on the path: .* -> nothing to do$/m);
  assert.match(up.stdout, /option flag: TCP options: covered by the key in use/);
});

test("karp doctor with a name that nobody has, and without a configuration that can be used", async (t) => {
  const { r1 } = await Site.create(t);
  const unknown = await Karp.run(["doctor", "r9", "--config", r1.configurationFile]);
  assert.equal(unknown.code, 1);
  assert.match(
    unknown.stderr,
    /^karp: there is no peer or session r9; the configuration has r2\.test\.example, session bgp1\n$/,
  );
  const missing = await Karp.run(["doctor", "r9", "--config", `${r1.home}/none.yaml`]);
  assert.equal(missing.code, 1);
  assert.match(missing.stdout, /does not exist/);
});

test("karp doctor --kernel works with and without a configuration", async (t) => {
  const { r1 } = await Site.create(t);
  const configured = await json("--kernel", "--config", r1.configurationFile);
  assert.ok(!configured.some(({ about }) => about === "configuration"));
  for (const about of ["TCP_AO", "VRF", "pidfd_getfd", "inet_diag", "SOCK_DESTROY", "seccomp"])
    assert.equal(configured.filter((one) => one.about === about).length, 1, about);
  const without = await json("--kernel", "--config", `${r1.home}/none.yaml`);
  assert.equal(without.find(({ about }) => about === "configuration")?.severity, "warning");
});
