/**
 * `npm run fuzz -- --count N --seed S [--kind K]`: inputs of every kind, damaged as their seeds say, go through the
 * real engine process, and every eighth through the command line. What breaks a rule is made smaller and told.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import fc from 'fast-check';
import { emptyAnalysis, fold } from '../../src/analysis/analysis.js';
import { toJson } from '../../src/analysis/result.js';
import { defaultThresholds } from '../../src/analysis/thresholds.js';
import { report } from '../../src/cli/report.js';
import { lineOf } from '../../src/cli/terminal.js';
import type { RunRequest } from '../../src/engine/contract/events.js';
import { Engine } from '../../src/engine/host/engine.js';
import { type Problem, SinkscopeError } from '../../src/errors.js';
import { openSafetensors } from '../../src/statistics/safetensors.js';
import type { Ask, Case, CommandAsk, Content } from './case.js';
import { spread } from './damage.js';
import { kinds } from './inputs.js';
import {
  checkBuilt,
  forgetPeak,
  limits,
  makePlace,
  type Place,
  root,
  run,
  strays,
  tellProgress,
  watch,
  wrongAbout,
  wrongIn,
} from './watch.js';

/** Which case: the same seed makes another one of another kind. */
export interface Key {
  readonly kind: string;
  readonly seed: number;
}

/** A case that broke rules. */
export interface Broken extends Key {
  /** Which ones, as sentences. */
  readonly wrong: readonly string[];
  /** The smallest recipe that breaks the first of them. */
  readonly recipe: string;
  /** What does it again. */
  readonly command: string;
}

/** How a case went. */
interface Tried {
  /** `finished`, or the code of what stopped it. */
  readonly outcome: string;
  readonly wrong: readonly string[];
  /** Of processor time. */
  readonly seconds: number;
  /** Bytes. */
  readonly memory: number;
}

export interface Campaign {
  readonly broken: readonly Broken[];
  /** By kind. */
  readonly tried: ReadonlyMap<string, readonly Tried[]>;
}

/** A case that must go well is run after so many. */
const controlEvery = 50;
/** How long a case may be made smaller, ms. */
const shrinking = 60_000;

/** Cases of every kind in turn, or of one, with seeds from `start` on. */
export function casesFrom(start: number, count: number, kind?: string): Key[] {
  const names = kind === undefined ? Object.keys(kinds) : [kind];
  return Array.from({ length: count }, (_, index) => ({
    kind: names[index % names.length] ?? '',
    seed: start + index,
  }));
}

/**
 * Tries cases.
 *
 * @param jobs how many at a time
 * @param tell hears of each that breaks a rule at once; the first of its kind to break one is made smaller for it
 */
export async function fuzz(cases: readonly Key[], jobs: number, tell?: (broken: Broken) => void): Promise<Campaign> {
  checkBuilt();
  const base = makePlace();
  // Engines inherit it.
  const environment = process.env;
  process.env = { ...environment, ...base.env };
  const broken: Broken[] = [];
  const all = new Map<string, Tried[]>();
  let next = 0;
  let done = 0;

  async function work(): Promise<void> {
    const bench = new Bench(base);
    try {
      for (let one = cases[next++]; one; one = cases[next++]) {
        const isNew = (rule: string) => !broken.some(({ kind, wrong }) => kind === one.kind && isLike(rule, wrong[0]));
        const { tried, recipe } = await once(bench, one, (rule) => tell !== undefined && isNew(rule));
        all.set(one.kind, [...(all.get(one.kind) ?? []), tried]);
        if (tell) tellProgress(++done, cases.length);
        const control = next % controlEvery === 0 ? await bench.control() : [];
        const wrong = [...tried.wrong, ...control];
        if (wrong.length === 0) continue;
        const found = { ...one, wrong, recipe, command: again(one) };
        broken.push(found);
        tell?.(found);
      }
    } finally {
      bench.dispose();
    }
  }
  try {
    await Promise.all(Array.from({ length: jobs }, work));
  } finally {
    process.env = environment;
    rmSync(base.folder, { recursive: true, force: true });
  }
  return { broken, tried: all };
}

