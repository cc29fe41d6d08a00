import type { Socket } from "node:net";
import { LONGEST_LINE_BYTES } from "./protocol.ts";

/** Calls `onLine` for each whole line; ends a connection whose line is too long. */
export function readLines(socket: Socket, onLine: (line: string) => void): void {
  let pending: Buffer[] = [];
  let size = 0;
  socket.on("data", (data: Buffer) => {
    let rest = data;
    for (let end = rest.indexOf(NEWLINE); end >= 0; end = rest.indexOf(NEWLINE)) {
      const line = Buffer.concat([...pending, rest.subarray(0, end)]);
      pending = [];
      size = 0;
      if (line.length > LONGEST_LINE_BYTES) return void socket.destroy();
      onLine(line.toString("utf8"));
      line.fill(0);
      if (socket.destroyed) return;
      rest = rest.subarray(end + 1);
    }
    size += rest.length;
    if (size > LONGEST_LINE_BYTES) return void socket.destroy();
    if (rest.length > 0) pending.push(Buffer.from(rest));
    // Lines hold keys
    data.fill(0);
  });
}

const NEWLINE = 10;

export function writeLine(socket: Socket, document: unknown): void {
  if (socket.writable) socket.write(`${JSON.stringify(document)}\n`);
}
