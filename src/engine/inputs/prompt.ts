/** What is run: the tokens or tensors that a request's prompt comes to, and what it has to fit. */
import type { Input, Rows } from '../../anatomy/anatomy.js';
import type { LineEnds } from '../../tokens/line-ends.js';
import type { Extent } from '../../tokens/steps.js';
import type { Token } from '../../tokens/token.js';
import type { Tokenizer } from '../../tokens/tokenizer.js';
import type { TokensEvent } from '../contract/events.js';
import type { Values } from '../tensors/value.js';
import type { Fed } from './feeds.js';

export interface Prompt {
  /** Tensors by input name. */
  readonly given: Values;
  /** Undefined where the model is fed something else than tokens. */
  readonly tokens: readonly Token[] | undefined;
  /** Of the whole text; undefined where it has more than are run, and they were not counted. */
  readonly total: number | undefined;
  readonly window: TokensEvent['window'];
  readonly source: TokensEvent['source'];
  readonly bos: boolean | undefined;
  /** How line ends of a text were read, and how many are something else in the document. */
  readonly lineEnds?: { readonly as: LineEnds; readonly changed: number };
  /** Whether a text was the user's turn of a chat, and after a system's. */
  readonly chat?: 'off' | 'on' | 'system';
  /** Tokens of a model that is not fed any, once their number is known. */
  readonly named?: (count: number) => readonly Token[];
  readonly picture?: TokensEvent['picture'];
  /** What is to be told with the result of how the prompt was read. */
  readonly remark?: string | undefined;
  /** How `given` came about, where not as it is. */
  readonly fed?: Fed;
}

/** What a prompt has to fit. */
export interface Limits {
  /** Path of the model. */
  readonly file: string;
  readonly inputs: readonly Input[];
  /** Pixels of a patch, in a model that cuts pictures into them. */
  readonly patch?: Extent | undefined;
  readonly vocabulary: number | undefined;
  /** What rows of h_0 stand for, where not for the tokens alone. */
  readonly rows?: Rows | undefined;
  /** Most tokens that can be run, and why no more, in words. */
  readonly context: number;
  readonly because: string;
  /** Called whenever a part of a long text is tokenised. */
  readonly onPart?: ((file: string) => void) | undefined;
}

/** Tokens that stand nowhere in a text. */
export function tokensOf(ids: readonly number[], tokenizer: Tokenizer | undefined): Token[] {
  return ids.map((id) => ({
    id,
    text: tokenizer?.decode(id) ?? `token ${id}`,
    start: 0,
    end: 0,
    special: false,
  }));
}
