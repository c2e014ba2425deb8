/** The rows of a run as tokens, where others stand among them. */
import type { RowPart, Rows } from '../../anatomy/anatomy.js';
import { grouped, SinkscopeError } from '../../errors.js';
import type { Token } from '../../tokens/token.js';
import type { Values } from '../tensors/value.js';
import type { Prompt } from './prompt.js';

/** The id of a row that no id stands for. */
export const noId = -1;

/** The ids that are fed, without rows that have none. */
export const idsOf = (tokens: readonly Token[]): number[] => tokens.flatMap(({ id }) => (id === noId ? [] : [id]));

/** The ids of a prompt that are fed; undefined where they are among what was given, or there are none. */
export const promptIds = ({ source, tokens }: Pick<Prompt, 'source' | 'tokens'>): number[] | undefined =>
  source === 'feeds' ? undefined : tokens && idsOf(tokens);

/** Rows of h_0 for so many tokens or steps that are fed; undefined where only h_0 tells. */
export function rowsFed(rows: Rows | undefined, length: number | undefined, given: Values): number | undefined {
  if (length === undefined || rows?.kind === 'inputs') return undefined;
  return (rows?.parts ?? []).reduce((sum, part) => sum + (part.kind === 'tokens' ? 0 : countOf(part, given)), length);
}

/** Rows beside tokens: of an input those that it was given with, [batch, rows, D]. */
function countOf(part: Exclude<RowPart, { kind: 'tokens' }>, given: Values): number {
  return part.kind === 'added' ? part.count : (part.count ?? given.get(part.name)?.dims.at(-2) ?? 0);
}

/**
 * The prompt with a token for every row of h_0.
 *
 * @param fixed the one number of tokens that the file takes, where it takes no other
 * @throws SinkscopeError `input` where padding would stand among the rows
 */
export function withOtherRows(prompt: Prompt, rows: Rows | undefined, fixed: number | undefined): Prompt {
  if (rows?.kind === 'inputs' && prompt.tokens === undefined && prompt.source === 'features')
    return { ...prompt, named: (count) => inputRows(rows, count) };
  const { tokens } = prompt;
  if (rows?.kind !== 'parts' || !tokens) return prompt;
  const padding = Math.max(0, (fixed ?? 0) - tokens.length);
  const found: Token[] = [];
  let learned = 0;
  let padded = false;
  for (const part of rows.parts) {
    if (part.kind !== 'tokens') {
      if (padded) throw amongPadding(tokens.length + padding);
      for (let i = 0; i < countOf(part, prompt.given); i++)
        found.push(named(part.kind === 'added' ? `learned row ${++learned}` : `${part.name} ${i}`, noId, true));
      continue;
    }
    const length = tokens.length + padding;
    const place = (at: number) => (at < 0 ? at + length : at);
    const end = place(part.to ?? length);
    for (const token of tokens.slice(place(part.from), end)) found.push(token);
    padded ||= end > tokens.length;
  }
  return { ...prompt, tokens: found, total: prompt.total && prompt.total + found.length - tokens.length };
}

const named = (text: string, id: number, special: boolean): Token => ({ id, text, start: 0, end: 0, special });

/** Rows of a model that takes several inputs for each step. */
function inputRows({ names, inTurn }: Extract<Rows, { kind: 'inputs' }>, count: number): Token[] {
  const steps = count / names.length;
  if (!Number.isInteger(steps)) return Array.from({ length: count }, (_, i) => named(`token ${i}`, i, false));
  return Array.from({ length: count }, (_, i) => {
    const [input, step] = inTurn
      ? [i % names.length, Math.floor(i / names.length)]
      : [Math.floor(i / steps), i % steps];
    return named(`${names[input]} ${step}`, i, false);
  });
}

function amongPadding(length: number): SinkscopeError {
  return new SinkscopeError({
    code: 'input',
    message: `This file was exported for exactly ${grouped(length)} tokens and has learned rows behind them, so that padding would stand among the rows; give it ${grouped(length)} tokens.`,
  });
}
