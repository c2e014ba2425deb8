/**
 * What the declared name of a graph input says. Inputs are the file's contract with whoever feeds it, so their names may
 * decide where the flow of data leaves several readings open, and nowhere else.
 */
export type Said = 'tokens' | 'positions' | 'segments' | 'padding' | 'other';

const says: readonly (readonly [Said, RegExp])[] = [
  ['segments', /segment|sentence|types?([_.-]|$)/i],
  ['positions', /pos(ition)?s?([_.-]|$)|position/i],
  // True where there is padding, as PyTorch and fairseq have it.
  ['padding', /pad(ding)?_?mask|mask_?pad|ignore|is_?pad|_padding$/i],
  ['tokens', /(^|[_.-])(tokens?|words?|text|src|ids?)([_.-]|$)|^(input|x|sequence)$/i],
];

/** Names that exporters number, or that say that it is an input. */
const nothing = /^(onnx::)?([a-z]|inputs?|args?|data|in|placeholder|gather|l_\w*?)?[._:-]*\d*$/i;

/** What a name says first: `other` for another word, undefined for one that says nothing. */
export function saidBy(name: string): Said | undefined {
  const said = says.find(([, pattern]) => pattern.test(name))?.[0];
  return said ?? (nothing.test(name.replace(/^onnx::\w+?_?(\d+)$/, '$1')) ? undefined : 'other');
}

/** Whether a name says nothing but that it is tokens: `input_ids`, unlike `input_shape_ids`. */
export const saysTokensAlone = (name: string): boolean =>
  /^((decoder|encoder|inputs?|tokens?|words?|text|src)[_.-]?)*(ids?)?$/i.test(name);
