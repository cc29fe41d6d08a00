// Generated from registry/tcp-options.tsv. Do not edit.
/** Transform Type TCP_OPT: whether TCP-AO covers the other TCP options (draft-mahesh-karp-rkmp). */
export const TcpOptions = {
  /** karp (private use) */
  NOT_PROTECTED: 0,
  /** karp (private use) */
  PROTECTED: 1,
} as const;
export type TcpOptions = (typeof TcpOptions)[keyof typeof TcpOptions];
