// User-mode Linux: the kernel is a program of the host; boots in about a second, needs neither KVM nor root.
import type { Machine } from "./guest.ts";

export function umlMachine(kernel: string, rootfs: string): Machine {
  return {
    transport: "hostfs",
    outputDevice: "/dev/tty1",
    slowness: 1,
    command: ({ control, memoryMegabytes }) => [
      kernel,
      // With two, a scenario takes more processor time and no less of the clock: bird-bird-ipv6 62 s where one takes 36 s
      ...[`mem=${memoryMegabytes}M`, "ncpus=1", "seccomp=on"],
      ...["rootfstype=hostfs", `rootflags=${rootfs}`, "ro", "init=/lab/init"],
      ...["con=null", "con0=null,fd:2", "con1=null,fd:1"],
      ...["quiet", "loglevel=3", "panic=-1"],
      `uml_dir=${control}/`,
      ...["LAB_TRANSPORT=hostfs", `LAB_CONTROL=${control}`],
    ],
  };
}
