/** Something that this machine lacks: the scenarios that need it are skipped, loudly, with the way to get it. */
export class MissingError extends Error {
  readonly what: string;
  readonly howToGet: string;

  constructor(what: string, howToGet: string) {
    super(`${what}. To get it: ${howToGet}`);
    this.name = "MissingError";
    this.what = what;
    this.howToGet = howToGet;
  }
}

/** The caller asked for something that cannot be: a wrong word, a wrong environment variable. */
export class UsageError extends Error {
  constructor(problem: string) {
    super(problem);
    this.name = "UsageError";
  }
}
