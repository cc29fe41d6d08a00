// The guest's root folder: Debian unstable with routing daemons, built once by mmdebstrap.
import { chmodSync, copyFileSync, existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { canInstall, install, KEYRING, SUITE, sourceLine } from "./apt.ts";
import { Cached } from "./cache.ts";
import { have, run } from "./exec.ts";
import { MissingError } from "./need.ts";

/** Counted up whenever the way of building changes, so that old caches are rebuilt. */
const RECIPE = 1;
const PACKAGES = [
  ...["bird3", "frr", "gobgpd", "openbgpd"],
  ...["iproute2", "ethtool", "nftables", "tcpdump", "procps", "strace", "mount", "kmod"],
  ...["python3-minimal", "openssl", "libstdc++6", "busybox-static", "systemd"],
] as const;
/** Packages that are unpacked below /opt/<name>, beside another version of the same programs. */
const OPTIONAL_TREES = ["bird2"] as const;

const TRAMPOLINE = join(import.meta.dirname, "../guest/trampoline.sh");

/** @returns the path of a ready root folder. @throws MissingError when it is not there and cannot be built here. */
export async function ensureRootfs(say: (line: string) => void): Promise<string> {
  const rootfs = new Cached("rootfs", { recipe: RECIPE, suite: SUITE, packages: PACKAGES, trees: OPTIONAL_TREES });
  await rootfs.ensure(
    () => prepare(say),
    () => build(rootfs.path, say),
  );
  return rootfs.path;
}

async function prepare(say: (line: string) => void): Promise<void> {
  if (process.getuid?.() !== 0) {
    throw new MissingError("The guest's root folder is not built", "run `npm run lab -- --setup` once as root");
  }
  if (have("mmdebstrap") && existsSync(KEYRING)) return;
  if (!canInstall()) {
    throw new MissingError("The guest's root folder is not built, and mmdebstrap not installed", "install mmdebstrap");
  }
  await install(["mmdebstrap", "debian-archive-keyring"], say);
}

async function build(target: string, say: (line: string) => void): Promise<void> {
  say(`building the guest's root folder ${target} (Debian ${SUITE}; about a minute)`);
  const draft = `${target}.building`;
  rmSync(draft, { recursive: true, force: true });
  await run("mmdebstrap", [...mmdebstrapOptions(), SUITE, draft, sourceLine()]);
  mkdirSync(join(draft, "lab"), { recursive: true });
  copyFileSync(TRAMPOLINE, join(draft, "lab/init"));
  chmodSync(join(draft, "lab/init"), 0o755);
  rmSync(target, { recursive: true, force: true });
  renameSync(draft, target);
}

function mmdebstrapOptions(): string[] {
  const trees = OPTIONAL_TREES.map(
    (name) =>
      `--customize-hook=cd "$1/opt" && APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" ` +
      `apt-get -q download -o APT::Sandbox::User=root ${name} && dpkg-deb -x ${name}_*.deb ${name} && rm ${name}_*.deb`,
  );
  return [
    ...["--quiet", "--variant=essential", "--mode=root"],
    '--aptopt=Acquire::Check-Valid-Until "false"',
    '--aptopt=Acquire::Languages "none"',
    '--aptopt=APT::Install-Recommends "false"',
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-include=/usr/share/doc/*/copyright",
    `--include=${PACKAGES.join(",")}`,
    ...trees,
  ];
}
