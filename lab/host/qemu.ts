// Debian's stock kernel under qemu (emulated, so that it works everywhere): what users run, six times slower.
import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { basename, join } from "node:path";
import { canInstall, install, KEYRING, PrivateApt, SUITE } from "./apt.ts";
import { Cached } from "./cache.ts";
import { have, run } from "./exec.ts";
import type { Folders, Machine } from "./guest.ts";
import { MissingError } from "./need.ts";

const RECIPE = 1;
const INITRAMFS_SCRIPT = join(import.meta.dirname, "../guest/initramfs.sh");
/** What the initramfs has to load before the root folder can be mounted. */
const EARLY_MODULES = ["overlay", "9p", "9pnet_virtio"];
/** Parts of the module tree that a network lab never loads; they are most of its size. */
const USELESS = ["sound", "drivers/gpu", "drivers/media", "drivers/infiniband", "drivers/iio", "drivers/staging"];
const QEMU = "qemu-system-x86_64";
const TOOLS = { [QEMU]: "qemu-system-x86", depmod: "kmod", xz: "xz-utils", "dpkg-deb": "dpkg" };

/** @throws MissingError when qemu or Debian's kernel cannot be had here */
export async function qemuMachine(rootfs: string, say: (line: string) => void): Promise<Machine> {
  const cached = new Cached("qemu", { recipe: RECIPE, suite: SUITE });
  await cached.ensure(
    () => needTools(say),
    () => build(cached.path, rootfs, say),
  );
  if (!have(QEMU)) await needTools(say);
  return {
    transport: "9p",
    outputDevice: "/dev/vport*p1",
    slowness: 6,
    command: (folders) => command(cached.path, rootfs, folders),
  };
}

async function needTools(say: (line: string) => void): Promise<void> {
  const tools = Object.entries(TOOLS).flatMap(([program, name]) => (have(program) ? [] : [name]));
  const packages = existsSync(KEYRING) ? tools : [...tools, "debian-archive-keyring"];
  if (packages.length === 0 && have("apt-get")) return;
  if (!canInstall()) {
    const lack = have("apt-get") ? packages.join(", ") : "apt (Debian or Ubuntu)";
    throw new MissingError(`Running under qemu needs ${lack}`, "run `npm run lab -- --setup --qemu` as root");
  }
  await install(packages, say);
}

async function build(target: string, rootfs: string, say: (line: string) => void): Promise<void> {
  say(`fetching Debian's stock kernel into ${target} (110 MB)`);
  const draft = `${target}.building`;
  rmSync(draft, { recursive: true, force: true });
  const tree = join(draft, "tree");
  mkdirSync(tree, { recursive: true });
  const version = await unpackKernel(draft, tree);
  await indexModules(tree, version);
  await makeInitramfs(draft, tree, version, rootfs);
  const images = [join(tree, `boot/vmlinuz-${version}`), join(tree, "usr/lib/modules", version, "vmlinuz")];
  const image = images.find((file) => existsSync(file));
  if (image === undefined) throw new Error(`the packages of ${version} hold no vmlinuz`);
  copyFileSync(image, join(draft, "vmlinuz"));
  renameSync(join(tree, "usr/lib/modules"), join(draft, "modules"));
  rmSync(tree, { recursive: true, force: true });
  rmSync(target, { recursive: true, force: true });
  renameSync(draft, target);
}

/** Unpacks the kernel and its modules below `tree`. @returns the kernel's version */
async function unpackKernel(draft: string, tree: string): Promise<string> {
  const folder = join(draft, "apt");
  const apt = new PrivateApt(folder);
  await apt.update();
  const image = (await apt.depends("linux-image-amd64")).find((name) => name.startsWith("linux-image-"));
  if (image === undefined) throw new Error(`${SUITE} has no linux-image-amd64`);
  const parts = (await apt.depends(image)).filter((name) => /^linux-(base|binary|modules)-/.test(name));
  const packages = parts.length > 0 ? parts : [image]; // older suites have it all in one package
  for (const deb of await apt.download(packages)) await run("dpkg-deb", ["-x", deb, tree]);
  rmSync(folder, { recursive: true, force: true });
  return image.slice("linux-image-".length);
}

