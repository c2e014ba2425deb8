/** What a head that is no vocabulary's gives, made ready to be shown: classes, scores, places, embeddings. */
import type { Anatomy, Output } from '../../anatomy/anatomy.js';
import type { Token } from '../../tokens/token.js';
import type { HeadOutput, OutputEntry } from '../contract/events.js';
import type { LoadedModel } from '../stages/loaded.js';
import { floats, size, type Value, type Values } from '../tensors/value.js';

/** Entries of a row that are kept: of the whole input, and of each token. */
const most = { whole: 10, token: 3 };

/**
 * The outputs of a head by what they are.
 *
 * @param results by the graph's names
 * @param tokens those that were run, without padding
 */
export function headOutputs(loaded: HeadFacts, results: Values, tokens: readonly Token[]): HeadOutput[] {
  return loaded.anatomy.outputs.flatMap((output) => {
    const value = results.get(output.name);
    return value === undefined || output.made === 'states' ? [] : [described(loaded, output, value, tokens)];
  });
}

/** What of a model tells what its outputs are. */
export interface HeadFacts extends Pick<LoadedModel, 'classes'> {
  readonly anatomy: Pick<Anatomy, 'outputs' | 'hidden'>;
}

type Told = Pick<HeadOutput, 'kind' | 'how'>;

function described(loaded: HeadFacts, output: Output, value: Value, tokens: readonly Token[]): HeadOutput {
  const { anatomy, classes } = loaded;
  const rows = rowsFor(output, value, tokens.length);
  const base = { name: output.name, shape: value.dims };
  if (!rows) return { ...base, kind: 'values', how: 'its axes are not told from those of tokens', rows: [] };
  const { columns, perToken } = rows;
  const data = floats(value);
  if (perToken && columns === 1) {
    const scores = data.subarray(0, tokens.length);
    // Several scores of each token, taken apart: where something begins and ends.
    const isChoice = output.columns !== undefined && output.columns > 1;
    const entries = entriesOf(scores, (token) => tokens[token]?.text ?? `${token}`, isChoice ? 'softmax' : undefined);
    const how = isChoice ? 'one of the head’s columns, a score for each token' : 'a score for each token';
    return {
      ...base,
      kind: 'places',
      how,
      rows: [{ token: undefined, norm: norm(scores), top: entries.slice(0, most.whole) }],
    };
  }
  const told = kindOf(output, columns, perToken, anatomy.hidden, classes.labels);
  const scale = output.made === 'probabilities' ? 'given' : classes.several ? 'sigmoid' : 'softmax';
  const name = (index: number) =>
    (classes.labels?.length === columns ? classes.labels[index] : undefined) ??
    (columns === 1 ? 'score' : `${told.kind === 'classes' ? 'class' : 'column'} ${index}`);
  const count = perToken ? tokens.length : 1;
  return {
    ...base,
    ...told,
    rows: Array.from({ length: count }, (_, row) => {
      const part = data.subarray(row * columns, (row + 1) * columns);
      const top = told.kind === 'embedding' ? [] : entriesOf(part, name, told.kind === 'classes' ? scale : undefined);
      return {
        token: perToken ? row : undefined,
        norm: norm(part),
        top: top.slice(0, perToken ? most.token : most.whole),
      };
    }),
  };
}

/** Whether the rows of an output are tokens, and its columns; undefined where its axes do not tell. */
function rowsFor(
  { columns }: Output,
  { dims }: Value,
  tokens: number,
): { readonly columns: number; readonly perToken: boolean } | undefined {
  const last = dims.at(-1) ?? 1;
  // The first example of a batch.
  if (dims.length < 2 || (dims.length === 2 && dims[0] === 1)) {
    const isPlaces = last >= tokens && tokens > 1 && columns !== last && (columns !== undefined || last === tokens);
    return isPlaces ? { columns: 1, perToken: true } : { columns: last, perToken: false };
  }
  const rows = size(dims.slice(0, -1));
  if (dims.length > 3) return undefined;
  if (rows === 1) return { columns: last, perToken: false };
  return rows >= tokens && dims.at(-2) === rows ? { columns: last, perToken: true } : undefined;
}

function kindOf(
  { name, made }: Output,
  columns: number,
  perToken: boolean,
  hidden: number | undefined,
  labels: readonly string[] | undefined,
): Told {
  if (columns === 1) return { kind: 'score', how: 'one column' };
  if (labels?.length === columns) return { kind: 'classes', how: 'as many columns as its config.json names classes' };
  if (made === 'probabilities') return { kind: 'classes', how: 'the graph makes probabilities of them' };
  if (made === 'unit') return { kind: 'embedding', how: 'the graph makes it one long' };
  if (!perToken && columns === hidden) return { kind: 'embedding', how: 'as wide as the residual stream' };
  if (/logit|score|prob|class|label/i.test(name)) return { kind: 'classes', how: 'by its name' };
  if (/embed|pool|feature|state|vector|repr/i.test(name)) return { kind: 'embedding', how: 'by its name' };
  return { kind: 'values', how: 'nothing tells what its columns are' };
}

const norm = (row: Float32Array) => Math.sqrt(row.reduce((sum, x) => sum + x * x, 0));

/** The columns of a row, largest first; probabilities in double precision. */
function entriesOf(
  row: Float32Array,
  name: (index: number) => string,
  scale: 'softmax' | 'sigmoid' | 'given' | undefined,
): OutputEntry[] {
  const max = row.reduce((largest, x) => Math.max(largest, x), Number.NEGATIVE_INFINITY);
  const sum = row.reduce((total, x) => total + Math.exp(x - max), 0);
  const probability = (x: number) =>
    scale === 'given' ? x : scale === 'sigmoid' ? 1 / (1 + Math.exp(-x)) : scale && Math.exp(x - max) / sum;
  return [...row.entries()]
    .sort(([, a], [, b]) => b - a)
    .map(([index, value]) => ({ index, label: name(index), value, probability: probability(value) }));
}
