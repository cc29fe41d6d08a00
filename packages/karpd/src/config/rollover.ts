import type { RolloverConfiguration } from "../core/configuration.ts";
import type { Report } from "./report.ts";
import type { RolloverWords } from "./schema.ts";
import type { Path } from "./tree.ts";
import { parseDuration, parsePercentage, parseWindow } from "./words.ts";

/** DESIGN: the defaults of a rollover, in seconds. */
const defaults = {
  everySeconds: 30 * 86_400,
  jitter: 0.1,
  hardPeriods: 3,
  drainSeconds: 60,
  keepOldSeconds: 86_400,
  settleSeconds: 30,
  quarantineSeconds: 240,
  orphanSeconds: 600,
  preferTimeoutSeconds: 30,
} as const;

/** The more special words come first; each stands at its path. */
export interface RolloverLayer {
  readonly words: RolloverWords | undefined;
  readonly path: Path;
}

/** Puts the layers and the defaults together and judges the result; the caller knows that each word reads. */
export function rolloverOf(layers: readonly RolloverLayer[], report: Report): RolloverConfiguration {
  const seconds = (word: DurationWord, otherwise: number): number =>
    wordValue(layers, word, parseDuration) ?? otherwise;
  const everySeconds = seconds("every", defaults.everySeconds);
  const window = wordValue(layers, "window", parseWindow);
  const rollover: RolloverConfiguration = {
    everySeconds,
    jitter: wordValue(layers, "jitter", parsePercentage) ?? defaults.jitter,
    ...(window === undefined ? {} : { window }),
    hardSeconds: seconds("hard", defaults.hardPeriods * everySeconds),
    drainSeconds: seconds("drain", defaults.drainSeconds),
    keepOldSeconds: seconds("keep-old", Math.min(defaults.keepOldSeconds, everySeconds / 4)),
    settleSeconds: seconds("settle", defaults.settleSeconds),
    quarantineSeconds: seconds("quarantine", defaults.quarantineSeconds),
    orphanSeconds: seconds("orphan", defaults.orphanSeconds),
    preferTimeoutSeconds: seconds("prefer-timeout", defaults.preferTimeoutSeconds),
  };
  judge(rollover, layers, report);
  return rollover;
}

type DurationWord = Exclude<keyof RolloverWords, "window" | "jitter">;

function judge(rollover: RolloverConfiguration, layers: readonly RolloverLayer[], report: Report): void {
  const { everySeconds, jitter, hardSeconds, keepOldSeconds, quarantineSeconds, window } = rollover;
  const latest = Math.round(everySeconds * (1 + jitter));
  if (hardSeconds <= latest) {
    const what = `\`hard\` ends ${hardSeconds} s after the key was made, the next key is due after up to ${latest} s`;
    report.add(
      "hardTooShort",
      pathOf(layers, "hard"),
      what,
      `write more than ${latest}s, or leave it out for ${3 * everySeconds}s`,
    );
  }
  if (keepOldSeconds > everySeconds / 4) {
    const most = Math.floor(everySeconds / 4);
    const what = `\`keep-old\` is more than a quarter of \`every\` (${everySeconds} s)`;
    report.add("keepOldTooLong", pathOf(layers, "keep-old"), what, `write at most ${most}s, or leave it out`);
  }
  if (quarantineSeconds < defaults.quarantineSeconds) {
    const what = `\`quarantine\` of ${quarantineSeconds} s is less than twice the maximum segment lifetime`;
    const advice = `leave it out for ${defaults.quarantineSeconds}s, except in tests: a late segment may meet a KeyID's next key`;
    report.add("shortQuarantine", pathOf(layers, "quarantine"), what, advice, { severity: "warning" });
  }
  if (window !== undefined && everySeconds < 86_400) {
    const what = "with a `window` keys roll at most once a day, `every` is shorter";
    report.add("windowWins", pathOf(layers, "window"), what, "leave out `window`, or write `every: 1d` or more", {
      severity: "warning",
    });
  }
}

function wordValue<T>(
  layers: readonly RolloverLayer[],
  word: keyof RolloverWords,
  parse: (text: string) => { readonly ok: true; readonly value: T } | { readonly ok: false },
): T | undefined {
  const text = layers.find(({ words }) => words?.[word] !== undefined)?.words?.[word];
  const result = text === undefined ? undefined : parse(text);
  return result?.ok === true ? result.value : undefined;
}

function pathOf(layers: readonly RolloverLayer[], word: keyof RolloverWords): Path {
  const layer =
    layers.find(({ words }) => words?.[word] !== undefined) ?? layers.find(({ words }) => words !== undefined);
  return layer === undefined ? ["rollover"] : [...layer.path, word];
}
