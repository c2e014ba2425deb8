/** The first delimiter of a sequence, the other place of massive activations beside the first token (arXiv:2402.17762). */
import type { Engine } from '../../engine/host/engine.js';

const delimiters: ReadonlySet<string> = new Set(['.', ',', ';', ':', '!', '?']);

/**
 * Its index.
 *
 * @param texts of the tokens; one counts as a delimiter where it is one of . , ; : ! ? but for spaces
 * @returns undefined where none follows the first token
 */
export function firstDelimiter(texts: readonly string[]): number | undefined {
  const index = texts.findIndex((text, i) => i > 0 && delimiters.has(text.trim()));
  return index < 0 ? undefined : index;
}

/** By sequence, where its first delimiter is; undefined where it has none. */
export async function firstDelimiters(
  engine: Engine,
  model: string,
  sequences: readonly (readonly number[])[],
  signal?: AbortSignal,
): Promise<(number | undefined)[]> {
  const ids = [...new Set(sequences.flat())];
  const texts = await engine.decode(model, ids, signal);
  const textOf = new Map(ids.map((id, i) => [id, texts[i]]));
  return sequences.map((sequence) => firstDelimiter(sequence.map((id) => textOf.get(id) ?? '')));
}
