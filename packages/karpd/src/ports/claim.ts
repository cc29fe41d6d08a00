/** Something that only one session may have, such as a file that is replaced as a whole. */
export interface Claim {
  /** The word of the driver's block that names it. */
  readonly word: string;
  /** Equal for two sessions that would share it. */
  readonly value: string;
  /** For people: "the include file /…". */
  readonly what: string;
}
