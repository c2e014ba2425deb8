/** What a survey says, read as a table. */
import { type Survey, type TokenKind, tokenKinds } from '../../engine/contract/surveys.js';
import { mean } from '../../statistics/numbers.js';

/** What stands out at one dim and kind of token. */
export interface SurveyRow {
  readonly dim: number;
  readonly kind: TokenKind;
  /** With at least one entry, and with at least one that is massive by definition. */
  readonly sequences: number;
  readonly massiveSequences: number;
  readonly entries: number;
  /** Of the entries' values; the deviation (n − 1) is undefined for a single one. */
  readonly mean: number;
  readonly deviation: number | undefined;
  /** How many entries are at which token, most first. */
  readonly tokens: readonly { readonly text: string; readonly entries: number }[];
}

/** By dim, then kind of token; entries are added up in the order of sequences, so that parts give the same sums. */
export function surveyRows({ records }: Pick<Survey, 'records'>): SurveyRow[] {
  const groups = new Map<string, Group>();
  for (const { sequence, entries } of records) {
    for (const { dim, kind, token, value, massive } of entries) {
      const key = `${dim} ${kind}`;
      const group: Group = groups.get(key) ?? {
        dim,
        kind,
        all: new Set(),
        massive: new Set(),
        values: [],
        tokens: new Map(),
      };
      groups.set(key, group);
      group.all.add(sequence);
      if (massive) group.massive.add(sequence);
      group.values.push(value);
      group.tokens.set(token, (group.tokens.get(token) ?? 0) + 1);
    }
  }
  const order = (a: Group, b: Group) => a.dim - b.dim || tokenKinds.indexOf(a.kind) - tokenKinds.indexOf(b.kind);
  return [...groups.values()].sort(order).map(rowOf);
}

interface Group {
  readonly dim: number;
  readonly kind: TokenKind;
  readonly all: Set<number>;
  readonly massive: Set<number>;
  readonly values: number[];
  readonly tokens: Map<string, number>;
}

function rowOf({ dim, kind, all, massive, values, tokens }: Group): SurveyRow {
  const centre = mean(values);
  const squares = values.reduce((sum, value) => sum + (value - centre) ** 2, 0);
  return {
    dim,
    kind,
    sequences: all.size,
    massiveSequences: massive.size,
    entries: values.length,
    mean: centre,
    deviation: values.length > 1 ? Math.sqrt(squares / (values.length - 1)) : undefined,
    tokens: [...tokens]
      .map(([text, entries]) => ({ text, entries }))
      .sort((a, b) => b.entries - a.entries || (a.text < b.text ? -1 : 1)),
  };
}

/** What the rows say, in a sentence. */
export function surveyConclusion({ settings, records }: Survey, rows: readonly SurveyRow[]): string {
  const n = records.length;
  const massive = rows.filter(({ massiveSequences }) => 2 * massiveSequences >= n);
  if (massive.length > 0) {
    const named = massive.map(
      ({ dim, kind, massiveSequences }) => `dim ${dim} at the ${place[kind]} (${massiveSequences} of ${n})`,
    );
    return `Massive in at least half of the sequences: ${named.join(', ')}: where they are does not depend on the text.`;
  }
  const large = rows.filter(({ sequences }) => 2 * sequences >= n);
  const named = large.map(({ dim, kind, sequences }) => `dim ${dim} at the ${place[kind]} (${sequences} of ${n})`);
  return large.length > 0
    ? `No entry is massive by definition in half of the sequences; at least ${settings.thresholds.soft} × the median in half of them: ${named.join(', ')}.`
    : 'No dim stands out in half of the sequences: the effect of the paper does not appear in this model.';
}

const place: Readonly<Record<TokenKind, string>> = {
  start: 'first token',
  'first delimiter': 'first delimiter',
  other: 'other tokens',
};
