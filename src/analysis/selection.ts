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

export function isSameSelection(one: Selection, other: Selection): boolean {
  const parts = ['token', 'layer', 'dim', 'head', 'next'] as const;
  return parts.every((part) => one[part] === other[part]);
}

/** A selection with a part of it changed: what may come next is chosen for one token. */
export function reselected(before: Selection, part: Selection): Selection {
  const { next, ...rest } = before;
  const stays = part.token === undefined || part.token === before.token;
  return { ...rest, ...(stays && next !== undefined && { next }), ...part };
}

/**
 * The selection in a run of nearly the same text: its token where that stands now, counted from whichever end the two
 * have in common; no token where it was edited away.
 *
 * @param before tokens of the run that it was made in
 * @param now those of the other
 */
export function carried(
  { token, ...rest }: Selection,
  before: readonly { readonly id: number }[],
  now: readonly { readonly id: number }[],
): Selection {
  if (token === undefined) return rest;
  const same = (i: number, j: number) => before[i] !== undefined && before[i]?.id === now[j]?.id;
  let first = 0;
  while (same(first, first)) first++;
  if (token < first) return { ...rest, token };
  let last = 0;
  while (last < Math.min(before.length, now.length) - first && same(before.length - 1 - last, now.length - 1 - last))
    last++;
  return token >= before.length - last ? { ...rest, token: token + now.length - before.length } : rest;
}
