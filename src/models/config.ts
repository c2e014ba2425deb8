/** What a model's own configuration says about it. */
import * as v from 'valibot';
import { SinkscopeError } from '../errors.js';
import { modelFolder } from './folder.js';
import { jsonObject, readJson } from './json.js';

/** What a model's own configuration says about it; each part only where it says so. */
export interface ModelConfig {
  /** Longest sequence in tokens. */
  readonly context?: number;
  readonly bosTokenId?: number;
  /** Tokens that end a text that is written, as `generation_config.json` or else the configuration names them. */
  readonly endTokenIds?: readonly number[];
  /** Rows of the embedding. */
  readonly vocabulary?: number;
  /** For display only, e.g. `llama`. */
  readonly modelType?: string;
  /** Names of the classes that the model tells apart, in the order of its columns. */
  readonly labels?: readonly string[];
  /** What they are for, e.g. `multi_label_classification`, where any number of them may hold at once. */
  readonly problemType?: string;
  /** Entries that were there and could not be used, in words. */
  readonly ignored: readonly string[];
}

const maxBytes = 4 * 2 ** 20;
/** Above this a number is no length of anything, as `tokenizer_config.json`'s famous 1e30. */
const count = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(2 ** 31 - 1));
const id = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(2 ** 31 - 1));
const ids = v.union([
  v.array(id),
  v.pipe(
    id,
    v.transform((one) => [one]),
  ),
]);
const name = v.pipe(v.union([v.string(), v.pipe(v.number(), v.transform(String))]), v.maxLength(200));
/** `id2label`: every index from 0 on, in any order. */
const labels = v.pipe(
  v.record(v.string(), name),
  v.transform((named) => Object.keys(named).map((_, index) => named[index])),
  v.array(v.string('it does not name every class from 0 on')),
);
/** Where each part may stand, best first: a path of keys in `config.json` or `genai_config.json`. */
const contextKeys = ['max_position_embeddings', 'n_positions', 'n_ctx', 'seq_length', 'max_sequence_length'];

/**
 * The configuration beside a model (`config.json`, else `genai_config.json`). Missing files and wrong entries are
 * no error, for a model can be run without them: what could not be used is said in `ignored`.
 */
export function modelConfig(file: string): ModelConfig {
  const folder = modelFolder(file);
  const ignored: string[] = [];
  const config = sections(readRecord(folder.config, ignored), 'text_config');
  const genai = sections(readRecord(folder.genaiConfig, ignored), 'model');

  /** The first usable entry of these names. */
  const first = <T>(schema: v.GenericSchema<unknown, T>, keys: readonly string[], genaiKeys: readonly string[]) => {
    const places = [
      ...config.flatMap((section) => keys.map((key) => ({ file: folder.config, section, key }))),
      ...genai.flatMap((section) => genaiKeys.map((key) => ({ file: folder.genaiConfig, section, key }))),
    ];
    for (const { file, section, key } of places) {
      const value = section[key];
      if (value === undefined || value === null) continue;
      const parsed = v.safeParse(schema, value);
      if (parsed.success) return parsed.output;
      ignored.push(`${file}: ${key} is ${JSON.stringify(value).slice(0, 40)}: ${parsed.issues[0].message}`);
    }
    return undefined;
  };

  const generation = sections(readRecord(folder.generationConfig, ignored), 'text_config')[0]?.eos_token_id;
  const ends = v.safeParse(ids, generation);
  return {
    endTokenIds: ends.success ? ends.output : first(ids, ['eos_token_id'], ['eos_token_id']),
    context: first(count, contextKeys, ['context_length']),
    bosTokenId: first(id, ['bos_token_id'], ['bos_token_id']),
    vocabulary: first(count, ['vocab_size'], ['vocab_size']),
    modelType: first(v.pipe(v.string(), v.maxLength(100)), ['model_type'], ['type']),
    labels: first(labels, ['id2label'], []),
    problemType: first(v.pipe(v.string(), v.maxLength(100)), ['problem_type'], []),
    ignored,
  };
}

/** A configuration's own entries and those of its part for text: multi-modal models nest them. */
function sections(value: Record<string, unknown>, nested: string): Record<string, unknown>[] {
  const inner = value[nested];
  return v.is(jsonObject, inner) ? [value, inner] : [value];
}

function readRecord(file: string | undefined, ignored: string[]): Record<string, unknown> {
  if (file === undefined) return {};
  try {
    return readJson(file, maxBytes, 'file');
  } catch (error) {
    if (!SinkscopeError.is(error)) throw error;
    ignored.push(error.message);
  }
  return {};
}
