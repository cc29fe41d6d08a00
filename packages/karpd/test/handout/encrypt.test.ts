import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { encryptTo } from "../../src/handout/encrypt.ts";

for (const [name, ...kind] of [
  ["RSA", "rsa:2048"],
  ["P-256", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
] as const) {
  test(`openssl cms -decrypt opens what was encrypted to a certificate with a key of kind ${name}`, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "karp-cms-"));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const [key, certificate, sealed] = ["key.pem", "cert.pem", "sealed.pem"].map((file) => join(folder, file));
    assert.ok(key !== undefined && certificate !== undefined && sealed !== undefined);
    const request = [
      "req",
      "-x509",
      "-newkey",
      ...kind,
      "-nodes",
      "-keyout",
      key,
      "-out",
      certificate,
      "-subj",
      "/CN=noc",
    ];
    execFileSync("openssl", request, { stdio: "pipe" });
    const text = "set the key: kq7mzx2b4nrt9wcd8vfgh3jspauy\n".repeat(50);
    writeFileSync(sealed, await encryptTo(text, readFileSync(certificate, "utf8")));
    assert.ok(!readFileSync(sealed, "latin1").includes("kq7mzx2b4nrt"));
    const opened = execFileSync(
      "openssl",
      ["cms", "-decrypt", "-inform", "PEM", "-in", sealed, "-inkey", key, "-binary"],
      {
        encoding: "utf8",
        stdio: "pipe",
      },
    );
    assert.equal(opened, text);
  });
}

test("what is no certificate is said", async () => {
  await assert.rejects(encryptTo("x", "nonsense"), /^Error: this is no X.509 certificate in PEM$/);
});
