/** What writing on and following an edit cost, on GPT-2 small's shape with a cache. */
import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import type { Engine } from '../../src/engine/host/engine.js';
import type { Tools } from './experiments.js';
import { type BenchModel, gpt2Shape } from './models.js';

const [tokens, steps] = [256, 16];
const memory = 2 ** 32;
const ids = (count: number) => Array.from({ length: count }, (_, i) => (i * 7919) % 30000);

const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
const milliseconds = (values: readonly number[]) => `${(1000 * median(values)).toFixed(0)} ms`;

/** @param plain the model without a cache, whose memory that of the cache is told by */
export async function live(tools: Tools, model: BenchModel, plain: BenchModel) {
  return [...(await writing(tools, model)), ...(await following(tools, model)), ...(await held(tools, model, plain))];
}

async function writing({ threads, rounds, engine: make, ratios }: Tools, { file }: BenchModel) {
  const engine = make();
  const bare: ChildProcess = fork(join(__dirname, 'steps.js'), [file, `${tokens}`, `${steps}`, `${threads}`]);
  const times: { readonly own: number[]; readonly bare: number[] } = { own: [], bare: [] };
  for (let round = 0; round <= rounds; round++) {
    const seconds = [await write(engine, file, tokens, steps, threads), await answered(bare)] as const;
    if (round > 0) times.own.push(seconds[0].seconds);
    if (round > 0) times.bare.push(seconds[1]);
  }
  engine.dispose();
  bare.removeAllListeners();
  bare.kill();
  const each = times.own.map((seconds) => seconds / steps);
  return [
    {
      what: `a token written with statistics, T = ${tokens}, against a bare session with the same cache`,
      target: '1.15 ×',
      measured: `${ratios(times.own, times.bare).toFixed(2)} × (${milliseconds(each)})`,
    },
  ];
}

/** Seconds from the first token written on, whose step is held against a run of everything; bytes of the cache. */
async function write(engine: Engine, model: string, count: number, most: number, threads: number) {
  let [start, bytes] = [0, 0];
  const sampling = { temperature: 0, topK: 0, topP: 1, seed: 0 };
  const sinks = { epsilon: 0.3, minQueries: 8, minShare: 0.1 };
  const request = { model, prompt: { ids: ids(count) }, tokens: most + 1, sampling, untilEnd: false, sinks };
  for await (const event of engine.run('generate', { ...request, memory, threads })) {
    if (event.type === 'failed') throw new Error(event.problem.message);
    if (event.type === 'written') start ||= performance.now();
    if (event.type === 'generated') bytes = event.cache.bytes;
  }
  return { seconds: (performance.now() - start) / 1000, bytes };
}

const answered = (child: ChildProcess) =>
  new Promise<number>((resolve, reject) => {
    child.removeAllListeners();
    child.once('message', (seconds) => resolve(Number(seconds)));
    child.once('exit', (code) => reject(new Error(`the session ended with code ${code}`)));
    child.send('run');
  });

/** From the request to the last number, as marks are painted then. */
async function following({ threads, rounds, engine: make, takeTurns, ratios }: Tools, { file }: BenchModel) {
  const [edited, other] = [make(), make()];
  let turn = 0;
  /** The text with another token in the place of that at `at`. */
  const run = async (engine: Engine, at: number, isLive: boolean) => {
    const text = ids(tokens);
    text[at] = 30_000 + turn++;
    const request = { model: file, prompt: { ids: text }, attention: true, memory, threads, live: isLive };
    for await (const event of engine.analyze(request))
      if (event.type === 'failed') throw new Error(event.problem.message);
  };
  const contenders = {
    end: () => run(edited, tokens - 1, true),
    middle: async () => {
      await run(edited, tokens / 2, true);
    },
    whole: () => run(other, tokens - 1, false),
  };
  for (let i = 0; i < 2; i++) for (const contender of Object.values(contenders)) await contender();
  const atEnd = await takeTurns({ end: contenders.end, whole: contenders.whole }, 2 * rounds);
  // Each is about the same text as the one before but for what follows the middle.
  const atMiddle = await takeTurns({ middle: contenders.middle, whole: contenders.whole }, rounds);
  edited.dispose();
  other.dispose();
  const figure = (what: string, target: string, times: readonly number[], whole: readonly number[]) => ({
    what: `${what}, T = ${tokens}, against a run of all of it`,
    target,
    measured: `${milliseconds(times)} (${ratios(times, whole).toFixed(2)} ×)`,
  });
  return [
    figure('live: an edit at the end to its last number', '100 ms', atEnd.end, atEnd.whole),
    figure('live: an edit in the middle', '', atMiddle.middle, atMiddle.whole),
  ];
}

/** Peak memory of the child with a cache over that without, of what the tensors of the cache take. */
async function held({ threads, engine: make, peakMemory }: Tools, model: BenchModel, plain: BenchModel) {
  const count = 960;
  const peak = async (file: string) => {
    const engine = make();
    const { bytes } = await write(engine, file, count, 2, threads);
    const most = peakMemory(engine.pid) ?? Number.NaN;
    engine.dispose();
    return { bytes, most };
  };
  const [own, without] = [await peak(model.file), await peak(plain.file)];
  const tensors = 2 * gpt2Shape.layers * gpt2Shape.heads * gpt2Shape.width * 4 * (count + 3);
  return [
    {
      what: `a cache of ${count + 3} tokens: bytes, of its tensors' (${(tensors / 1e6).toFixed(0)} MB)`,
      target: '1.00 ×',
      measured: `${(own.bytes / tensors).toFixed(2)} × (peak ${((own.most - without.most) / 1e6).toFixed(0)} MB above that without)`,
    },
  ];
}