async function indexModules(tree: string, version: string): Promise<void> {
  mkdirSync(join(tree, "usr/lib/modules"), { recursive: true });
  if (!readdirSync(tree).includes("lib")) symlinkSync("usr/lib", join(tree, "lib"));
  for (const part of USELESS) {
    rmSync(join(tree, "lib/modules", version, "kernel", part), { recursive: true, force: true });
  }
  await run("depmod", ["-b", tree, version]);
}

async function makeInitramfs(draft: string, tree: string, version: string, rootfs: string): Promise<void> {
  const folder = join(draft, "initramfs");
  for (const part of ["bin", "modules", "proc", "dev", "root"]) mkdirSync(join(folder, part), { recursive: true });
  const busybox = join(folder, "bin/busybox");
  copyFileSync(join(rootfs, "usr/bin/busybox"), busybox);
  chmodSync(busybox, 0o755);
  copyFileSync(INITRAMFS_SCRIPT, join(folder, "init"));
  chmodSync(join(folder, "init"), 0o755);
  const order = await Promise.all(EARLY_MODULES.map((name) => withDependencies(tree, version, name)));
  const files = [...new Set(order.flat())];
  for (const [i, file] of files.entries()) {
    const copy = join(folder, "modules", `${String(i).padStart(2, "0")}-${basename(file)}`);
    copyFileSync(file, copy);
    if (copy.endsWith(".xz")) await run("xz", ["-d", copy]);
  }
  const pack = `cd "$1" && find . | "$2" cpio -o -H newc 2>/dev/null | gzip -1 > "$3"`;
  await run("sh", ["-c", pack, "sh", folder, busybox, join(draft, "initramfs.gz")]);
  rmSync(folder, { recursive: true, force: true });
}

/** Files to load for a module, in the order of loading; none when it is built in. */
async function withDependencies(tree: string, version: string, name: string): Promise<string[]> {
  const text = await run("modprobe", ["-d", tree, "-S", version, "--show-depends", name]);
  return [...text.matchAll(/^insmod (\S+)/gm)].flatMap((match) => match[1] ?? []);
}

function command(cache: string, rootfs: string, folders: Folders): readonly [string, ...string[]] {
  const shares = [
    ...share("root", rootfs, true),
    ...share("modules", join(cache, "modules"), true),
    ...share("repo", folders.repo, true),
    ...share("node", folders.node, true),
    ...share("control", folders.control, false),
    ...share("out", folders.out, false),
  ];
  const qemu = [
    ...[
      QEMU,
      "-M",
      "q35",
      "-accel",
      "tcg,thread=multi",
      "-cpu",
      "max",
      "-smp",
      "2",
      "-m",
      String(folders.memoryMegabytes),
    ],
    ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
    ...["-kernel", join(cache, "vmlinuz"), "-initrd", join(cache, "initramfs.gz")],
    ...["-append", "console=ttyS0 quiet loglevel=3 panic=-1 oops=panic mitigations=off LAB_TRANSPORT=9p"],
    ...shares,
    ...["-device", "virtio-rng-pci"],
    ...["-chardev", `file,id=console,path=${folders.console},append=on`, "-serial", "chardev:console"],
    ...["-device", "virtio-serial-pci", "-chardev", "file,id=output,path=/dev/fd/1,append=on"],
    ...["-device", "virtserialport,chardev=output,name=output"],
  ];
  // qemu opens its output by name, which works for a pipe but not for the socket that Node gives to its children
  return ["sh", "-c", '"$@" | cat', "sh", ...qemu];
}

function share(tag: string, path: string, readOnly: boolean): string[] {
  const mode = readOnly ? ",readonly=on" : "";
  const device = `local,id=${tag},path=${path},security_model=none,multidevs=remap${mode}`;
  return ["-fsdev", device, "-device", `virtio-9p-pci,fsdev=${tag},mount_tag=${tag}`];
}
