// The kernel: a user-mode Linux program with TCP-AO, given by KARP_LAB_KERNEL or built from Debian's linux-source.
import { createHash } from "node:crypto";
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { canInstall, install, KEYRING, PrivateApt, SUITE } from "./apt.ts";
import { Cached, cacheFolder } from "./cache.ts";
import { have, isExecutable, run } from "./exec.ts";
import { MissingError, UsageError } from "./need.ts";

const RECIPE = 1;
const CONFIG = join(import.meta.dirname, "../kernel/uml.config");
/** Without these the kernel would be of no use: checked after Kconfig has resolved all dependencies. */
const INSISTED = ["TCP_AO", "TCP_MD5SIG", "NET_NS", "VETH", "OVERLAY_FS", "HOSTFS", "SECCOMP_FILTER", "CRYPTO_CMAC"];
/** What the build needs: how to see that it is there, and Debian's package for it. */
const NEEDS: readonly (readonly [present: () => boolean, name: string])[] = [
  [() => have("gcc"), "gcc"],
  [() => have("make"), "make"],
  [() => have("flex"), "flex"],
  [() => have("bison"), "bison"],
  [() => have("bc"), "bc"],
  [() => have("xz"), "xz-utils"],
  [() => existsSync("/usr/include/stdio.h"), "libc6-dev"],
  [() => existsSync("/usr/include/libelf.h"), "libelf-dev"],
  [() => existsSync("/usr/include/openssl/ssl.h"), "libssl-dev"],
  [() => existsSync(KEYRING), "debian-archive-keyring"],
];

/** @returns the path of a user-mode Linux kernel with TCP-AO. @throws MissingError when there is no way to one here. */
export async function ensureKernel(say: (line: string) => void): Promise<string> {
  const given = process.env["KARP_LAB_KERNEL"];
  if (given) {
    if (!isExecutable(given)) throw new UsageError(`KARP_LAB_KERNEL=${given} is not an executable file`);
    return given;
  }
  const config = createHash("sha256").update(readFileSync(CONFIG)).digest("hex");
  const kernel = new Cached("linux-uml", { recipe: RECIPE, suite: SUITE, config });
  await kernel.ensure(
    () => needTools(say),
    () => build(kernel.path, say),
  );
  return kernel.path;
}

async function build(target: string, say: (line: string) => void): Promise<void> {
  const folder = join(cacheFolder(), "kernel-build");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  say(`building a user-mode Linux kernel with TCP-AO from Debian's linux-source (5 to 10 minutes, 3 GB in ${folder})`);
  const source = await unpackSource(folder, say);
  await configure(source);
  say("compiling the kernel");
  await make(source, [`-j${availableParallelism()}`, "linux"]);
  await run("strip", ["linux"], { cwd: source });
  copyFileSync(join(source, "linux"), `${target}.building`);
  renameSync(`${target}.building`, target);
  rmSync(folder, { recursive: true, force: true });
  say(`kernel ready: ${target}`);
}

async function needTools(say: (line: string) => void): Promise<void> {
  const packages = NEEDS.filter(([present]) => !present()).map(([, name]) => name);
  if (have("apt-get") && packages.length === 0) return;
  if (!canInstall()) {
    const lack = have("apt-get") ? packages.join(", ") : "apt (Debian or Ubuntu)";
    throw new MissingError(
      `A user-mode Linux kernel with TCP-AO is not there and cannot be built without ${lack}`,
      "run `npm run lab -- --setup` as root on Debian or Ubuntu, or name a ready kernel in KARP_LAB_KERNEL",
    );
  }
  await install(packages, say);
}

async function unpackSource(folder: string, say: (line: string) => void): Promise<string> {
  const apt = new PrivateApt(join(folder, "apt"));
  await apt.update();
  const name = (await apt.depends("linux-source")).find((dependency) => dependency.startsWith("linux-source-"));
  if (name === undefined) throw new Error(`${SUITE} has no linux-source package`);
  say(`downloading ${name}`);
  const [deb] = await apt.download([name]);
  if (deb === undefined) throw new Error(`no ${name} downloaded`);
  const unpacked = join(folder, "deb");
  await run("dpkg-deb", ["-x", deb, unpacked]);
  const archives = join(unpacked, "usr/src");
  const tar = readdirSync(archives).find((file) => file.endsWith(".tar.xz"));
  if (tar === undefined) throw new Error(`${deb} holds no source archive`);
  await run("tar", ["-xJf", join(archives, tar), "-C", folder]);
  rmSync(unpacked, { recursive: true, force: true });
  return join(folder, tar.replace(/\.tar\.xz$/, ""));
}

async function configure(source: string): Promise<void> {
  await make(source, ["defconfig"]);
  appendFileSync(join(source, ".config"), readFileSync(CONFIG));
  await make(source, ["olddefconfig"]);
  const result = readFileSync(join(source, ".config"), "utf8");
  const lost = INSISTED.filter((option) => !result.includes(`\nCONFIG_${option}=y\n`));
  if (lost.length > 0) throw new Error(`this kernel source gives no ${lost.join(", ")} under ARCH=um`);
}

function make(source: string, targets: readonly string[]): Promise<string> {
  return run("make", ["ARCH=um", "KBUILD_BUILD_USER=lab", "KBUILD_BUILD_HOST=lab", ...targets], { cwd: source });
}
