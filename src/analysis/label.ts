import type { TokensEvent } from '../engine/contract/events.js';
import type { Token } from '../tokens/token.js';
import { visible } from '../visible.js';

/** What special tokens are wrapped in: `<s>`, `<|endoftext|>`, `[CLS]`, DeepSeek's full-width bars. */
const WRAPPING = /^(?:<[|｜]?|\[)(.+?)(?:[|｜]?>|\])$/u;
/** Names under which models know the token that begins a sequence. */
const BEGINNING = /^(?:s|bos|endoftext|startoftext|begin\W?_?of\W?_?(?:text|sentence))$/iu;

/** The whitespace that tokens are made of. */
const WHITESPACE: Readonly<Record<string, string>> = { ' ': '·', '\n': '↵', '\t': '⇥', '\r': '␍', '\u00a0': '⍽' };

/**
 * A token as it is shown: whitespace made visible, special tokens in angle brackets (`⟨bos⟩` for the one put before
 * the text, whatever the model calls it). What else cannot be seen is written as in {@link visible}.
 */
export function tokenLabel(token: Token): string {
  if (token.special) {
    const name = WRAPPING.exec(token.text)?.[1] ?? token.text;
    const prefix = token.start === 0 && token.end === 0;
    return `⟨${prefix && BEGINNING.test(name) ? 'bos' : visible(name)}⟩`;
  }
  if (token.text === '') return `⟨${token.id}⟩`;
  return visible(token.text.replace(/[ \n\t\r\u00a0]/g, (c) => WHITESPACE[c] ?? c));
}

/** {@link tokenLabel} of a token that is known by its text, as predictions are; `id` names one without any. */
export function textLabel(text: string, id = 0): string {
  return tokenLabel({ id, text, start: 0, end: 0, special: false });
}

/** All tokens of a run as they are shown; those of pictures and features have names, which keep their blanks. */
export function tokenLabels({ tokens, source }: TokensEvent): string[] {
  return tokens.map((token) => (source === 'image' || source === 'features' ? visible(token.text) : tokenLabel(token)));
}

/** What h_`layer` is called on an axis: h_0 is the embedding. */
export const layerName = (layer: number): string => (layer === 0 ? 'embed' : `${layer}`);
