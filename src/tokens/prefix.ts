/** What a model expects around a text: prefix token, separators. */
import * as v from 'valibot';
import { SinkscopeError } from '../errors.js';
import { modelConfig } from '../models/config.js';
import type { ModelFolder } from '../models/folder.js';
import { readJson } from '../models/json.js';
import { byName } from '../schemas.js';
import type { TokenizerFile } from './tokenizer-file.js';

/** What is put around a text before a model sees it, as ids. */
export interface Frame {
  /** The prefix: BOS, `[CLS]`, a sink token; empty where the model's files name none. */
  readonly prefix: readonly number[];
  /** Whether the prefix is put there unless somebody says otherwise. */
  readonly byDefault: boolean;
  /** Always put after the text. */
  readonly suffix: readonly number[];
}

/**
 * What the tokenizer's own post-processing puts around a text; where that has no prefix, the token that
 * `tokenizer_config.json` or else `config.json` (`genai_config.json`) names, put there only if `add_bos_token` says so.
 */
export function findFrame(content: TokenizerFile, folder: ModelFolder, idOf: (token: string) => number | null): Frame {
  const template = templateOf(content.post_processor);
  if (template.prefix.length > 0) return { ...template, byDefault: true };

  const config = readTokenizerConfig(folder.tokenizerConfig);
  const named = config.bos_token === undefined ? undefined : (idOf(config.bos_token) ?? undefined);
  const beside = folder.config ?? folder.genaiConfig;
  const id = named ?? (beside === undefined ? undefined : modelConfig(beside).bosTokenId);
  return {
    prefix: id === undefined ? [] : [id],
    byDefault: id !== undefined && config.add_bos_token === true,
    suffix: template.suffix,
  };
}

const named = v.tuple([v.string(), v.number()]);
const pair = v.object({ type: v.picklist(['BertProcessing', 'RobertaProcessing']), cls: named, sep: named });
const template = v.object({
  type: v.literal('TemplateProcessing'),
  single: v.array(
    v.union([v.object({ SpecialToken: v.object({ id: v.string() }) }), v.object({ Sequence: v.unknown() })]),
  ),
  special_tokens: byName(v.object({ ids: v.array(v.number()) })),
});
const sequence = v.object({ type: v.literal('Sequence'), processors: v.array(v.unknown()) });

/** The ids that a post-processor puts before and after a single text. */
function templateOf(processor: unknown): Pick<Frame, 'prefix' | 'suffix'> {
  if (v.is(sequence, processor)) {
    return processor.processors
      .map(templateOf)
      .reduce(
        (inner, outer) => ({ prefix: [...outer.prefix, ...inner.prefix], suffix: [...inner.suffix, ...outer.suffix] }),
        { prefix: [], suffix: [] },
      );
  }
  if (v.is(pair, processor)) return { prefix: [processor.cls[1]], suffix: [processor.sep[1]] };
  const parsed = v.safeParse(template, processor);
  if (parsed.success) {
    const { single, special_tokens } = parsed.output;
    const text = single.findIndex((piece) => 'Sequence' in piece);
    const ids = (pieces: typeof single) =>
      pieces.flatMap((piece) =>
        'SpecialToken' in piece ? (special_tokens.get(piece.SpecialToken.id)?.ids ?? []) : [],
      );
    return { prefix: ids(single.slice(0, text)), suffix: ids(single.slice(text + 1)) };
  }
  return { prefix: [], suffix: [] };
}

const wrong = () => undefined;
const tokenizerConfig = v.object({
  add_bos_token: v.fallback(v.optional(v.boolean()), wrong),
  bos_token: v.fallback(
    v.optional(
      v.union([
        v.string(),
        v.pipe(
          v.object({ content: v.string() }),
          v.transform(({ content }) => content),
        ),
      ]),
    ),
    wrong,
  ),
});

/**
 * What a `tokenizer_config.json` says of the prefix: nothing where there is none, or where it cannot be read, for a
 * model can be run without. Then `unread` says why.
 */
export function readTokenizerConfig(
  file: string | undefined,
): v.InferOutput<typeof tokenizerConfig> & { readonly unread?: string } {
  if (file === undefined) return {};
  try {
    return v.parse(v.fallback(tokenizerConfig, {}), readJson(file, 16 * 2 ** 20, 'tokenizer'));
  } catch (error) {
    if (!SinkscopeError.is(error)) throw error;
    return { unread: error.message };
  }
}
