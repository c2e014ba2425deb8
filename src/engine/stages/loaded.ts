/** A model file that has been read and recognised: all that runs and queries start from. */
import { statSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { Anatomy } from '../../anatomy/anatomy.js';
import { patternNodes } from '../../anatomy/pattern.js';
import { recognise } from '../../anatomy/recognise.js';
import { SinkscopeError } from '../../errors.js';
import { modelConfig } from '../../models/config.js';
import { isVariantFolder } from '../../models/folder.js';
import type { Model, Node } from '../../onnx/model.js';
import { prepare } from '../../onnx/prepare.js';
import { readModel } from '../../onnx/read.js';
import { weightBytes } from '../../onnx/weights.js';
import { loadTokenizer, type Tokenizer } from '../../tokens/tokenizer.js';
import type { ModelSummary } from '../contract/events.js';

export interface LoadedModel {
  readonly file: string;
  /** Prepared, with the nodes that rebuild hidden attention patterns added. */
  readonly model: Model;
  readonly anatomy: Anatomy;
  readonly summary: ModelSummary;
  /** By block (1-based): the value that is its attention pattern. */
  readonly patterns: ReadonlyMap<number, string>;
  /** By block (1-based): its keys and values, where they could be found or rebuilt. */
  readonly operands: ReadonlyMap<number, { readonly keys: string | undefined; readonly values: string | undefined }>;
  /** True where the output head gives scores over a vocabulary for every token. */
  readonly predicts: boolean;
  /** True where weights are multiplied by operators whose arithmetic depends on how ONNX Runtime packs them. */
  readonly quantised: boolean;
  /** Nodes of the file's graph, as it was read. */
  readonly nodes: number;
  /** Changes when the file does. */
  readonly version: string;
  /** Read when first asked for; undefined where there is none. */
  tokenizer(): Tokenizer | undefined;
}

/** Reads a model's structure, no weights. */
export function loadModel(file: string): LoadedModel {
  const version = fileVersion(file);
  const read = readModel(file);
  const prepared = prepare(read);
  const anatomy = recognise(prepared);
  const patterns = new Map<number, string>();
  const operands = new Map<number, { keys: string | undefined; values: string | undefined }>();
  const nodes: Node[] = [];
  const missing = anatomy.missing.map(({ part, why }) => `${part}: ${why}`);
  anatomy.blocks.forEach((block, i) => {
    if (!block.attention) return;
    const { pattern } = block.attention;
    if ('tensor' in pattern) {
      patterns.set(i + 1, pattern.tensor);
      operands.set(i + 1, block.attention);
      return;
    }
    const rebuilt = patternNodes(prepared, block.attention, `sinkscope/pattern/${i}`);
    // Where it cannot be rebuilt, the anatomy's `missing` says why.
    if (!rebuilt) return;
    nodes.push(...rebuilt.nodes);
    patterns.set(i + 1, rebuilt.tensor);
    operands.set(i + 1, rebuilt);
  });
  const { graph } = prepared;
  const model = { ...prepared, graph: { ...graph, nodes: [...graph.nodes, ...nodes] } };
  const contexts = [anatomy.context, modelConfig(file).context].filter((context) => context !== undefined);
  let tokenizer: { readonly found: Tokenizer | undefined } | undefined;
  return {
    file,
    model,
    anatomy,
    patterns,
    operands,
    predicts:
      anatomy.unembedding !== undefined &&
      anatomy.inputs.some((input) => input.role === 'token-ids') &&
      (graph.outputs.find((output) => output.name === anatomy.unembedding?.logits)?.shape?.length ?? 3) === 3,
    quantised: graph.nodes.some((node) => packedOperators.has(node.op)),
    nodes: read.graph.nodes.length,
    version,
    summary: {
      file,
      name: displayName(file),
      layers: anatomy.layers,
      hidden: anatomy.hidden ?? 0,
      heads: anatomy.heads,
      kvHeads: anatomy.kvHeads,
      context: contexts.length > 0 ? Math.min(...contexts) : undefined,
      vocabulary: anatomy.vocabulary,
      parallelBlock: anatomy.parallelBlock,
      bytes: weightBytes(prepared),
      attention: anatomy.layers > 0 && patterns.size === anatomy.layers,
      missing,
    },
    tokenizer: () => {
      tokenizer ??= { found: loadTokenizer(file) };
      return tokenizer.found;
    },
  };
}

const packedOperators = new Set(['MatMulNBits', 'QMoE']);

/** @throws SinkscopeError `file` where it cannot be found. */
export function fileVersion(file: string): string {
  const stat = statSync(file, { throwIfNoEntry: false });
  if (!stat) {
    throw new SinkscopeError({ code: 'file', file, message: `${file} does not exist; choose another model.` });
  }
  return `${stat.dev} ${stat.ino} ${stat.size} ${stat.mtimeMs}`;
}

/** A model is called by its folder when its file has one of the exporters' own names. */
function displayName(file: string): string {
  const name = basename(file, '.onnx');
  if (!/^(model|decoder_model|decoder)(_\w+)?$/.test(name)) return name;
  const folder = dirname(file);
  return basename(isVariantFolder(folder) ? dirname(folder) : folder);
}