const again = ({ kind, seed }: Key) => `npm run fuzz -- --kind ${kind} --seed ${seed} --count 1`;

/**
 * One case by its kind and seed.
 *
 * @param shrinks whether a case that breaks this rule is made smaller
 * @returns how it went, and the smallest recipe that breaks the same rule
 */
async function once(bench: Bench, { kind: name, seed }: Key, shrinks: (rule: string) => boolean) {
  const kind = kinds[name];
  if (!kind) throw new Error(`There is no kind of input called ${name}; there are ${Object.keys(kinds).join(', ')}.`);
  let first: Tried | undefined;
  let deadline = 0;
  const { counterexample } = await fc.check(
    fc.asyncProperty(kind.recipe, async (recipe) => {
      // Smaller ones that are not tried count as sound.
      if (first && performance.now() > deadline) return true;
      const tried = await bench.try(kind.made(recipe), seed % 8 === 7);
      if (first) return !tried.wrong.some((rule) => isLike(rule, first?.wrong[0]));
      first = tried;
      const [rule] = tried.wrong;
      if (rule !== undefined && shrinks(rule)) deadline = performance.now() + shrinking;
      return rule === undefined;
    }),
    { seed: spread(seed), numRuns: 1 },
  );
  if (!first) throw new Error('nothing was tried');
  return { tried: first, recipe: counterexample ? fc.stringify(counterexample[0]) : '' };
}

/** What a rule says, whatever the case. */
const general = (rule: string) =>
  rule
    .replace(/"[^"]*"|'[^']*'/g, '…')
    .replace(/\d+/g, 'n')
    .slice(0, 80);

const isLike = (rule: string, other = '') => general(rule) === general(other);

/** Where cases are tried: an engine that stays, and is put away with a case that broke a rule. */
class Bench {
  private engine = makeEngine();
  private expected: string | undefined;

  constructor(private readonly base: Place) {}

  async try(given: Case, throughCli: boolean): Promise<Tried> {
    const place = makePlace(this.base.folder);
    try {
      for (const [name, content] of Object.entries(given.files)) put(join(place.given, name), content);
      const tried =
        throughCli || isForCommand(given.ask)
          ? await throughCommandLine(place, given.ask)
          : await throughEngine(this.engine, place, given.ask);
      const saved = 'save' in given.ask && given.ask.save && tried.outcome === 'finished' ? [result(place)] : [];
      const wrong = [...tried.wrong, ...(await wrongWith(saved))];
      const left = [...strays(place, saved), ...strays(this.base, [])];
      wrong.push(...left.map((file) => `left the file ${file.replace(/\d+/g, 'n')}`));
      if (wrong.length > 0) this.renew();
      return { ...tried, wrong };
    } finally {
      rmSync(place.folder, { recursive: true, force: true });
    }
  }

  /** What is wrong about a sound case, which must be as it was the first time. */
  async control(): Promise<string[]> {
    const folder = join(root, 'test/zoo/fixtures/gnn-ts-op17');
    const seen: string[] = [];
    const request = requestOf(
      folder,
      { analyze: 'model.onnx', prompt: { feeds: 'golden.safetensors' }, save: false },
      '',
    );
    for await (const event of this.engine.analyze(request)) {
      if (event.type === 'layer') seen.push(event.statistics.top.map(({ token, dim }) => `${token}:${dim}`).join(' '));
      if (event.type === 'failed') seen.push(event.problem.message);
    }
    this.expected ??= seen.join('\n');
    return seen.join('\n') === this.expected && seen.length === 4
      ? []
      : [`a sound run went otherwise: ${seen.join(' | ')}`];
  }

  private renew(): void {
    this.engine.dispose();
    this.engine = makeEngine();
  }

  dispose(): void {
    this.engine.dispose();
  }
}

