/** What the user looks at, shared by every view and the editor. Undefined parts are not chosen. */
export interface Selection {
  /** Index among the tokens that were run. */
  readonly token?: number;
  /** k of `h_k`, 0 … L. */
  readonly layer?: number;
  readonly dim?: number;
  /** 0-based head of the block that leaves `layer`. */
  readonly head?: number;
  /** Id of a token that may come after `token`. */
  readonly next?: number;
}

/** A selection with a part of it changed: what may come next is chosen for one token. */
export function reselected(before: Selection, part: Selection): Selection {
  const { next, ...rest } = before;
  const stays = part.token === undefined || part.token === before.token;
  return { ...rest, ...(stays && next !== undefined && { next }), ...part };
}
