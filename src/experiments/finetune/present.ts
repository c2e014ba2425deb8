import { counted, formatAligned, formatNumber } from '../../analysis/format.js';
import type { Presentation } from '../../analysis/presentation.js';
import { modelName } from '../../models/find.js';
import { greatest } from '../../statistics/numbers.js';
import { lostWarnings, massiveSettings, windowSettings } from '../shared/settings.js';
import type { NamedText } from '../values.js';
import type { FinetuneResult, Scored, Training } from './compute.js';

/** How many numbers are trained. */
export const parametersOf = ({ adapters, asked: { rank } }: FinetuneResult): number =>
  (adapters?.adapters ?? []).reduce((sum, { inputs, outputs }) => sum + rank * (inputs + outputs), 0);

const perplexityOf = ({ rows }: Scored, name = 'as is'): number =>
  rows.find((row) => row.name === name)?.perplexity ?? Number.NaN;

/** How many times the perplexity is that it is as the model is. */
const times = (scored: Scored, name: string): number => perplexityOf(scored, name) / perplexityOf(scored);

/** What became of the perplexity, and of what depends on massive weights, in sentences. */
export function finetuneConclusion(result: FinetuneResult): string {
  const { scored, trainings, asked } = result;
  const [before, ...after] = scored;
  const [training] = trainings;
  if (!before || !training) return 'Nothing has been trained yet.';
  if (after.length === 0) {
    const last = training.losses.at(-1) ?? Number.NaN;
    return `After ${formatNumber(training.losses.length)} of ${counted(asked.steps, 'step')} the loss of a step is ${formatNumber(last)}, at first ${formatNumber(training.losses[0] ?? Number.NaN)}.`;
  }
  const figures = after.map((one) => `${formatNumber(perplexityOf(one))} ${one.name}`).join(', ');
  const perplexities = `After ${counted(asked.steps, 'step')} the perplexity of held-out text is ${figures}; it was ${formatNumber(perplexityOf(before))} before.`;
  return [perplexities, ...dependence(result)].join(' ');
}

function dependence({ massive, scored }: FinetuneResult): string[] {
  if (!massive) return [];
  const said = (name: string) => scored.map((one) => `${formatAligned(times(one, name))} ${one.name}`).join(', ');
  const rows = `Zeroing ${formatNumber(massive.dims.length)} intermediate dims of block ${massive.block} multiplies perplexity by ${said('zero massive')}; keeping only them by ${said('keep only massive')}.`;
  const [dropped, plain] = ['with MacDrop', 'without MacDrop'].map((name) => scored.find((one) => one.name === name));
  if (!dropped || !plain) return [rows];
  const [one, other] = [dropped, plain].map((scored) => Math.log(times(scored, 'zero massive')));
  const verdict =
    (one ?? 0) < 0.9 * (other ?? 0)
      ? 'With MacDrop the model depends less on its massive weights than without, as in the paper.'
      : 'That a model fine-tuned with MacDrop depends less on its massive weights does not appear here.';
  return [rows, verdict];
}

/** What is to be known of the adapters, in sentences. */
export function adapterWarnings({ adapters, trainings }: FinetuneResult): string[] {
  const { without = [], named = true, together = false } = adapters ?? {};
  const [first] = without;
  const stopped = trainings.filter(({ merged, saved }) => merged === undefined && saved > 0);
  return [
    ...stopped.map(
      ({ folder, saved }) => `The adapter after step ${saved} is in ${folder}; it is merged into no model.`,
    ),
    ...(first
      ? [
          `${counted(without.length, 'product')} that were asked for carry no adapter, as ${first.name} of block ${first.block} (${first.part}): ${first.why}.`,
        ]
      : []),
    ...(named
      ? []
      : [
          'The file does not name its modules, so the adapter’s names are made up: PEFT will not find them in a model.',
        ]),
    ...(together
      ? ['Queries, keys and values could not be told apart in every block, so keys have adapters there as well.']
      : []),
  ];
}