const isForCommand = (ask: Ask): ask is CommandAsk => !('analyze' in ask || 'inspect' in ask);
const makeEngine = () => new Engine(join(root, 'dist/engine.js'));
const result = ({ out }: Place) => join(out, 'result.safetensors');

function put(path: string, content: Content): void {
  mkdirSync(dirname(path), { recursive: true });
  if (content instanceof Uint8Array) writeFileSync(path, content);
  else if ('copy' in content) copyFileSync(content.copy, path);
  else if (content.special === 'folder') mkdirSync(path);
  else if (content.special === 'pipe') spawnSync('mkfifo', [path]);
  else if (content.special === 'link to itself') symlinkSync(path, path);
  else if (content.special === 'link to endless zeros') symlinkSync('/dev/zero', path);
}

async function wrongWith(saved: readonly string[]): Promise<string[]> {
  const wrong: string[] = [];
  for (const file of saved)
    await openSafetensors(file).catch((error: Error) =>
      wrong.push(`saved a file that cannot be read: ${error.message}`),
    );
  return wrong;
}

/** @param save where to, where the case asks for it */
function requestOf(
  folder: string,
  { analyze, prompt, save }: Extract<Ask, { analyze: string }>,
  file: string,
): RunRequest {
  const given =
    'feeds' in prompt
      ? { feeds: join(folder, prompt.feeds) }
      : 'image' in prompt
        ? { image: join(folder, prompt.image) }
        : prompt;
  return {
    model: join(folder, analyze),
    prompt: given,
    ...('text' in prompt || 'ids' in prompt ? { window: 'first' as const } : {}),
    attention: true,
    memory: limits.budget,
    threads: 1,
    ...(save ? { save: { file, attention: true, mlp: true, logits: true } } : {}),
  };
}

async function throughEngine(engine: Engine, place: Place, ask: Exclude<Ask, CommandAsk>): Promise<Tried> {
  // From here on the peak is this case's.
  if (engine.pid !== undefined) forgetPeak(engine.pid);
  const stop = new AbortController();
  const taken = watch(
    () => (engine.pid === undefined ? [] : [engine.pid]),
    () => {
      stop.abort();
      // A question that is taken back leaves its process at work.
      engine.dispose();
    },
  );
  const said =
    'inspect' in ask
      ? await inspected(engine, place, ask.inspect, stop.signal)
      : await analyzed(engine, place, ask, stop.signal);
  const { excess, work, memory } = taken();
  return { outcome: said.outcome, wrong: excess ? [excess] : said.wrong, seconds: work, memory };
}

type Said = Pick<Tried, 'outcome' | 'wrong'>;

async function inspected(engine: Engine, { given }: Place, model: string, signal: AbortSignal): Promise<Said> {
  try {
    await engine.inspect(join(given, model), signal);
    return { outcome: 'finished', wrong: [] };
  } catch (error) {
    if (SinkscopeError.is(error)) return told(error);
    return { outcome: 'unexpected', wrong: [`an internal error (${String(error)})`] };
  }
}

async function analyzed(
  engine: Engine,
  place: Place,
  ask: Extract<Ask, { analyze: string }>,
  signal: AbortSignal,
): Promise<Said> {
  let analysis = emptyAnalysis;
  let ends = 0;
  for await (const event of engine.analyze(requestOf(place.given, ask, result(place)), signal)) {
    analysis = fold(analysis, event);
    if (event.type === 'finished' || event.type === 'failed') ends++;
  }
  if (ends !== 1) return { outcome: 'no end', wrong: [`ended ${ends} times`] };
  if (analysis.problem) return told(analysis.problem);
  try {
    JSON.stringify(toJson(analysis, defaultThresholds));
    const shown = report(analysis, defaultThresholds)
      .map((line) => lineOf(line, false))
      .join('\n');
    return { outcome: 'finished', wrong: wrongIn(shown) };
  } catch (error) {
    return { outcome: 'finished', wrong: [`the report fails (${String(error)})`] };
  }
}

