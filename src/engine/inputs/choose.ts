/** Which residual stream of a file is run: the one that was named, or that what is given fits. */
import type { Anatomy } from '../../anatomy/anatomy.js';
import { pixelInput } from '../../anatomy/pictures.js';
import { SinkscopeError } from '../../errors.js';
import { quoted } from '../../visible.js';
import { askedRoles } from './feeds.js';

/** What a run is given: a text or token ids, a picture, tensors by the names of inputs, or a text with some beside it. */
export type GivenInputs = 'text' | 'image' | readonly string[] | { readonly beside: readonly string[] };

/** A stream as far as it matters here. */
interface Candidate {
  readonly name: string;
  readonly anatomy: Pick<Anatomy, 'inputs'>;
}

export interface StreamChoice<S> {
  readonly stream: S;
  /** Said with the result, where another stream would have fitted as well. */
  readonly remark: string | undefined;
}

/**
 * The stream that was named, else the first that can be run on what is given; of those that can, none that is given less
 * than another is.
 *
 * @param given undefined: nothing is run
 * @param file path of the model
 * @throws SinkscopeError `input` where there is no such stream, or what is given is not what one of several takes
 */
export function chooseStream<S extends Candidate>(
  streams: readonly [S, ...S[]],
  wanted: string | undefined,
  given: GivenInputs | undefined,
  file: string,
): StreamChoice<S> {
  const [first, ...more] = streams;
  const named = streams.find(({ name }) => name === wanted);
  if (wanted !== undefined && !named) {
    const names = streams.map(({ name }) => name).join(', ');
    throw refused(file, `${file} has no stream ${quoted(wanted)}; choose one of those it has: ${names}.`);
  }
  if (more.length === 0 || given === undefined) return { stream: named ?? first, remark: undefined };

  const fitting = streams.filter((stream) => fits(stream, given));
  if (named) {
    if (fitting.includes(named)) return { stream: named, remark: undefined };
    const instead = fitting.map(({ name }) => `, or choose the stream ${name}`).join('');
    const what = `What was given does not fit the stream ${named.name} of ${file}`;
    throw refused(file, `${what}, which needs ${neededInWords(named)}: give that${instead}.`);
  }
  const stream = fitting.find((one) => !fitting.some((other) => isGivenLess(one, other, given)));
  if (!stream) {
    const needed = streams.map((one) => `${one.name} needs ${neededInWords(one)}`).join('; ');
    throw refused(file, `What was given fits none of the streams of ${file}, so give what one needs: ${needed}.`);
  }
  const others = fitting.filter((one) => one !== stream).map(({ name }) => name);
  if (others.length === 0) return { stream, remark: undefined };
  const remark = `stream: ${stream.name} is shown; what was given fits ${others.join(' and ')} too, which can be chosen (--stream)`;
  return { stream, remark };
}

/** The first stream that what is given is enough for. */
export const streamFor = <S extends Candidate>(streams: readonly S[], given: GivenInputs): S | undefined =>
  streams.find((stream) => fits(stream, given));

/** Inputs that only what a run is about can fill. */
const needs = ({ anatomy }: Candidate) =>
  anatomy.inputs.filter(({ role }) => role === 'token-ids' || askedRoles.has(role));

/** Those of them that are given. */
function filledBy(stream: Candidate, given: GivenInputs): ReadonlySet<string> {
  const pixels = pixelInput(stream.anatomy.inputs)?.name;
  const filled = needs(stream).filter(({ name, role }) => {
    if (given === 'text') return role === 'token-ids';
    if (given === 'image') return name === pixels || (pixels !== undefined && role === 'order');
    if ('beside' in given) return role === 'token-ids' || given.beside.includes(name);
    return given.includes(name);
  });
  return new Set(filled.map(({ name }) => name));
}

function fits(stream: Candidate, given: GivenInputs): boolean {
  const filled = filledBy(stream, given);
  return filled.size > 0 && needs(stream).every(({ name }) => filled.has(name));
}

function isGivenLess(one: Candidate, other: Candidate, given: GivenInputs): boolean {
  const [less, more] = [filledBy(one, given), filledBy(other, given)];
  return less.size < more.size && [...less].every((name) => more.has(name));
}

function neededInWords(stream: Candidate): string {
  const needed = needs(stream);
  const names = needed.map(({ name }) => quoted(name)).join(' and ');
  if (needed.every(({ role }) => role === 'token-ids')) return `a text or token ids (${names})`;
  const pixels = pixelInput(stream.anatomy.inputs)?.name;
  if (needed.every(({ name, role }) => name === pixels || role === 'order')) return `a picture (${names})`;
  return `tensors for ${names} (--feeds)`;
}

const refused = (file: string, message: string) => new SinkscopeError({ code: 'input', file, message });
