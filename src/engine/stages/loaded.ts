/** A model file that has been read and recognised: all that runs and queries start from. */
import type { Anatomy, RoutingValues } from '../../anatomy/anatomy.js';
import { type CachePair, cachesOf } from '../../anatomy/caches.js';
import { withRoutings } from '../../anatomy/experts/rebuilt.js';
import { type LinearInput, linearInputs } from '../../anatomy/linear.js';
import { type Norm, normsOf } from '../../anatomy/norms.js';
import { isPrepacked } from '../../anatomy/ops.js';
import { type PatternNames, withPatterns } from '../../anatomy/patterns.js';
import { type Stream, streamsOf } from '../../anatomy/streams.js';
import { withTurns } from '../../anatomy/turned.js';
import { type ModelConfig, modelConfig } from '../../models/config.js';
import { versionOf } from '../../models/version.js';
import { DataType, type Model } from '../../onnx/model.js';
import { prepare } from '../../onnx/prepare.js';
import { readModel } from '../../onnx/read.js';
import { dataFiles } from '../../onnx/weights.js';
import { loadTokenizer, type Tokenizer } from '../../tokens/tokenizer.js';
import type { ModelSummary } from '../contract/events.js';
import { summaryOf } from './summary.js';

/** Names of what a block's attention multiplies. */
export type Multiplied = Pick<PatternNames, 'queries' | 'keys' | 'values'>;

export interface LoadedModel {
  readonly file: string;
  /** The residual stream that this is about. */
  readonly stream: string;
  /** All that the file has, the one that is shown where nothing else is asked for first. */
  readonly streams: readonly [Stream, ...Stream[]];
  /** The same file as another of them has it. */
  on(stream: Stream): LoadedModel;
  /** Prepared, cut down to the stream, with the nodes that rebuild hidden attention patterns added. */
  readonly model: Model;
  readonly anatomy: Anatomy;
  readonly summary: ModelSummary;
  /** By block (1-based): the value that is its attention pattern. */
  readonly patterns: ReadonlyMap<number, string>;
  /** By block (1-based): the pattern of its attention to other states than the stream's. */
  readonly crosses: ReadonlyMap<number, string>;
  /** By block (1-based): its queries, keys and values, where they could be found or rebuilt. */
  readonly operands: ReadonlyMap<number, Multiplied>;
  /** By block (1-based): the values that tell which experts its tokens are sent to. */
  readonly routings: ReadonlyMap<number, RoutingValues>;
  /** True where the output head gives scores over a vocabulary for every token. */
  readonly predicts: boolean;
  /** Tokens that end a text that it writes, as its configuration names them. */
  readonly endTokens: readonly number[];
  /** Names of its classes, where its configuration has them, and whether several may hold at once. */
  readonly classes: { readonly labels: readonly string[] | undefined; readonly several: boolean };
  /** True where weights are multiplied by operators whose arithmetic depends on how ONNX Runtime packs them. */
  readonly quantised: boolean;
  /** Values that are weights as a scheme rounds them, made in the graph of weights alone; none of a file. */
  readonly rounded: ReadonlySet<string>;
  /** Nodes of the file's graph, as it was read. */
  readonly nodes: number;
  /** Of all files that were read: see {@link versionOf}. */
  readonly version: string;
  /** Files with weights that are read while it runs, the model's own among them. */
  readonly weights: readonly string[];
  /** The `tokenizer.json` that was chosen for it, in the place of what lies beside it. */
  readonly chosen: string | undefined;
  /** Read when first asked for; undefined where there is none. */
  tokenizer(): Tokenizer | undefined;
  /** How it goes on from tokens that it has run, or why it cannot; found when first asked for. */
  caching(): Caching;
  /** What products with a weight read; found when first asked for. */
  linear(): readonly LinearInput[];
  norms(): readonly Norm[];
}

/** A model that is run on, and its caches. Merged decoders have a branch of their own for it. */
export type Caching = { readonly loaded: LoadedModel; readonly pairs: readonly CachePair[] } | { readonly why: string };

/**
 * Reads a model's structure, no weights.
 *
 * @param chosen a `tokenizer.json` in the place of what lies beside it
 * @throws SinkscopeError for a file that cannot be read, or that is no transformer
 */
