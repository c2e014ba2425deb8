/** The texts of a corpus as sequences of one length. */
import type { Engine } from '../../engine/host/engine.js';
import { grouped, SinkscopeError } from '../../errors.js';
import type { Corpus } from '../values.js';

/** How a corpus is cut. */
export interface CorpusCut {
  readonly model: string;
  /** Each is cut for itself, one after another, until there are enough sequences. */
  readonly texts: Corpus['texts'];
  readonly sequences: number;
  /** Tokens of a sequence, prefix included. */
  readonly length: number;
  /** Whether there is to be a prefix; undefined: as the model's files say. */
  readonly bos?: boolean;
}

export interface Pieces {
  readonly pieces: readonly (readonly number[])[];
  /** Tokens of each: fewer than were asked for where no text has as many, and the longest is the one piece. */
  readonly length: number;
  readonly prefix: number | undefined;
}

/**
 * Token ids of the sequences, prefix included, and the prefix.
 *
 * @throws SinkscopeError `input` where the corpus has no text, or a length that holds none; `tokenizer`; `cancelled`
 */
export async function piecesOf(engine: Engine, request: CorpusCut, signal: AbortSignal | undefined): Promise<Pieces> {
  const { model, length } = request;
  const pieces: number[][] = [];
  let prefix: number | undefined;
  let longest: ArrayLike<number> = [];
  for await (const { text } of request.texts) {
    // The prefix, whose length is not known yet, is part of the length: these fill what is wanted in any case.
    const most = length * (request.sequences - pieces.length);
    const { ids, ...rest } = await engine.encode(model, text, { bos: request.bos, most, signal });
    prefix = rest.prefix;
    const head = prefix === undefined ? [] : [prefix];
    const step = length - head.length;
    if (step < 1)
      throw new SinkscopeError({ code: 'input', message: `Sequences of ${grouped(length)} tokens hold no text.` });
    if (ids.length > longest.length) longest = ids;
    for (let start = 0; start + step <= ids.length && pieces.length < request.sequences; start += step)
      pieces.push([...head, ...ids.subarray(start, start + step)]);
    if (pieces.length >= request.sequences) break;
  }
  if (pieces.length > 0) return { pieces, length, prefix };
  if (longest.length === 0) {
    throw new SinkscopeError({ code: 'input', message: 'The corpus has no token; give texts that are not empty.' });
  }
  const piece = [...(prefix === undefined ? [] : [prefix]), ...Array.from(longest)];
  return { pieces: [piece], length: piece.length, prefix };
}
