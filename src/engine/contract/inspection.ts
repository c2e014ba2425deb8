/** What a model file is, as plain data: for `inspect` and the side view. */
import type { Anatomy, Attention, Block } from '../../anatomy/anatomy.js';
import type { ModelSummary } from './events.js';

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