export function loadModel(file: string, chosen?: string): LoadedModel {
  // Before they are read: a file that changes meanwhile is another one than was read.
  const own = versionOf(file, []);
  const read = readModel(file);
  const weights = dataFiles(read);
  const streams = streamsOf(prepare(read));
  const config = modelConfig(file);
  let tokenizer: { readonly found: Tokenizer | undefined } | undefined;
  const shared: Shared = {
    file,
    streams,
    config,
    endTokens: config.endTokenIds ?? [],
    classes: { labels: config.labels, several: config.problemType === 'multi_label_classification' },
    nodes: read.graph.nodes.length,
    version:
      own === versionOf(file, [])
        ? versionOf(file, [...weights, ...(chosen === undefined ? [] : [chosen])])
        : 'changed while it was read',
    weights,
    switched: (name) => {
      const isSwitched = read.graph.inputs.some(({ type }) => type === DataType.bool);
      return isSwitched ? streamsOf(prepare(read, true)).find((stream) => stream.name === name) : undefined;
    },
    chosen,
    tokenizer: () => {
      tokenizer ??= { found: loadTokenizer(chosen ?? file) };
      return tokenizer.found;
    },
  };
  return loadedOn(streams[0], shared);
}

/** What all streams of a file have in common. */
interface Shared
  extends Pick<
    LoadedModel,
    'file' | 'streams' | 'endTokens' | 'classes' | 'nodes' | 'version' | 'weights' | 'chosen' | 'tokenizer'
  > {
  readonly config: ModelConfig;
  /** The stream of that name with boolean inputs taken as true, where there are any. */
  readonly switched: (name: string) => Stream | undefined;
}

function loadedOn(stream: Stream, { config, switched, ...shared }: Shared): LoadedModel {
  const turned = withTurns(stream.model, stream.anatomy);
  const patterned = withPatterns(turned.model, turned.anatomy);
  const { anatomy, patterns, crosses } = patterned;
  const { model, routings } = withRoutings(patterned.model, anatomy);
  const tensors = (found: typeof patterns) => new Map([...found].map(([block, { tensor }]) => [block, tensor]));
  let linear: readonly LinearInput[] | undefined;
  let norms: readonly Norm[] | undefined;
  let caching: Caching | undefined;
  const own: LoadedModel = {
    ...shared,
    stream: stream.name,
    on: (other) => loadedOn(other, { config, switched, ...shared }),
    model,
    anatomy,
    summary: summaryOf(stream, shared, patterned, config),
    patterns: tensors(patterns),
    crosses: tensors(crosses),
    operands: patterns,
    routings,
    predicts: predictsTokens(model, anatomy, config.labels),
    quantised: model.graph.nodes.some(isPrepacked),
    rounded: new Set(),
    caching: () => {
      caching ??= cachingOf(own, () => {
        const other = switched(stream.name);
        return other && loadedOn(other, { config, switched: () => undefined, ...shared });
      });
      return caching;
    },
    linear: () => {
      // Without the products that rebuild patterns.
      linear ??= linearInputs(stream.model, anatomy);
      return linear;
    },
    norms: () => {
      norms ??= normsOf(stream.model, anatomy);
      return norms;
    },
  };
  return own;
}

function cachingOf(loaded: LoadedModel, switched: () => LoadedModel | undefined): Caching {
  const own = cachesOf(loaded.model, loaded.anatomy);
  if ('pairs' in own) return { loaded, ...own };
  const other = loaded.anatomy.inputs.some(({ role }) => role === 'past') ? undefined : switched();
  const found = other && cachesOf(other.model, other.anatomy);
  if (!other || !found) return own;
  return 'pairs' in found ? { loaded: other, ...found } : found;
}

/** @param labels of classes, which may be nearly as many as a small vocabulary has tokens */
function predictsTokens({ graph }: Model, anatomy: Anatomy, labels: readonly string[] | undefined): boolean {
  const { unembedding, inputs, outputs, vocabulary } = anatomy;
  if (unembedding === undefined || !inputs.some(({ role }) => role === 'token-ids')) return false;
  const columns = outputs[0]?.columns;
  if (columns !== undefined && columns !== vocabulary && columns === labels?.length) return false;
  const logits = graph.outputs.find(({ name }) => name === unembedding.logits);
  const ids = inputs.find(({ role }) => role === 'token-ids')?.shape?.length ?? 2;
  // An axis more than the ids have; others are of layouts like [batch, 1, T, vocabulary].
  const axes = logits?.shape?.filter((extent, axis) => axis === 0 || extent !== 1);
  return logits?.shape === undefined || logits.shape.length === ids + 1 || axes?.length === ids + 1;
}
