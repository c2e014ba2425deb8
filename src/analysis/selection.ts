/** What the user looks at, shared by every view and the editor. Undefined parts are not chosen. */
export interface Selection {
  /** Index among the tokens that were run. */
  readonly token?: number;
  /** k of `h_k`, 0 … L. */
  readonly layer?: number;
  readonly dim?: number;
  /** 0-based head of the block that leaves `layer`. */
  readonly head?: number;
}
