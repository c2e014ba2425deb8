import { counted } from '../../analysis/format.js';
import type { BarsPart, HeatmapPart, Presentation } from '../../analysis/presentation.js';
import { modelName } from '../../models/find.js';
import { finite, greatest } from '../../statistics/numbers.js';
import { contrast } from '../shared/answers.js';
import { byHead } from '../shared/heatmaps.js';
import { leftOfPrompt } from '../shared/prompt.js';
import { calibrationSetting } from '../shared/settings.js';
import type { NamedText } from '../values.js';
import { type AblateResult, ablateConclusion, type Scores } from './compute.js';

export function presentAblate(
  result: AblateResult,
  texts: { readonly text: Pick<NamedText, 'name'>; readonly calibration?: Pick<NamedText, 'name'> },
): Presentation {
  const { model, set, calibrated, answers, asIs, heads, mlps, ids, bos } = result;
  const layers = [...new Set(heads.map(({ block }) => block))];
  const most = 1 + greatest(heads.map(({ head }) => head));
  const change = (scores: Scores | undefined, of: keyof Scores) =>
    finite((scores?.[of] ?? Number.NaN) - (asIs[of] ?? Number.NaN));
  const cells = (of: keyof Scores, heading: string, name: string): HeatmapPart => ({
    heading,
    ...byHead(layers, most, (row, head) =>
      change(
        heads.find((one) => one.block === layers[row] && one.head === head),
        of,
      ),
    ),
    value: { name, format: 'signed' },
    scale: 'diverging',
  });
  const bars = (of: keyof Scores, heading: string, name: string): BarsPart => ({
    kind: 'bars',
    heading,
    value: { name, format: 'signed' },
    log: false,
    reference: 0,
    bars: mlps.map((mlp) => ({ name: `${mlp.block}`, value: change(mlp, of) ?? Number.NaN })),
  });
  return {
    title: 'Ablation',
    sentence: ablateConclusion(result),
    settings: [
      { name: 'model', value: modelName(model) },
      { name: 'text', value: texts.text.name },
      { name: 'T', value: counted(ids.length, 'token') },
      { name: 'BOS', value: bos ? 'on' : 'off' },
      { name: 'set to', value: set },
      ...(texts.calibration && calibrated > 0 ? [calibrationSetting(texts.calibration.name, calibrated)] : []),
      ...(answers
        ? [{ name: 'answers', value: answers.map(({ text }) => JSON.stringify(text)).join(' against ') }]
        : []),
    ],
    warnings: leftOfPrompt(result),
    parts: [
      ...(answers
        ? [
            cells('difference', 'Logit difference without one head: minus as is', `change of the ${contrast(answers)}`),
            bars('difference', 'Logit difference without one MLP, by layer: minus as is', 'change'),
          ]
        : []),
      cells('loss', 'Loss without one head: minus as is', 'change in nats'),
      bars('loss', 'Loss without one MLP, by layer: minus as is', 'change in nats'),
      {
        kind: 'table',
        heading: 'As it is',
        columns: [{ name: 'what' }, { name: 'value', format: 'signed' }],
        rows: [['loss', asIs.loss], ...(asIs.difference === undefined ? [] : [['logit difference', asIs.difference]])],
      },
    ],
  };
}
