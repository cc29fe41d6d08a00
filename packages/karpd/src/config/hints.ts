/** Words that people write for good reasons, and what to do instead. */
export interface Hint {
  readonly code: string;
  readonly what: string;
  readonly advice: string;
}

export function hintFor(word: string): Hint | undefined {
  return hints.get(word.toLowerCase().replaceAll("_", "-"));
}

const inlineSecret = (word: string): [string, Hint] => [
  word,
  {
    code: "inlineSecret",
    what: `\`${word}\`: secrets do not stand in the configuration`,
    advice: "put the secret into a file (mode 0600) and name it: psk-file: /etc/karp/PEER.psk",
  },
];

const renamed = (word: string, instead: string): [string, Hint] => [
  word,
  { code: "unknownWord", what: `\`${word}\` is not a word of karp`, advice: `write \`${instead}\`` },
];

const hints: ReadonlyMap<string, Hint> = new Map([
  [
    "groups",
    {
      code: "notInThisVersion",
      what: "`groups` (keys for OSPF and PIM on a shared link) is not in this version",
      advice: "remove `groups:`; sessions between two routers go under `sessions:`",
    },
  ],
  inlineSecret("psk"),
  inlineSecret("secret"),
  inlineSecret("password"),
  inlineSecret("passphrase"),
  inlineSecret("key"),
  renamed("neighbor", "remote"),
  renamed("neighbour", "remote"),
  renamed("local-address", "local"),
  renamed("remote-address", "remote"),
  renamed("identity", "peer"),
  renamed("peers", "sessions"),
  renamed("neighbors", "sessions"),
  renamed("lifetime", "rollover: { every: 30d }"),
]);
