/** Tokenizers from strangers. */
import fc from 'fast-check';
import { json, kind, path } from './case.js';
import { byteEdits, editBytes, editJson, hostileTexts, jsonEdits } from './damage.js';

const added = (id: number, content: string, special = true) => ({
  id,
  content,
  special,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
});
const plain = { version: '1.0', truncation: null, padding: null, post_processor: null };

/** Tokenizers of every model type, small. */
const tokenizers: Readonly<Record<string, unknown>> = {
  'byte-level': json('test/references/tokenizers/byte-level.json'),
  sentencepiece: json('test/references/tokenizers/sentencepiece.json'),
  unigram: {
    ...plain,
    added_tokens: [added(0, '<unk>')],
    normalizer: { type: 'NFKC' },
    pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true },
    decoder: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true },
    model: {
      type: 'Unigram',
      unk_id: 0,
      vocab: [['<unk>', 0], ...[...'▁abcdefghijklmnopqrstuvwxyz.,'].map((c, i) => [c, -2 - i / 10])],
    },
  },
  wordpiece: {
    ...plain,
    added_tokens: [added(0, '[UNK]')],
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: null,
      lowercase: true,
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(
        ['[UNK]', 'summer', 'is', 'warm', '.', 'w', '##inter', 's', '##now'].map((w, i) => [w, i]),
      ),
    },
  },
};

/** Parts of a tokenizer that are sound and made to take time or room. */
const costly: Readonly<Record<string, readonly unknown[]>> = {
  normalizer: [
    { type: 'Replace', pattern: { String: 'e' }, content: 'e'.repeat(100_000) },
    { type: 'Sequence', normalizers: Array(30).fill({ type: 'Replace', pattern: { String: 'a' }, content: 'aa' }) },
    { type: 'Prepend', prepend: '▁'.repeat(1_000_000) },
    { type: 'Replace', pattern: { Regex: '(a|a)*(a|a)*(a|a)*$' }, content: '' },
    { type: 'Precompiled', precompiled_charsmap: 'AAAAAP////8=' },
  ],
  pre_tokenizer: [
    { type: 'Split', pattern: { Regex: '(?=(a+)+b)' }, behavior: 'Isolated', invert: false },
    { type: 'Split', pattern: { Regex: '(?=(a+))a*b\\1' }, behavior: 'Isolated', invert: false },
    { type: 'Split', pattern: { Regex: '(.)\\1*(?<!x{1,50})(.*)*' }, behavior: 'Removed', invert: true },
    { type: 'Split', pattern: { Regex: '' }, behavior: 'Isolated', invert: false },
    { type: 'Sequence', pretokenizers: Array(10_000).fill({ type: 'Whitespace' }) },
  ],
  decoder: [{ type: 'Replace', pattern: { Regex: '(a+)+$' }, content: 'a'.repeat(100_000) }],
  post_processor: [
    {
      type: 'TemplateProcessing',
      single: Array(100_000).fill({ Sequence: { id: 'A', type_id: 0 } }),
      pair: [],
      special_tokens: {},
    },
  ],
};

export const tokenizer = kind(
  fc.record({
    base: fc.constantFrom(...Object.keys(tokenizers)),
    damage: fc.oneof(
      { weight: 3, arbitrary: fc.record({ edits: jsonEdits }) },
      fc.record({ bytes: byteEdits }),
      fc.record({
        part: fc.constantFrom(
          ...Object.entries(costly).flatMap(([key, values]) => values.map((_, i) => [key, i] as const)),
        ),
      }),
      fc.record({
        content: fc.constantFrom(...hostileTexts),
        special: fc.boolean(),
        id: fc.constantFrom(0, 1, 700, 8191, 2 ** 31 - 1),
      }),
    ),
    text: fc.constantFrom('Summer is warm.\nWinter is cold — 42 €.', 'a'.repeat(100_000), 'e'.repeat(2000)),
    save: fc.boolean(),
  }),
  ({ base, damage, text, save }) => {
    const whole = tokenizers[base] as Record<string, unknown> & { added_tokens: object[] };
    const file =
      'edits' in damage
        ? Buffer.from(editJson(whole, damage.edits))
        : 'bytes' in damage
          ? editBytes(Buffer.from(JSON.stringify(whole)), damage.bytes)
          : Buffer.from(
              JSON.stringify(
                'part' in damage
                  ? { ...whole, [damage.part[0]]: costly[damage.part[0]]?.[damage.part[1]] }
                  : {
                      ...whole,
                      added_tokens: [...whole.added_tokens, added(damage.id, damage.content, damage.special)],
                    },
              ),
            );
    // Without the configuration, whose prefix token the small tokenizers do not have.
    return {
      files: { 'model.onnx': { copy: path('media/models/llama/model.onnx') }, 'tokenizer.json': file },
      ask: { analyze: 'model.onnx', prompt: { text }, save },
    };
  },
);
