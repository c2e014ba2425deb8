/** What the readings of an input start from, and what they come to. */
import type { Node, ValueInfo } from '../../onnx/model.js';
import type { InputRole } from '../anatomy.js';
import type { Flow } from '../flow.js';
import type { IdAxes } from './axes.js';
import type { HeadProduct, Start } from './start.js';

/** What is known of the model before its inputs are looked at. */
export interface InputContext {
  /** `h_0`. */
  readonly embedding: string;
  /** The product that the output ends in, where each token has a row of it. */
  readonly head: HeadProduct | undefined;
  readonly kvHeads: number | undefined;
  readonly headDim: number | undefined;
}

/** Where the main path reads something that an input was made into, and by what. */
export interface Uses {
  readonly touches: readonly { readonly node: Node; readonly index: number; readonly value: string }[];
  /** Nodes off the main path. */
  readonly through: readonly Node[];
}

export interface Recognised {
  readonly role: InputRole;
  readonly how: string;
  readonly tokenAxis?: number;
  readonly extents?: Readonly<Record<number, number>>;
  readonly keeps?: 0 | 1;
  /** Another reading of the graph is possible. */
  readonly guessed?: boolean;
}

/** What the readings of one input have in common. */
export interface Reader {
  readonly flow: Flow;
  readonly info: ValueInfo;
  readonly main: ReadonlySet<string>;
  readonly start: Start;
  /** Axes of the token ids. */
  readonly ids: IdAxes | undefined;
  readonly hasCache: boolean;
  /** Uses, counting on the way included; and without it, for masks are counted. */
  readonly all: Uses;
  readonly direct: Uses;
  /** Notes the rows of a table of positions. */
  readonly positionRows: (rows: number) => void;
}
