import { formatShare } from '../../analysis/format.js';
import type { MassiveActivation } from '../../analysis/massive.js';
import type { Presentation } from '../../analysis/presentation.js';
import { modelName } from '../../models/find.js';
import { blocksTable } from '../shared/blocks.js';
import { lostWarnings, massiveSettings, windowSettings } from '../shared/settings.js';
import type { NamedText } from '../values.js';
import { type QuantisedResult, quantisedConclusion } from './compute.js';

export function presentQuantised(result: QuantisedResult, { text }: { readonly text: NamedText }): Presentation {
  const { reference, model, windows, thresholds, differences, massive, perplexity, kld, sqnr, swap } = result;
  const names = { reference: modelName(reference), model: modelName(model) };
  const called = names.reference === names.model ? { reference: 'as it was', model: 'quantised' } : names;
  return {
    title: 'Compare with a quantised file',
    sentence: quantisedConclusion(result),
    settings: [
      { name: 'model', value: names.reference },
      { name: 'quantised', value: names.model },
      { name: 'text', value: text.name },
      ...windowSettings(windows, perplexity.reference.tokens),
      ...massiveSettings(thresholds),
      { name: 'stands out', value: `≥ ${thresholds.soft} × median` },
    ],
    warnings: lostWarnings(windows),
    parts: [
      {
        kind: 'bars',
        heading: 'Perplexity',
        value: { name: 'perplexity', format: 'fixed' },
        log: true,
        reference: perplexity.reference.perplexity,
        bars: (['reference', 'model'] as const).map((which) => {
          const { perplexity: value, interval } = perplexity[which];
          return { name: called[which], value, interval };
        }),
      },
      {
        kind: 'table',
        heading: 'How far predictions move',
        columns: [{ name: 'measure' }, { name: 'value' }],
        rows: [
          ['KL divergence, mean (nats)', kld.mean],
          ['median', kld.median],
          ['99th percentile', kld.p99],
          ['maximum', kld.max],
          ['same most likely token', formatShare(result.sameTop)],
          ['RMS change of the next token’s probability', formatShare(result.rmsDp)],
        ],
      },
      blocksTable({ kld: kld.mean, sqnr, swap, massive }),
      {
        kind: 'lines',
        heading: 'How far hidden states move',
        x: { name: 'layer', values: differences.map((_, k) => k) },
        y: { name: 'difference ÷ norm', format: 'share', log: false },
        lines: [
          { name: 'all entries', values: differences.map(({ all }) => all) },
          { name: 'without what stands out', values: differences.map(({ rest }) => rest) },
        ],
      },
      {
        kind: 'table',
        heading: 'Massive and large activations in both',
        columns: [
          { name: 'token' },
          { name: 'dim', format: 'plain' },
          { name: 'kind' },
          { name: 'layer', format: 'plain' },
          ...[called.reference, called.model].map((name) => ({ name, format: 'value' }) as const),
        ],
        rows: bothOf(massive).map(({ token, dim, kind, layer, reference, model }) => [
          `${token}`,
          dim,
          kind,
          layer,
          reference ?? 'does not stand out',
          model ?? 'does not stand out',
        ]),
      },
    ],
  };
}

/** Each entry once: where its ratio peaks, and its value there in either file; undefined where it does not stand out. */
function bothOf({ reference, model }: QuantisedResult['massive']) {
  const valueIn = (found: readonly MassiveActivation[], { token, dim, layer }: MassiveActivation) =>
    found.find((entry) => entry.token === token && entry.dim === dim)?.values[layer];
  const gained = model.filter(
    ({ token, dim }) => !reference.some((entry) => entry.token === token && entry.dim === dim),
  );
  return [...reference, ...gained].map((entry) => ({
    ...entry,
    reference: valueIn(reference, entry),
    model: valueIn(model, entry),
  }));
}
