/** What `karp init` knows; the rest are examples to be replaced. */
export interface InitialValues {
  readonly router?: string;
  readonly session?: string;
  readonly driver?: string;
  readonly local?: string;
  readonly remote?: string;
  readonly peer?: string;
  /** The file that BIRD includes, when it is not the driver's default. */
  readonly include?: string;
}

/** A first configuration: one session in mode observe, with what to do next in comments. It passes `karp check` once its files are there. */
export function initialConfiguration(values: InitialValues): string {
  const { router = "r1.example.net", session = "r2", driver = "bird" } = values;
  const { local = "10.0.0.1", remote = "10.0.0.2", peer = "r2.example.net" } = values;
  return `# karp: keys for routing protocols. Check this file with: karp check
# All words: docs/guide/configuration.md

# Who we are, as in our certificate (subjectAltName).
router: ${router}

credentials:
  certificate: /etc/karp/${fileName(router)}.pem
  private-key: /etc/karp/${fileName(router)}.key   # mode 0600; or systemd:NAME
  trust: /etc/karp/ca.pem                # who may vouch for peers
  # Without certificates: only private-key here, and under each session
  # fingerprint: sha256:...  or  psk-file: /etc/karp/PEER.psk

sessions:
  ${session}:
    protocol: bgp                        # bgp, ldp, msdp, pcep, rpki-rtr
    driver: ${driver}${values.include === undefined ? "" : `\n    bird: { include: ${JSON.stringify(values.include)} }`}
    local: ${local}
    remote: ${remote}
    peer: ${peer}                 # the only identity that may key this session
    # observe:       negotiate, roll and store keys, say what would be done, touch nothing
    # opportunistic: put the first key in when both ends can
    # required:      no session without a key
    mode: observe

rollover:
  every: 30d
  # window: "02:00-04:00 UTC"            # begin rollovers only then
`;
}

/** The first label of a name; what could not be part of a file name becomes a dash. */
function fileName(router: string): string {
  const name = router.includes(":") || /^[\d.]+$/.test(router) ? router : (router.split(/[.@]/)[0] ?? router);
  return name.replace(/[^A-Za-z0-9._-]/g, "-");
}
