/** What experiments cost: perplexity and interventions against plain runs, and the memory of a survey. */

import type { Intervention } from '../../src/engine/contract/interventions.js';
import type { Engine } from '../../src/engine/host/engine.js';
import type { BenchModel } from './models.js';

/** What the bench lends. */
export interface Tools {
  readonly threads: number;
  engine(): Engine;
  worker(name: string, model: BenchModel, tokens: number): { run(): Promise<void>; end(): void };
  takeTurns<Name extends string>(
    contenders: Record<Name, () => Promise<unknown>>,
  ): Promise<Record<Name, readonly number[]>>;
  ratios(values: readonly number[], references: readonly number[]): number;
  /** Bytes. */
  peakMemory(pid: number | undefined): number | undefined;
}

const [window, windows] = [256, 4];
const memory = 2 ** 32;

const sequence = (start: number, length: number) => Array.from({ length }, (_, i) => ((start + i) * 7919) % 30000);

/** Windows of GPT-2 small's shape, sessions kept, against plain runs with all logits over as many tokens. */
export async function experiments(tools: Tools, model: BenchModel) {
  const { threads } = tools;
  const engine = tools.engine();
  const bare = tools.worker('bare', model, window);
  const sequences = Array.from({ length: windows }, (_, i) => ({ ids: sequence(i * window, window), from: 1 }));
  const measure = async (...changes: (readonly Intervention[])[]) => {
    const variants = changes.map((interventions, i) => ({ name: `${i}`, interventions }));
    const request = { model: model.file, sequences, variants, memory, threads };
    for await (const event of engine.measure(request))
      if (event.type === 'failed') throw new Error(event.problem.message);
  };
  const zero: Intervention = {
    point: 'resid_post',
    block: changedBlock,
    tokens: [0],
    dims: [447],
    set: { to: 'zero' },
  };
  const contenders = {
    bare: async () => {
      for (let i = 0; i < windows; i++) await bare.run();
    },
    plain: () => measure([]),
    changed: () => measure([], [zero]),
  };
  for (const contender of Object.values(contenders)) await contender();
  const times = await tools.takeTurns(contenders);
  engine.dispose();
  bare.end();
  const added = times.changed.map((both, round) => both - (times.plain[round] ?? Number.NaN));
  const share = tools.ratios(added, times.plain);
  return [
    {
      what: `perplexity, ${windows} windows of ${window}, against bare runs of them`,
      target: '1.10 ×',
      measured: `${tools.ratios(times.plain, times.bare).toFixed(2)} ×`,
    },
    {
      what: `intervention after block ${changedBlock} of ${blocks}, of a plain run (head and blocks after it × 1.1)`,
      target: `${(110 * restShare).toFixed(0)} %`,
      measured: `${(100 * share).toFixed(0)} %`,
    },
  ];
}

/** Of GPT-2 small's shape: parameters of a block and of the output head, which the work goes by. */
const [blocks, changedBlock, blockParameters, headParameters] = [12, 8, 12 * 768 ** 2, 50257 * 768];
const restShare =
  ((blocks - changedBlock) * blockParameters + headParameters) / (blocks * blockParameters + headParameters);

/** Peak memory of the child after a tenth of a survey, and after all of it. */
export async function surveyMemory(tools: Tools, model: BenchModel) {
  const peaks: (number | undefined)[] = [];
  for (const count of [10, 100]) {
    const engine = tools.engine();
    const sequences = Array.from({ length: count }, (_, i) => sequence(i * 128, 128));
    const request = { model: model.file, sequences, memory, threads: tools.threads };
    for await (const event of engine.states(request)) {
      if (event.type === 'failed') throw new Error(event.problem.message);
      if (event.type === 'states' && event.sequence === count - 1) peaks.push(tools.peakMemory(engine.pid));
    }
    engine.dispose();
  }
  const [few = Number.NaN, many = Number.NaN] = peaks;
  return [
    {
      what: 'survey, peak memory of 100 sequences against 10',
      target: '1.05 ×',
      measured: `${(many / few).toFixed(2)} × (${(many / 1e9).toFixed(2)} GB)`,
    },
  ];
}
