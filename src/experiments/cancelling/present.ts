import { quotedLabel } from '../../analysis/label.js';
import type { Presentation } from '../../analysis/presentation.js';
import { partWarnings, runSettings } from '../shared/settings.js';
import type { NamedText } from '../values.js';
import { type CancellingResult, cancellingConclusion } from './compute.js';

/** Weights that are shown. */
const shown = 16;

export function presentCancelling(result: CancellingResult, { text }: { readonly text: NamedText }): Presentation {
  const { token, dim, hidden, parts, sequence } = result;
  const label = sequence[token];
  const blocks = hidden.slice(1).map((_, i) => i + 1);
  const added = (part: CancellingResult['parts'][number]['part']) => ({
    name: part,
    values: blocks.map((block) => parts.find((one) => one.part === part && one.block === block)?.added ?? null),
  });
  const kinds = (['attention', 'mlp', 'block'] as const).filter((kind) => parts.some(({ part }) => part === kind));
  const products = parts
    .flatMap(({ part, block, made }) =>
      (made?.entries ?? []).map(({ column, read, value }) => ({ part, block, column, read, value })),
    )
    .toSorted((a, b) => Math.abs(b.read * b.value) - Math.abs(a.read * a.value))
    .slice(0, shown);
  return {
    title: 'What cancels massive activations',
    sentence: cancellingConclusion(result),
    settings: [
      ...runSettings(result),
      { name: 'text', value: text.name },
      { name: 'entry', value: `dim ${dim} of token ${token}${label ? `, ${quotedLabel(label)}` : ''}` },
    ],
    warnings: partWarnings(result),
    parts: [
      {
        kind: 'lines',
        heading: 'What is added to the entry, by block',
        x: { name: 'block', values: blocks },
        y: { name: 'added', log: false },
        lines: kinds.map(added),
      },
      {
        kind: 'lines',
        heading: 'The entry by layer',
        x: { name: 'layer', values: hidden.map((_, layer) => layer) },
        y: { name: 'value', log: false },
        lines: [{ name: `dim ${dim}`, values: hidden }],
      },
      {
        kind: 'table',
        heading: 'What is added, by part',
        columns: [
          { name: 'block', format: 'plain' },
          { name: 'part' },
          { name: 'added', format: 'value' },
          { name: 'most by entry', format: 'plain' },
          { name: 'read', format: 'value' },
          { name: 'weight', format: 'value' },
        ],
        rows: parts.map(({ block, part, added: value, made }) => {
          const first = made?.entries[0];
          return [block, part, value, first?.column ?? null, first?.read ?? null, first?.value ?? null];
        }),
        layers: parts.map(({ block }) => block),
      },
      ...(products.length > 0
        ? [
            {
              kind: 'table',
              heading: 'Weights that make and cancel it',
              columns: [
                { name: 'block', format: 'plain' },
                { name: 'part' },
                { name: 'row (gives)', format: 'plain' },
                { name: 'column (reads)', format: 'plain' },
                { name: 'read', format: 'value' },
                { name: 'weight', format: 'value' },
                { name: 'product', format: 'value' },
              ],
              rows: products.map(({ block, part, column, read, value }) => [
                block,
                part,
                dim,
                column,
                read,
                value,
                read * value,
              ]),
              layers: products.map(({ block }) => block),
            } as const,
          ]
        : []),
    ],
  };
}
