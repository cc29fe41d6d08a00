import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { Type } from "typebox";
import { loadConfiguration } from "../../src/config/loadConfiguration.ts";
import type { DriverSchemas, LoadOptions, LoadResult } from "../../src/config/settings.ts";

const fixtures = join(import.meta.dirname, "fixtures");

/** Two drivers of the test's own: one without any needs, one that needs a word. */
export const driverSchemas: DriverSchemas = {
  bird: Type.Object(
    {
      control: Type.Optional(Type.String({ pattern: "^/", description: "an absolute path" })),
      interval: Type.Optional(Type.String({ pattern: "^[0-9]+s$" })),
    },
    { additionalProperties: false },
  ),
  exec: Type.Object(
    { command: Type.Array(Type.String(), { minItems: 1, description: "program and arguments" }) },
    { additionalProperties: false },
  ),
};

export const driverAbilities = { exec: { algorithms: ["aes-128-cmac-96"], tcpOptions: ["covered"] } } as const;

/** A moment at which the certificates of the fixtures are valid. */
export const validAt = Date.parse("2027-01-01T00:00:00Z");

export type ProjectOptions = Partial<LoadOptions>;

/** A directory with a configuration and the files that it may name: ca.pem, r1.pem, r1.key, other.key, r2.psk, r3.psk. */
export class Project {
  readonly directory: string;

  constructor(t: Pick<TestContext, "after">) {
    this.directory = mkdtempSync(join(tmpdir(), "karp-config-"));
    t.after(() => rmSync(this.directory, { recursive: true }));
    for (const name of ["ca.pem", "r1.pem", "common-name-only.pem", "r1.key", "other.key", "encrypted.key"]) {
      copyFileSync(join(fixtures, name), join(this.directory, name));
      chmodSync(join(this.directory, name), name.endsWith(".key") ? 0o600 : 0o644);
    }
    this.write("r2.psk", "8T3vXq0m5hJx1sVZkq2bN7yLw4cRfD9e\n");
    this.write("r3.psk", "0xe805d09e38a4dfa886de03aeb21f4e8a0c35b5c0aefbfdb543328e897fdbfe77\n");
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  write(name: string, content: string | Uint8Array, mode = 0o600): void {
    writeFileSync(this.path(name), content);
    chmodSync(this.path(name), mode);
  }

  read(name: string): string {
    return readFileSync(this.path(name), "utf8");
  }

  load(yaml: string, options: ProjectOptions = {}): Promise<LoadResult> {
    this.write("karp.yaml", yaml, 0o644);
    return loadConfiguration(this.path("karp.yaml"), {
      driverSchemas,
      driverAbilities,
      nowMilliseconds: validAt,
      environment: {},
      ...options,
    });
  }
}

/** The parts of a good configuration. */
export const credentials = "credentials: { certificate: r1.pem, private-key: r1.key, trust: ca.pem }";
export const r2 = "  r2: { driver: bird, local: 10.0.0.1, remote: 10.0.0.2, peer: r2.example.net }";
export const header = `router: r1.example.net\n${credentials}`;
