/** What a model has to have for what is asked of it, and has not. */
import { SinkscopeError } from '../../errors.js';
import type { LoadedModel } from './loaded.js';

/** @param so what follows from it, as in `there is no perplexity` */
export function withoutHead(file: string, so: string): SinkscopeError {
  const message = `${file} predicts no tokens: it has no output head over a vocabulary, so ${so}.`;
  return new SinkscopeError({ code: 'input', file, message });
}

/** A stream among all of its file. */
export type Among = Pick<LoadedModel, 'file' | 'stream'> & { readonly streams: readonly { readonly name: string }[] };

/** Whether it is the encoder of a file that has its decoder too, which predicts. */
export const isEncoderOfBoth = ({ stream, streams }: Among): boolean =>
  stream === 'encoder' && streams.some(({ name }) => name === 'decoder');

/**
 * What is said of a model whose tokens see those after them.
 *
 * @param so what follows from it, as for {@link withoutHead}
 */
export function seesAhead(model: Among, so: string): SinkscopeError {
  const { file } = model;
  const message = isEncoderOfBoth(model)
    ? `A text is run by the encoder of ${file}, which lets every token see those after it, so ${so}; the decoder takes more than a text, which only an analysis can give it (--stream decoder --feeds).`
    : `${file} lets every token see those after it, so ${so}; give a model that generates text.`;
  return new SinkscopeError({ code: 'input', file, message });
}
