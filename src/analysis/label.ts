import type { TokensEvent } from '../engine/contract/events.js';
import type { Token } from '../tokens/token.js';
import { visible } from '../visible.js';

/** What special tokens are wrapped in: `<s>`, `<|endoftext|>`, `[CLS]`, DeepSeek's full-width bars. */
const WRAPPING = /^(?:<[|｜]?|\[)(.+?)(?:[|｜]?>|\])$/u;
/** What no text is: tokens that control a model, by their text alone. `<s>` and `[CLS]` may be what somebody wrote. */
const CONTROL = /^<[|｜].+[|｜]>$/u;
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
    return `⟨${prefix && BEGINNING.test(name) ? 'bos' : token.role === undefined ? visible(name) : seen(name)}⟩`;
  }
  if (token.text === '') return `⟨${token.id}⟩`;
  return seen(token.text);
}

const seen = (text: string) => visible(text.replace(/[ \n\t\r\u00a0]/g, (c) => WHITESPACE[c] ?? c));

/** A token in a sentence: `⟨bos⟩`, `“,”`. */
export function quotedLabel(token: Token): string {
  return token.special ? tokenLabel(token) : `“${tokenLabel(token)}”`;
}

/**
 * {@link tokenLabel} of a token that is known by its text alone, as predictions are: `⟨endoftext⟩`, `·the`. `id` names one
 * without any text.
 */
export const textLabel = (text: string, id = 0): string => tokenLabel(tokenOf(text, id));

/** {@link textLabel} in a sentence: `⟨endoftext⟩`, `“,”`. */
export const quotedText = (text: string, id = 0): string => quotedLabel(tokenOf(text, id));

/** Not where a prefix stands, which has a name of its own. */
const tokenOf = (text: string, id: number): Token => ({ id, text, start: 0, end: 1, special: CONTROL.test(text) });

/** All tokens of a run as they are shown; those of pictures and features have names, which keep their blanks. */
export function tokenLabels({ tokens, source }: Pick<TokensEvent, 'tokens' | 'source'>): string[] {
  return source === 'image' || source === 'features'
    ? tokens.map(({ text }) => visible(text))
    : withCharacters(tokens).map(tokenLabel);
}

/** A byte that is but a part of a character, as tokenizers' pieces are written; or anything else. */
const BYTE_OR_REST = /‹0x([0-9A-F]{2})›|[^‹]+|‹/gu;
const SUPERSCRIPTS = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A part of a token's text: some of it as it is, or one byte of a character that is split. */
interface Piece {
  readonly token: number;
  readonly byte: number | undefined;
  text: string;
}

/**
 * Tokens that hold bytes of one character, with that character and which of its tokens each is in place of the bytes:
 * 今¹, 今², 今³. Bytes that make no character with their neighbours stay as they are.
 */
function withCharacters(tokens: readonly Token[]): readonly Token[] {
  const pieces = tokens.flatMap(({ text, special }, token): Piece[] =>
    special || !text.includes('‹0x')
      ? [{ token, byte: undefined, text }]
      : Array.from(text.matchAll(BYTE_OR_REST), ([text, byte]) => ({
          token,
          byte: byte === undefined ? undefined : Number.parseInt(byte, 16),
          text,
        })),
  );
  if (pieces.length === tokens.length && pieces.every(({ byte }) => byte === undefined)) return tokens;
  for (let at = 0; at < pieces.length; at++) {
    const bytes = pieces.slice(at, at + lengthOf(pieces[at]?.byte));
    const character = characterOf(bytes);
    if (character === undefined) continue;
    const parts = [...new Set(bytes.map(({ token }) => token))];
    for (const [i, piece] of bytes.entries()) {
      const part = parts.indexOf(piece.token);
      piece.text = bytes[i - 1]?.token === piece.token ? '' : `${character}${SUPERSCRIPTS[part + 1]}`;
    }
    at += bytes.length - 1;
  }
  const texts = tokens.map(() => '');
  for (const { token, text } of pieces) texts[token] += text;
  return tokens.map((token, index) => ({ ...token, text: texts[index] ?? token.text }));
}

/** Bytes of the character that begins with this one; 0 where none does. */
const lengthOf = (first = 0) => (first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 0);

function characterOf(pieces: readonly Piece[]): string | undefined {
  const bytes = pieces.map(({ byte }) => byte);
  if (bytes.length === 0 || bytes.length < lengthOf(bytes[0]) || bytes.some((byte) => byte === undefined))
    return undefined;
  try {
    return utf8.decode(Uint8Array.from(bytes, (byte) => byte ?? 0));
  } catch {
    return undefined;
  }
}

/** What h_`layer` is called on an axis: h_0 is the embedding. */
export const layerName = (layer: number): string => (layer === 0 ? 'embed' : `${layer}`);

/** What follows the last separator of folders, of either kind. */
export const baseName = (path: string): string => path.replace(/^.*[\\/]/s, '');
