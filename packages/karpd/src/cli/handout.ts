import { readFile } from "node:fs/promises";
import { ControlClient } from "../control/client.ts";
import { FormatRefused, formOf, type HandoutJson } from "../handout/form.ts";
import { formats } from "../handout/formats.ts";
import { CommandFailure } from "./text.ts";

export interface HandoutOptions {
  readonly socket: string;
  readonly format: string;
  readonly again: boolean;
  /** File of a certificate in PEM: the text comes out encrypted for whoever has its key. */
  readonly encryptTo?: string;
}

/** `karp handout`: the keys for a neighbour without karp, in the words of its vendor. @throws CommandFailure */
export async function handout(session: string, options: HandoutOptions): Promise<string> {
  const format = Object.hasOwn(formats, options.format) ? formats[options.format] : undefined;
  if (format === undefined) {
    throw new CommandFailure(`there is no format ${options.format}; there are ${Object.keys(formats).join(", ")}`);
  }
  // What can fail does so before the keys are given: they are given once
  const seal = options.encryptTo === undefined ? undefined : await sealFor(options.encryptTo);
  await seal?.("");
  const client = new ControlClient(options.socket);
  const { router } = (await client.get("/v1/status")) as { readonly router: string };
  const reply = await client.post("/v1/handout", { session, again: options.again });
  const { handout: given } = reply as { readonly handout: HandoutJson };
  try {
    const text = format(formOf(given, router));
    return seal === undefined ? text : await seal(text);
  } catch (error) {
    if (!(error instanceof FormatRefused)) throw error;
    throw new CommandFailure(`${error.message}; then say it again with --again`);
  }
}

async function sealFor(path: string): Promise<(text: string) => Promise<string>> {
  const pem = await readFile(path, "utf8").catch(() => {
    throw new CommandFailure(`${path} cannot be read`);
  });
  const { encryptTo } = await import("../handout/encrypt.ts");
  return (text) =>
    encryptTo(text, pem).catch((error: unknown) => {
      throw new CommandFailure(
        `nothing can be encrypted to ${path}: ${error instanceof Error ? error.message : error}`,
      );
    });
}
