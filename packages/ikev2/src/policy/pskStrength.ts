/** RFC 7296 section 2.15: a shared key MUST hold as much unpredictability as the strongest key negotiated. */

/** Below this a pre-shared key is weak. */
export const minimumPskBits = 128;

export interface PskStrength {
  /** An upper bound, rounded down: words and other things that people know make a key weaker than its text shows. */
  readonly bits: number;
  readonly isWeak: boolean;
}

/**
 * How strong a pre-shared key can be at best. Length times the bits of the smallest usual alphabet that holds all its
 * octets, reduced where octets, or the steps from one to the next, repeat more than in random data. 16 random octets, 32
 * random hexadecimal digits and 22 random base64 characters pass; `changeme`, runs such as `abcdef…` and repetitions do
 * not (four raw keys in a million look like text and are called weak). It is no dictionary check: generate keys.
 */
export function estimatePskStrength(secret: Uint8Array): PskStrength {
  const alphabet = alphabetSize(secret);
  const steps = secret.subarray(1).map((octet, index) => octet - (secret[index] ?? 0));
  const variety = Math.min(varietyOf(secret, alphabet), varietyOf(steps, alphabet));
  const period = repetitionPeriod(secret);
  const bits = Math.floor(Math.min(secret.length, period) * Math.log2(alphabet) * variety);
  return { bits, isWeak: bits < minimumPskBits };
}

const alphabets: readonly { readonly pattern: RegExp; readonly size: number }[] = [
  { pattern: /^[0-9]*$/, size: 10 },
  { pattern: /^([0-9a-f]*|[0-9A-F]*)$/, size: 16 },
  { pattern: /^([a-z]*|[A-Z]*)$/, size: 26 },
  { pattern: /^[A-Z2-7=]*$/, size: 32 },
  { pattern: /^[A-Za-z0-9+/=_-]*$/, size: 64 },
  { pattern: /^[\t-~]*$/, size: 95 },
];

function alphabetSize(secret: Uint8Array): number {
  const text = String.fromCharCode(...secret.subarray(0, 4096));
  return alphabets.find(({ pattern }) => pattern.test(text))?.size ?? 256;
}

/** 1 for at least 60 % of the distinct values that random data of this length would show, else less in proportion. */
function varietyOf(values: Uint8Array, alphabet: number): number {
  if (values.length === 0) return 0;
  const expected = alphabet * (1 - (1 - 1 / alphabet) ** values.length);
  return Math.min(1, new Set(values).size / (0.6 * expected));
}

/** Octets of what is written at least twice to make the whole key; the key's length when nothing is. */
function repetitionPeriod(secret: Uint8Array): number {
  for (let period = 1; 2 * period <= secret.length; period++) {
    if (secret.subarray(period).every((octet, index) => octet === secret[index])) return period;
  }
  return secret.length;
}
