import type { Machine } from "./guest.ts";
import { MissingError } from "./need.ts";
export async function qemuMachine(_rootfs: string, _say: (line: string) => void): Promise<Machine> {
  throw new MissingError("qemu", "later");
}