function told({ code, message }: Problem): Said {
  return { outcome: code, wrong: [...crashed(message), ...wrongIn(message)] };
}

/**
 * What is said of an engine that ended itself. One that its guard has ended says what for, which is right; so does one
 * that the tokenizer library has ended, which it does where a pattern takes more steps than it allows.
 */
const crashed = (text: string): string[] =>
  /The engine process ended unexpectedly \(.*?\)(?! while .*tokenizer\.json was applied to the text)/.exec(text) ?? [];

async function throughCommandLine(place: Place, ask: Ask): Promise<Tried> {
  const ended = await run(place, argumentsOf(place, ask));
  const { code, work, memory } = ended;
  return {
    outcome: code === 0 ? 'finished' : 'refused',
    wrong: [...wrongAbout(ended), ...crashed(ended.stderr)],
    seconds: work,
    memory,
  };
}

function argumentsOf(place: Place, ask: Ask): string[] {
  const path = (name: string) => join(place.given, name);
  if ('merge' in ask) return ['merge', ...ask.merge.map(path)];
  if ('inspect' in ask) return ['inspect', path(ask.inspect)];
  const budget = ['--memory', `${limits.budget / 2 ** 20}`, '--threads', '1']; // more would spin, and count
  if ('survey' in ask)
    return ['survey', path(ask.survey), '--file', path(ask.corpus), '--sequences', '2', '--length', '8', ...budget];
  const { prompt } = ask;
  const save = ask.save ? ['--save', result(place), '--attention', '--mlp', '--logits'] : [];
  const rest = ['analyze', path(ask.analyze), ...budget, ...save];
  if ('feeds' in prompt) return [...rest, '--feeds', path(prompt.feeds)];
  if ('image' in prompt) return [...rest, '--image', path(prompt.image)];
  if ('ids' in prompt) return [...rest, `--ids=${prompt.ids.join(',')}`, '--window', 'first'];
  writeFileSync(path('text.txt'), prompt.text);
  return [...rest, '--file', path('text.txt'), '--window', 'first'];
}

/** @returns the exit code */
export async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      count: { type: 'string', default: '1000' },
      seed: { type: 'string', default: '1' },
      kind: { type: 'string' },
    },
  });
  const start = performance.now();
  const cases = casesFrom(Number(values.seed), Number(values.count), values.kind);
  const { broken, tried } = await fuzz(cases, availableParallelism(), ({ command, wrong, recipe }) =>
    console.log(`${command}\n  ${wrong.join('\n  ').slice(0, 500)}\n  ${recipe.slice(0, 500)}`),
  );
  console.log();
  for (const [kind, results] of tried) console.log(line(kind, results));
  const rules = new Map<string, number[]>();
  for (const { kind, seed, wrong } of broken)
    for (const rule of new Set(wrong.map((rule) => `${kind}: ${general(rule)}`)))
      rules.set(rule, [...(rules.get(rule) ?? []), seed]);
  for (const [rule, seeds] of rules) console.log(`${seeds.length} × ${rule}, seeds ${seeds.slice(0, 8).join(', ')}`);
  const minutes = ((performance.now() - start) / 60_000).toFixed(1);
  console.log(`${cases.length} cases in ${minutes} minutes, ${broken.length} broke a rule.`);
  return broken.length > 0 ? 1 : 0;
}

function line(kind: string, cases: readonly Tried[]): string {
  const outcomes = new Map<string, number>();
  for (const { outcome } of cases) outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  const counts = [...outcomes].sort(([, a], [, b]) => b - a).map(([outcome, count]) => `${outcome} ${count}`);
  const longest = Math.max(...cases.map(({ seconds }) => seconds)).toFixed(1);
  const most = Math.max(...cases.map(({ memory }) => memory)) / 2 ** 20;
  return `${kind.padEnd(10)} ${`${cases.length}`.padStart(6)}  ${counts.join(', ')}; at most ${longest} s of processor time and ${most.toFixed(0)} MB`;
}
