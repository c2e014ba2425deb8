/** What going back costs: gradients against the way there, patching and attribution against forward runs. */
import type { Engine } from '../../src/engine/host/engine.js';
import type { Tools } from './experiments.js';
import type { BenchModel } from './models.js';

const ample = 2 ** 32;
/** Has no room for sessions that stay: blocks are made for each run. */
const tight = 2 ** 28;
const ids = (start: number, length: number) => Array.from({ length }, (_, i) => ((start + i) * 7919) % 30000);

const runFailed = (message: string) => new Error(message);

/** Seconds there (up to the number that is differentiated) and back. */
async function gradients(engine: Engine, model: BenchModel, tokens: number, threads: number) {
  const start = performance.now();
  let there = Number.NaN;
  const request = { model: model.file, prompt: { ids: ids(0, tokens) }, of: { kind: 'loss' } as const };
  for await (const event of engine.run('gradients', { ...request, memory: ample, threads })) {
    if (event.type === 'failed') throw runFailed(event.problem.message);
    if (event.type === 'objective') there = performance.now() - start;
  }
  return { there, back: performance.now() - start - there };
}

/** One sequence, and where there are `patches` the same with one state of another sequence, everywhere in turn. */
async function score(
  engine: Engine,
  model: BenchModel,
  tokens: number,
  threads: number,
  layers: number,
  memory = ample,
) {
  const plain = { name: '', interventions: [] };
  const everywhere = Array.from({ length: layers * tokens }, (_, i) => ({
    ...plain,
    patches: [
      {
        point: 'resid_post' as const,
        block: 1 + Math.floor(i / tokens),
        tokens: [i % tokens],
        dims: 'all' as const,
      },
    ],
  }));
  const sequence = {
    ids: ids(0, tokens),
    from: tokens,
    answers: [1, 2] as const,
    ...(layers > 0 && { other: ids(5, tokens) }),
    variants: [plain, ...everywhere],
  };
  const events = engine.run('measure', { model: model.file, sequences: [sequence], memory, threads });
  for await (const event of events) if (event.type === 'failed') throw runFailed(event.problem.message);
}

async function attribute(engine: Engine, model: BenchModel, tokens: number, threads: number, layers: number) {
  const request = {
    model: model.file,
    clean: ids(0, tokens),
    corrupt: ids(5, tokens),
    answers: [1, 2] as const,
    point: 'resid_post' as const,
    blocks: Array.from({ length: layers + 1 }, (_, k) => k),
  };
  for await (const event of engine.run('attribute', { ...request, memory: ample, threads }))
    if (event.type === 'failed') throw runFailed(event.problem.message);
}

/** GPT-2 small's shape. */
export async function backward(tools: Tools, model: BenchModel) {
  const { threads } = tools;
  const [layers, long, short] = [12, 512, 16];
  const rounds = Math.min(3, tools.rounds);
  const [back, plain, anew] = [tools.engine(), tools.engine(), tools.engine()];
  const [patched, attributed] = [tools.engine(), tools.engine()];
  const shares: number[] = [];
  for (let round = 0; round <= rounds; round++) {
    const { there, back: returned } = await gradients(back, model, long, threads);
    if (round > 0) shares.push(returned / there);
  }
  const contenders = {
    forward: () => score(plain, model, short, threads, 0),
    patched: () => score(patched, model, short, threads, layers),
  };
  for (const contender of Object.values(contenders)) await contender();
  const times = await tools.takeTurns(contenders, rounds);
  const looks = {
    // Its own runs there and back make their blocks as well.
    forward: () => score(anew, model, long, threads, 0, tight),
    warm: () => score(plain, model, long, threads, 0),
    attributed: () => attribute(attributed, model, long, threads, layers),
  };
  for (const look of Object.values(looks)) await look();
  const seen = await tools.takeTurns(looks, rounds);
  for (const engine of [back, plain, anew, patched, attributed]) engine.dispose();
  const cells = layers * short;
  return [
    {
      what: `gradients, T = ${long}: the way back against the way there, head included`,
      target: '2.50 ×',
      measured: `${tools
        .ratios(
          shares,
          shares.map(() => 1),
        )
        .toFixed(2)} ×`,
    },
    {
      what: `patching ${layers} × ${short} states, against as many forward runs`,
      target: '0.60 ×',
      measured: `${tools
        .ratios(
          times.patched,
          times.forward.map((seconds) => seconds * cells),
        )
        .toFixed(2)} ×`,
    },
    {
      what: `attribution patching, T = ${long}, against a forward run that makes its blocks as well`,
      target: '4.00 ×',
      measured: `${tools.ratios(seen.attributed, seen.forward).toFixed(2)} ×`,
    },
    {
      what: 'the same, against a forward run with blocks that were kept',
      target: '',
      measured: `${tools.ratios(seen.attributed, seen.warm).toFixed(2)} ×`,
    },
  ];
}

/** Peak of the child on a model that is larger than what it may hold, T = 128, and of an analysis of the same. */
export async function backwardMemory(tools: Tools, model: BenchModel) {
  const { threads } = tools;
  const [there, back] = [tools.engine(), tools.engine()];
  const request = { model: model.file, prompt: { ids: ids(0, 128) }, attention: false };
  for await (const event of there.analyze({ ...request, memory: ample, threads }))
    if (event.type === 'failed') throw runFailed(event.problem.message);
  await gradients(back, model, 128, threads);
  const [forward, peak] = [there, back].map(({ pid }) => tools.peakMemory(pid));
  for (const engine of [there, back]) engine.dispose();
  const gigabytes = (bytes: number | undefined) =>
    bytes === undefined ? 'not known on this system' : `${(bytes / 1e9).toFixed(2)} GB`;
  return [
    {
      what: `gradients, peak memory of the child, ${(model.weightBytes / 4e9).toFixed(2)} billion parameters, T = 128`,
      target: '1.20 GB',
      measured: gigabytes(peak),
    },
    {
      what: "the same, against an analysis' peak and what two blocks compute",
      target: gigabytes(forward === undefined ? undefined : forward + 2 * blockActivations(128)),
      measured: gigabytes(peak),
    },
  ];
}

/** Bytes of all that a block of the model with 1.2 billion parameters computes: states, gated MLP, scores. */
const blockActivations = (tokens: number): number => 4 * tokens * (10 * 2048 + 4 * 8192 + 3 * 32 * tokens);
