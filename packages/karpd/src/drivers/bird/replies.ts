import { printable } from "../text.ts";

/** One line of a reply, with the code under which it was sent. */
export interface ReplyLine {
  readonly code: number;
  readonly text: string;
}

/** What BIRD answered to one command: the last line carries the outcome. */
export interface Reply {
  readonly code: number;
  readonly lines: readonly ReplyLine[];
}

/** The other end of the socket does not speak BIRD's protocol. */
export class MalformedReply extends Error {
  override readonly name = "MalformedReply";
}

const MAXIMUM_REPLY_CHARACTERS = 16 * 1024 * 1024;
const MAXIMUM_LINE_CHARACTERS = 64 * 1024;
const CODED_LINE = /^(\d{4})([- ])(.*)$/s;

/**
 * Cuts BIRD's control stream into replies. "NNNN-text" continues, "NNNN text" ends a reply, " text" continues under the
 * code of the line before, "+text" is spontaneous and belongs to no command.
 */
export class ReplyReader {
  #rest = "";
  #lines: ReplyLine[] = [];
  #characters = 0;

  /** @throws MalformedReply */
  push(text: string): readonly Reply[] {
    this.#characters += text.length;
    if (this.#characters > MAXIMUM_REPLY_CHARACTERS) throw new MalformedReply("BIRD's answer is longer than 16 MiB");
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    if (this.#rest.length > MAXIMUM_LINE_CHARACTERS) throw new MalformedReply("a line of BIRD's answer does not end");
    return lines.flatMap((line) => this.#line(line) ?? []);
  }

  #line(line: string): Reply | undefined {
    if (line.startsWith("+")) return undefined;
    const coded = CODED_LINE.exec(line);
    if (coded === null) {
      this.#continuation(line);
      return undefined;
    }
    const code = Number(coded[1]);
    this.#lines.push({ code, text: coded[3] ?? "" });
    return coded[2] === " " ? this.#finish(code) : undefined;
  }

  #continuation(line: string): void {
    const previous = this.#lines.at(-1);
    if (!line.startsWith(" ") || previous === undefined) {
      throw new MalformedReply(`this is not a reply of BIRD: "${printable(line, 80)}"`);
    }
    this.#lines.push({ code: previous.code, text: line.slice(1) });
  }

  #finish(code: number): Reply {
    const reply = { code, lines: this.#lines };
    this.#lines = [];
    this.#characters = this.#rest.length;
    return reply;
  }
}

/** The text of the line that ends a reply. An error message may quote what it is about: keys stand in hex. */
export function lastText(reply: Reply): string {
  return printable((reply.lines.at(-1)?.text ?? "").replaceAll(/[0-9a-f]{16,}/gi, "[key]"));
}
