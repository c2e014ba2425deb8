import { counted } from '../../analysis/format.js';
import { textLabel } from '../../analysis/label.js';
import type { Presentation } from '../../analysis/presentation.js';
import { modelName } from '../../models/find.js';
import { greatest } from '../../statistics/numbers.js';
import { leftOfPrompt } from '../shared/prompt.js';
import { massiveSettings } from '../shared/settings.js';
import type { NamedText } from '../values.js';
import { changeInWords, type Steered, type SteerResult, steerConclusion } from './compute.js';

/** Of what is given that which results name. */
export interface SteerNames {
  readonly text: Pick<NamedText, 'name'>;
  /** The file of the positive prompts. */
  readonly positive: string | undefined;
}

export function presentSteer(result: SteerResult, { text, positive }: SteerNames): Presentation {
  const { model, ids, bos, tokens, prompts, norm, thresholds, before, after } = result;
  const kinds = positive === undefined ? ['prompts of joy', 'of grief'] : ['positive', 'negative prompts'];
  const ranks = greatest([before.top.length, after.top.length]);
  const next = ({ top }: Steered, rank: number) => {
    const one = top[rank];
    return one ? [textLabel(one.text, one.id), one.probability] : [null, null];
  };
  const entries = [...before.massive, ...after.massive].filter(
    ({ token, dim }, i, all) => all.findIndex((one) => one.token === token && one.dim === dim) === i,
  );
  const values = ({ massive }: Steered, token: number, dim: number) => {
    const found = massive.find((one) => one.token === token && one.dim === dim);
    return found ? [found.value, found.ratio] : [null, null];
  };
  const named = (token: number) => {
    const one = tokens[token];
    return one ? `${token} ${textLabel(one.text, one.id)}` : `${token}`;
  };
  return {
    title: 'Steering',
    sentence: steerConclusion(result),
    settings: [
      { name: 'model', value: modelName(model) },
      { name: 'text', value: text.name },
      { name: 'T', value: counted(ids.length, 'token') },
      { name: 'BOS', value: bos ? 'on' : 'off' },
      { name: 'change', value: changeInWords(result) },
      {
        name: 'direction',
        value: `${prompts ? `${prompts.positive} ${kinds[0]} − ${prompts.negative} ${kinds[1]}` : 'of a file'}, L2 norm ${norm.toPrecision(4)}`,
      },
      ...massiveSettings(thresholds),
    ],
    warnings: leftOfPrompt(result),
    parts: [
      {
        kind: 'table',
        heading: 'Before and after',
        columns: [{ name: 'what' }, { name: 'before', format: 'fixed' }, { name: 'after', format: 'fixed' }],
        rows: [
          ['perplexity', Math.exp(before.loss), Math.exp(after.loss)],
          ['loss (nats)', before.loss, after.loss],
        ],
      },
      {
        kind: 'table',
        heading: 'Predictions after the last token',
        columns: [
          { name: 'rank' },
          { name: 'before' },
          { name: 'probability', format: 'share' },
          { name: 'after' },
          { name: 'probability', format: 'share' },
        ],
        rows: Array.from({ length: ranks }, (_, rank) => [`${rank + 1}.`, ...next(before, rank), ...next(after, rank)]),
      },
      {
        kind: 'lines',
        heading: 'Largest |h| by layer',
        x: { name: 'layer', values: before.largest.map((_, k) => k) },
        y: { name: 'largest |h|', log: true },
        lines: [
          { name: 'before', values: before.largest },
          { name: 'after', values: after.largest },
        ],
      },
      {
        kind: 'table',
        heading: 'Massive activations',
        columns: [
          { name: 'token' },
          { name: 'dim', format: 'plain' },
          { name: 'before', format: 'signed' },
          { name: '÷ median', format: 'ratio' },
          { name: 'after', format: 'signed' },
          { name: '÷ median', format: 'ratio' },
        ],
        rows: entries.map(({ token, dim }) => [
          named(token),
          dim,
          ...values(before, token, dim),
          ...values(after, token, dim),
        ]),
      },
    ],
  };
}
