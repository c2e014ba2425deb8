/** A model in a few facts and words: what every run begins by saying. */
import { basename } from 'node:path';
import type { Patterned } from '../../anatomy/patterns.js';
import type { Stream } from '../../anatomy/streams.js';
import type { ModelConfig } from '../../models/config.js';
import { exportName, modelFolder } from '../../models/folder.js';
import { weightBytes } from '../../onnx/weights.js';
import { least } from '../../statistics/numbers.js';
import { readTokenizerConfig } from '../../tokens/prefix.js';
import type { ModelSummary } from '../contract/events.js';

/**
 * @param stream of the file, its model without what rebuilds patterns
 * @param all of the file, and the `tokenizer.json` that was chosen for it
 * @param config what lies beside it says of it
 */
export function summaryOf(
  { name, model }: Stream,
  {
    file,
    streams,
    chosen,
  }: { readonly file: string; readonly streams: readonly Stream[]; readonly chosen: string | undefined },
  { anatomy, patterns }: Patterned,
  config: ModelConfig,
): ModelSummary {
  const contexts = [anatomy.context, config.context].filter((context) => context !== undefined);
  const { unread = [] } = readTokenizerConfig(modelFolder(chosen ?? file).tokenizerConfig);
  // What could not be used may have meant something: a longest sequence, a prefix token.
  const unused = config.ignored.concat(unread).map((why) => `configuration: ${why}`);
  return {
    file,
    name: displayName(file),
    stream: name,
    streams: streams.map((one) => one.name),
    layers: anatomy.layers,
    hidden: anatomy.hidden ?? 0,
    heads: anatomy.heads,
    kvHeads: anatomy.kvHeads,
    context: contexts.length > 0 ? least(contexts) : undefined,
    vocabulary: anatomy.vocabulary,
    parallelBlock: anatomy.parallelBlock,
    bytes: weightBytes(model),
    attention: anatomy.layers > 0 && patterns.size === anatomy.layers,
    missing: anatomy.missing.map(({ part, why }) => `${part}: ${why}`),
    remarks: [
      ...model.remarks,
      ...unused,
      ...(chosen === undefined ? [] : [`tokenizer: ${chosen} was chosen for this model`]),
    ],
  };
}

/** A model is called by its folder when its file has one of the exporters' own names. */
function displayName(file: string): string {
  const name = basename(file, '.onnx');
  return /^(model|decoder_model|decoder)(_\w+)?$/.test(name) ? exportName(file) : name;
}