export function presentFinetune(
  result: FinetuneResult,
  { text, heldOut }: { readonly text: NamedText; readonly heldOut: NamedText | undefined },
): Presentation {
  const { asked, windows, trained, massive, adapters, trainings, scored } = result;
  const { steps, batch, rate, rank, target, seed, macdrop, model } = asked;
  const held = counted(result.heldOut.sequences.length, 'window');
  return {
    title: 'Fine-tuning',
    sentence: finetuneConclusion(result),
    settings: [
      { name: 'model', value: modelName(model) },
      { name: 'text', value: `${text.name}, ${counted(trained, 'window')}` },
      { name: 'held out', value: heldOut ? `${heldOut.name}, ${held}` : `its last ${held}` },
      ...windowSettings(windows),
      { name: 'steps', value: `${formatNumber(steps)} of ${counted(batch, 'window')}` },
      { name: 'learning rate', value: `${rate}` },
      { name: 'rank', value: `${rank} (α ${2 * rank})` },
      { name: 'adapters', value: target === 'qv' ? 'of queries and values' : 'of all products' },
      { name: 'parameters', value: formatNumber(parametersOf(result)) },
      ...(macdrop === undefined ? [] : [{ name: 'MacDrop', value: `from ${macdrop} to 0` }]),
      ...massiveSettings(asked.thresholds),
      { name: 'seed', value: `${seed}` },
      { name: 'saved', value: asked.folder },
    ],
    warnings: [...result.warnings, ...adapterWarnings(result), ...lostWarnings(windows)],
    parts: [
      lossesPart(trainings),
      ...(macdrop === undefined ? [] : [probabilitiesPart(trainings)]),
      {
        kind: 'table',
        heading: 'Perplexity of held-out text',
        columns: [
          { name: 'model' },
          { name: 'as is', format: 'fixed' },
          { name: '95 % from', format: 'fixed' },
          { name: 'to', format: 'fixed' },
          ...(massive
            ? [
                { name: 'zero massive', format: 'fixed' } as const,
                { name: 'keep only massive', format: 'fixed' } as const,
              ]
            : []),
        ],
        rows: scored.map((one) => [
          one.name,
          perplexityOf(one),
          ...(one.rows[0]?.interval ?? []),
          ...(massive ? ['zero massive', 'keep only massive'].map((name) => perplexityOf(one, name)) : []),
        ]),
      },
      {
        kind: 'table',
        heading: 'Adapters',
        columns: [
          { name: 'module' },
          { name: 'block', format: 'plain' },
          { name: 'part' },
          { name: 'inputs' },
          { name: 'outputs' },
        ],
        rows: (adapters?.adapters ?? []).map(({ module, block, part, inputs, outputs }) => {
          return [module, block, part, inputs, outputs];
        }),
      },
    ],
  };
}

const stepsOf = (trainings: readonly Training[]) => {
  const longest = greatest(
    trainings.map(({ losses }) => losses.length),
    0,
  );
  return Array.from({ length: longest }, (_, i) => i + 1);
};

function lossesPart(trainings: readonly Training[]): Presentation['parts'][number] {
  const values = stepsOf(trainings);
  return {
    kind: 'lines',
    heading: 'Loss by step',
    x: { name: 'step', values },
    y: { name: 'nats', format: 'fixed', log: false },
    lines: trainings.map(({ name, losses }) => ({ name, values: values.map((step) => losses[step - 1] ?? null) })),
  };
}

function probabilitiesPart(trainings: readonly Training[]): Presentation['parts'][number] {
  const values = stepsOf(trainings);
  return {
    kind: 'lines',
    heading: 'Probability that an entry of a massive weight is dropped',
    x: { name: 'step', values },
    y: { name: 'probability', format: 'fixed', log: false },
    lines: trainings.map(({ name, probabilities }) => ({
      name,
      values: values.map((step) => probabilities[step - 1] ?? null),
    })),
  };
}
