/** Two next tokens whose logits are compared, as experiments on single decisions do. */
import { quotedText } from '../../analysis/label.js';
import type { Engine } from '../../engine/host/engine.js';
import { SinkscopeError } from '../../errors.js';

/** A token and its text. */
export interface Named {
  readonly id: number;
  readonly text: string;
}

export type Answers = readonly [Named, Named];

/**
 * The tokens that two answers are, with the blanks that they are given with.
 *
 * @throws SinkscopeError `input` where one is several tokens or both are the same, as {@link Engine.encode} else
 */
export async function answersOf(
  engine: Engine,
  model: string,
  words: readonly [string, string],
  signal?: AbortSignal,
): Promise<Answers> {
  const [one, other] = [
    await answerOf(engine, model, words[0], signal),
    await answerOf(engine, model, words[1], signal),
  ];
  if (one.id !== other.id) return [one, other];
  throw new SinkscopeError({
    code: 'input',
    message: `Both answers are the token ${JSON.stringify(one.text)}, so their logits do not differ; give two.`,
  });
}

async function answerOf(engine: Engine, model: string, text: string, signal?: AbortSignal): Promise<Named> {
  const { ids } = await engine.encode(model, text, { bos: false, signal });
  const named = await namedTokens(engine, model, [...ids], signal);
  const [first, ...others] = named;
  if (first && others.length === 0) return first;
  const are = named.length === 0 ? 'no token at all' : `${named.length} tokens (${labelled(named)})`;
  throw new SinkscopeError({
    code: 'input',
    message: `An answer is one token, and ${JSON.stringify(text)} is ${are}; give one that is a single token, with the blank before it where the model has one.`,
  });
}

/** Token ids with their texts. */
export async function namedTokens(
  engine: Engine,
  model: string,
  ids: readonly number[],
  signal?: AbortSignal,
): Promise<readonly Named[]> {
  const texts = await engine.decode(model, ids, signal);
  return ids.map((id, i) => ({ id, text: texts[i] ?? '' }));
}

/** Tokens as they are shown, one after another. */
export const labelled = (tokens: readonly Named[]) => tokens.map(({ id, text }) => quotedText(text, id)).join(' ');

/** What the logits are of, in words. */
export const contrast = ([one, other]: Answers) =>
  `logit of ${JSON.stringify(one.text)} − logit of ${JSON.stringify(other.text)}`;
