/** What a model file is, as plain data: for `inspect` and the side view. */
import type { Anatomy, Attention, Block } from '../anatomy/anatomy.js';
import type { ModelSummary } from './events.js';
import type { LoadedModel } from './loaded.js';

export interface Inspection {
  readonly model: ModelSummary;
  readonly producer: string;
  /** Domain (`''` for ai.onnx) to version. */
  readonly opsets: Readonly<Record<string, number>>;
  readonly nodes: number;
  readonly anatomy: Omit<Anatomy, 'blocks'> & { readonly blocks: readonly InspectedBlock[] };
}

export interface InspectedBlock extends Omit<Block, 'attention'> {
  readonly attention:
    | (Omit<Attention, 'pattern'> & {
        readonly pattern:
          | { readonly from: 'graph'; readonly tensor: string }
          /** Hidden in this operator and computed again from its inputs. */
          | { readonly from: 'rebuilt'; readonly operator: string; readonly node: string }
          | { readonly from: 'nothing'; readonly operator: string; readonly node: string };
      })
    | undefined;
}

export function inspect(loaded: LoadedModel): Inspection {
  const { anatomy, model, summary, patterns } = loaded;
  const blocks = anatomy.blocks.map((block, i): InspectedBlock => {
    const { attention } = block;
    if (!attention) return { ...block, attention };
    const { pattern } = attention;
    if ('tensor' in pattern) return { ...block, attention: { ...attention, pattern: { from: 'graph', ...pattern } } };
    const { domain, op, name } = pattern.operator;
    const from = patterns.has(i + 1) ? ('rebuilt' as const) : ('nothing' as const);
    const operator = domain === '' ? op : `${domain}.${op}`;
    return { ...block, attention: { ...attention, pattern: { from, operator, node: name } } };
  });
  return {
    model: summary,
    producer: model.producer,
    opsets: Object.fromEntries(model.opsets),
    nodes: loaded.nodes,
    anatomy: { ...anatomy, blocks },
  };
}
