/** `tokenizer.json`, as far as it is read here. */
import * as v from 'valibot';
import { SinkscopeError } from '../errors.js';
import { jsonObject } from '../models/json.js';
import { byName } from '../schemas.js';
import { greatest } from '../statistics/numbers.js';
import { charsmapFault } from './charsmap.js';
import type { Spelling } from './pieces.js';

/** The part of `tokenizer.json` that is read here; the rest is for the tokenizer library. */
const id = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(2 ** 31 - 1));
const modelTypes = ['BPE', 'WordPiece', 'WordLevel', 'Unigram'] as const;
const schema = v.object({
  added_tokens: v.optional(
    v.array(v.object({ id, content: v.string(), special: v.optional(v.boolean(), false) })),
    () => [],
  ),
  normalizer: v.optional(v.unknown()),
  pre_tokenizer: v.optional(v.unknown()),
  decoder: v.optional(v.unknown()),
  post_processor: v.optional(v.unknown()),
  model: v.object({
    /** Left out by files of before 2021. */
    type: v.optional(v.picklist(modelTypes)),
    vocab: v.union([byName(id), v.array(v.looseTuple([v.string(), v.number()]))]),
    unk_id: v.nullish(id),
    unk_token: v.nullish(v.string()),
    byte_fallback: v.nullish(v.boolean()),
    end_of_word_suffix: v.nullish(v.string()),
    continuing_subword_prefix: v.nullish(v.string()),
    merges: v.nullish(v.array(v.union([v.string(), v.looseTuple([v.string(), v.string()])]))),
  }),
});
export type TokenizerFile = v.InferOutput<typeof schema>;

/**
 * The content of a `tokenizer.json`, checked so far that the native library meets no shape it does not expect.
 *
 * @throws SinkscopeError `tokenizer`
 */
export function parseTokenizerFile(json: unknown, file: string): TokenizerFile {
  const parsed = v.safeParse(schema, json, { abortEarly: true });
  if (!parsed.success) {
    const [issue] = parsed.issues;
    const where = v.getDotPath(issue) ?? 'the file';
    throw new SinkscopeError({
      code: 'tokenizer',
      file,
      detail: issue.message,
      message: `${file} is no tokenizer that Sinkscope knows: ${where}: ${issue.message}. Export it again with the model.`,
    });
  }
  const contradiction = findContradiction(parsed.output);
  if (contradiction) {
    const message = `${file} contradicts itself: ${contradiction}. Export it again with the model.`;
    throw new SinkscopeError({ code: 'tokenizer', file, message });
  }
  return parsed.output;
}

/** Normalisers of real tokenizers make three characters of one at most. */
const maxGrowth = 256;

/**
 * How many times longer a text can become that is normalised: Unicode's own forms left out, which make 18 of one at
 * most. Each replacement counts as if it was made at every character.
 */
export function growthOf({ normalizer }: Pick<TokenizerFile, 'normalizer'>): number {
  let growth = 1;
  for (const { type, content } of partsOf(normalizer, 'normalizers'))
    if (type === 'Replace' && typeof content === 'string') growth *= Math.max(1, content.length);
  return growth;
}

/**
 * What the native library takes on trust: where it does not hold, it aborts the whole process, or does its work again
 * and again.
 */
function findContradiction({ model, normalizer, post_processor }: TokenizerFile): string | undefined {
  for (const { precompiled_charsmap: charsmap } of partsOf(normalizer, 'normalizers')) {
    const fault = typeof charsmap === 'string' ? charsmapFault(charsmap) : undefined;
    if (fault !== undefined) return `its precompiled_charsmap ${fault}`;
  }
  const growth = growthOf({ normalizer });
  if (growth > maxGrowth)
    return `its normaliser makes a text up to ${growth} times as long, and at most ${maxGrowth} are taken`;
  for (const { single } of partsOf(post_processor, 'processors')) {
    const texts = Array.isArray(single) ? single.filter((piece) => v.is(textPiece, piece)).length : 0;
    if (texts > 1) return `its post_processor puts a text ${texts} times`;
  }
  const { vocab, unk_id, merges, continuing_subword_prefix: prefix } = model;
  if (Array.isArray(vocab) && (unk_id ?? 0) >= vocab.length) return 'its unknown token is outside its vocabulary';
  if (prefix && merges) {
    const second = (merge: (typeof merges)[number]) => (typeof merge === 'string' ? merge.split(' ')[1] : merge[1]);
    if (!merges.every((merge) => second(merge)?.startsWith(prefix))) return 'merges lack its continuing_subword_prefix';
  }
  return undefined;
}

/** In a template. */
const textPiece = v.object({ Sequence: v.unknown() });

/** What a normalizer or post-processor is made of, itself among it: a sequence has others under `key`. */
function* partsOf(whole: unknown, key: string): Generator<Record<string, unknown>> {
  // No recursion: the library refuses what is nested too deeply, and has not seen it yet.
  const rest = [whole];
  for (const part of rest) {
    if (!v.is(jsonObject, part)) continue;
    yield part;
    const inner = part[key];
    if (Array.isArray(inner)) for (const one of inner) rest.push(one);
  }
}

/** The largest id of the vocabulary itself, without added tokens; -1 where it is empty. */
export function largestId({ model: { vocab } }: TokenizerFile): number {
  if (Array.isArray(vocab)) return vocab.length - 1;
  return greatest(vocab.values(), -1);
}

export function spellingOf({ pre_tokenizer, decoder, model }: TokenizerFile): Spelling {
  const decoders = [...steps(decoder)];
  const isType = (type: string) => (step: Step) => step.type === type;
  const metaspace = decoders.find(isType('Metaspace'));
  const suffix = decoders.find(isType('BPEDecoder'))?.suffix ?? model.end_of_word_suffix;
  const replaced = decoders.find(({ type, content }) => type === 'Replace' && content === ' ')?.pattern;
  return {
    byteLevel: [...decoders, ...steps(pre_tokenizer)].some(isType('ByteLevel')),
    byteFallback: model.byte_fallback === true || decoders.some(isType('ByteFallback')),
    space: metaspace ? (metaspace.replacement ?? '▁') : replaced?.String,
    wordEnd: suffix ?? undefined,
  };
}

const step = v.object({
  type: v.string(),
  replacement: v.optional(v.string()),
  suffix: v.optional(v.string()),
  content: v.optional(v.string()),
  pattern: v.fallback(v.optional(v.object({ String: v.optional(v.string()) })), undefined),
});
type Step = v.InferOutput<typeof step>;

/** A decoder or pre-tokenizer, and those it is made of. */
function* steps(value: unknown): Generator<Step> {
  const sequence = v.safeParse(
    v.object({
      type: v.literal('Sequence'),
      decoders: v.optional(v.array(v.unknown()), () => []),
      pretokenizers: v.optional(v.array(v.unknown()), () => []),
    }),
    value,
  );
  if (sequence.success) {
    for (const part of [...sequence.output.decoders, ...sequence.output.pretokenizers]) yield* steps(part);
  } else if (v.is(step, value)) {
    yield v.parse(step, value);
  }
}

/**
 * A `tokenizer.json` whose BPE leaves out no merges at random, which some training run had it do: the same text would
 * be other tokens each time. The same object where there is nothing to change.
 */
export function withoutDropout(json: Record<string, unknown>): Record<string, unknown> {
  const { model } = json;
  return v.is(jsonObject, model) && model.dropout ? { ...json, model: { ...model, dropout: null } } : json;
}
