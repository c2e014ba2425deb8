/** What a head that is no vocabulary's gives, in words and as cells: the same on the command line and in the panel. */
import type { HeadOutput, OutputEntry } from '../engine/contract/events.js';
import type { Analysis } from './analysis.js';
import { formatNumber, formatShare } from './format.js';

const kinds: Readonly<Record<HeadOutput['kind'], string>> = {
  classes: 'classes',
  score: 'a score',
  places: 'a score of each token',
  embedding: 'an embedding',
  values: 'values',
};

/** `logits: classes (by its name)` */
export function outputHeading({ name, kind, how }: HeadOutput): string {
  return `${name}: ${kinds[kind]} (${how})`;
}

/** One line of an output: of a class, of a token, or of a whole vector. */
export interface OutputLine {
  /** The token it is about: of `places` the one that has the score. */
  readonly token: number | undefined;
  readonly label: string;
  readonly value: string;
  /** A probability in words; empty where there is none. */
  readonly share: string;
}

/**
 * The lines of an output, largest first in each row.
 *
 * @param token the row of that token alone, where rows are tokens
 * @param most lines of one row
 */
export function outputLines(
  output: HeadOutput,
  { token, most = 10 }: { token?: number; most?: number } = {},
): OutputLine[] {
  const perToken = output.rows.some((row) => row.token !== undefined);
  const rows = perToken && token !== undefined ? output.rows.filter((row) => row.token === token) : output.rows;
  return rows.flatMap(({ token: of, norm, top }): OutputLine[] => {
    if (top.length === 0) return [{ token: of, label: 'norm', value: formatNumber(norm), share: '' }];
    return top
      .slice(0, most)
      .map((entry) => ({ ...lineOf(entry), token: output.kind === 'places' ? entry.index : of }));
  });
}

const lineOf = ({ label, value, probability }: OutputEntry): Omit<OutputLine, 'token'> => ({
  label,
  value: formatNumber(value),
  share: probability === undefined ? '' : formatShare(probability),
});

/** Inputs that were fed by a choice nobody made, in words: `bbox: places of tokens … zeros`. */
export function guessedInputs({ started }: Analysis): string[] {
  return (started?.inputs ?? []).filter(({ guessed }) => guessed).map(({ name, how }) => `${name} guessed: ${how}`);
}
