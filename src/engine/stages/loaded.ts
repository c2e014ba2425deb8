/** A model file that has been read and recognised: all that runs and queries start from. */
import type { Anatomy, RoutingValues } from '../../anatomy/anatomy.js';
import { withRoutings } from '../../anatomy/experts/rebuilt.js';
import { type LinearInput, linearInputs } from '../../anatomy/linear.js';
import { type Norm, normsOf } from '../../anatomy/norms.js';
import { isPrepacked } from '../../anatomy/ops.js';
import { withPatterns } from '../../anatomy/patterns.js';
import { type Stream, streamsOf } from '../../anatomy/streams.js';
import { withTurns } from '../../anatomy/turned.js';
import { type ModelConfig, modelConfig } from '../../models/config.js';
import { versionOf } from '../../models/version.js';
import type { Model } from '../../onnx/model.js';
import { prepare } from '../../onnx/prepare.js';
import { readModel } from '../../onnx/read.js';
import { dataFiles } from '../../onnx/weights.js';
import { loadTokenizer, type Tokenizer } from '../../tokens/tokenizer.js';
import type { ModelSummary } from '../contract/events.js';
import { summaryOf } from './summary.js';

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
  /** By block (1-based): its keys and values, where they could be found or rebuilt. */
  readonly operands: ReadonlyMap<number, { readonly keys: string | undefined; readonly values: string | undefined }>;
  /** By block (1-based): the values that tell which experts its tokens are sent to. */
  readonly routings: ReadonlyMap<number, RoutingValues>;
  /** True where the output head gives scores over a vocabulary for every token. */
  readonly predicts: boolean;
  /** Names of its classes, where its configuration has them, and whether several may hold at once. */
  readonly classes: { readonly labels: readonly string[] | undefined; readonly several: boolean };
  /** True where weights are multiplied by operators whose arithmetic depends on how ONNX Runtime packs them. */
  readonly quantised: boolean;
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
  /** What products with a weight read; found when first asked for. */
  linear(): readonly LinearInput[];
  norms(): readonly Norm[];
}

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
    classes: { labels: config.labels, several: config.problemType === 'multi_label_classification' },
    nodes: read.graph.nodes.length,
    version:
      own === versionOf(file, [])
        ? versionOf(file, [...weights, ...(chosen === undefined ? [] : [chosen])])
        : 'changed while it was read',
    weights,
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
  extends Pick<LoadedModel, 'file' | 'streams' | 'classes' | 'nodes' | 'version' | 'weights' | 'chosen' | 'tokenizer'> {
  readonly config: ModelConfig;
}

function loadedOn(stream: Stream, { config, ...shared }: Shared): LoadedModel {
  const turned = withTurns(stream.model, stream.anatomy);
  const patterned = withPatterns(turned.model, turned.anatomy);
  const { anatomy, patterns, crosses } = patterned;
  const { model, routings } = withRoutings(patterned.model, anatomy);
  const tensors = (found: typeof patterns) => new Map([...found].map(([block, { tensor }]) => [block, tensor]));
  let linear: readonly LinearInput[] | undefined;
  let norms: readonly Norm[] | undefined;
  return {
    ...shared,
    stream: stream.name,
    on: (other) => loadedOn(other, { config, ...shared }),
    model,
    anatomy,
    summary: summaryOf(stream, shared, patterned, config),
    patterns: tensors(patterns),
    crosses: tensors(crosses),
    operands: patterns,
    routings,
    predicts: predictsTokens(model, anatomy, config.labels),
    quantised: model.graph.nodes.some(isPrepacked),
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
}

/** @param labels of classes, which may be nearly as many as a small vocabulary has tokens */
function predictsTokens({ graph }: Model, anatomy: Anatomy, labels: readonly string[] | undefined): boolean {
  const { unembedding, inputs, outputs, vocabulary } = anatomy;
  if (unembedding === undefined || !inputs.some(({ role }) => role === 'token-ids')) return false;
  const columns = outputs[0]?.columns;
  if (columns !== undefined && columns !== vocabulary && columns === labels?.length) return false;
  const logits = graph.outputs.find(({ name }) => name === unembedding.logits);
  return (logits?.shape?.length ?? 3) === 3;
}
