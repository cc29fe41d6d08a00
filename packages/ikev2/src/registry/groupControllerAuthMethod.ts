// Generated from registry/group-controller-auth-methods.tsv. Do not edit.
/** IKEv2 Transform Type 14: Group Controller Authentication Method. Private use: 1024-65535. */
export const GroupControllerAuthMethod = {
  /** RFC 9838 */
  IMPLICIT: 1,
  /** RFC 9838 */
  DIGITAL_SIGNATURE: 2,
} as const;
export type GroupControllerAuthMethod = (typeof GroupControllerAuthMethod)[keyof typeof GroupControllerAuthMethod];
