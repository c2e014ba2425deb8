/**
 * `npm run faults -- --count N --seed S [--kind K]`: what saves a result is disturbed while it does. First every
 * operation on the disk goes wrong once, in turn, in every way; then, N times, processes are killed, disks fill up and
 * files change. Whatever happens: a result is there whole or not at all, one that was there before is not lost, the
 * next run works, and nothing is left behind; but what a killed process left may lie there until that next run.
 */
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import fc from 'fast-check';
import { spread } from './damage.js';
import { parts } from './inputs.js';
import {
  checkBuilt,
  type Ended,
  makePlace,
  membersOf,
  type Place,
  processorTimeOf,
  type RunOptions,
  root,
  run,
  strays,
  wrongAbout,
} from './watch.js';

const path = (file: string) => join(root, file);

/** A command that saves a result; paths are relative to the place's current directory. */
interface Action {
  readonly args: readonly string[];
  readonly result: string;
  /** Files that it reads, by name in the place. */
  readonly given: Readonly<Record<string, string>>;
}

const model = '../given/model.onnx';
const llama = Object.fromEntries(
  ['model.onnx', 'tokenizer.json', 'tokenizer_config.json', 'config.json'].map((name) => [
    name,
    path(`media/models/llama/${name}`),
  ]),
);
const texts = { 'text.md': path('media/sample.md'), 'other.md': path('test/text/pit-and-pendulum.md') };

const action = (command: string, result: string, given: Action['given']): Action => ({
  args: [...command.split(' '), '--save', `../out/${result}`],
  result,
  given,
});

const actions: Readonly<Record<string, Action>> = {
  merge: action('merge ../given/0.json ../given/1.json', 'result.json', {}),
  analyze: action(
    `analyze ${model} --file ../given/text.md --window first --attention --mlp --logits`,
    'result.safetensors',
    {
      ...llama,
      'text.md': path('media/sample.md'),
    },
  ),
  survey: action(`survey ${model} --file ../given/text.md --sequences 4 --length 16`, 'result.json', {
    ...llama,
    ...texts,
  }),
  weights: action(
    `weights ${model} --file ../given/text.md --calibrate ../given/other.md --window 8 --tokens 8 --k 1`,
    'result.json',
    { ...llama, ...texts },
  ),
};

/** One disturbance of one command. */
export interface Round {
  readonly action: string;
  /** Whether there is a result of an earlier run. */
  readonly old: boolean;
  readonly fault: Fault;
}

type Fault =
  /** The `at`-th operation on the disk, from 1; see faults.c. */
  | { readonly kind: 'turn'; readonly at: number; readonly how: string }
  /** Moments are parts of the time that an undisturbed run takes. */
  | { readonly kind: 'kill'; readonly victim: Victim; readonly signal: NodeJS.Signals; readonly moment: number }
  /** Room for a part of the result. */
  | { readonly kind: 'disk'; readonly by: 'tmpfs' | 'limit'; readonly part: number }
  | { readonly kind: 'output'; readonly stream: 'stdout' | 'stderr' }
  | { readonly kind: 'change'; readonly what: Change; readonly file: number; readonly moment: number }
  /** The command line is ended while its engine is at work in native code that does not come back. */
  | { readonly kind: 'orphan'; readonly signal: NodeJS.Signals };

type Victim = (typeof victims)[number];
const victims = ['parent', 'child', 'both'] as const;
type Change = (typeof changes)[number];
const changes = ['cut', 'removed', 'overwritten', 'result is a folder', 'no folder for results'] as const;
const hows = ['28', '5', 'short', 'gone', 'kill', 'torn'] as const;

/** What a run may take: those that use every core take several seconds where others use them too. */
const most = 60;

/** What a small disk's size is a multiple of, bytes. */
const page = 4096;

const moment = fc.integer({ min: 0, max: 110 }).map((percent) => percent / 100);

const faults: Readonly<Record<string, fc.Arbitrary<Fault>>> = {
  kill: fc.record({
    kind: fc.constant('kill' as const),
    victim: fc.constantFrom(...victims),
    signal: fc.constantFrom('SIGKILL', 'SIGTERM'),
    moment,
  }),
  disk: fc.record({
    kind: fc.constant('disk' as const),
    by: fc.constantFrom('tmpfs' as const, 'limit' as const),
    part: fc.integer({ min: 0, max: 99 }).map((percent) => percent / 100),
  }),
  output: fc.record({
    kind: fc.constant('output' as const),
    stream: fc.constantFrom('stdout' as const, 'stderr' as const),
  }),
  change: fc.record({
    kind: fc.constant('change' as const),
    what: fc.constantFrom(...changes),
    file: fc.nat(10),
    moment,
  }),
  orphan: fc.record({
    kind: fc.constant('orphan' as const),
    signal: fc.constantFrom('SIGKILL' as const, 'SIGTERM' as const, 'SIGHUP' as const),
  }),
};

/** What an undisturbed run of an action gives. */
interface Reference {
  readonly result: Buffer;
  readonly seconds: number;
  /** On the disk. */
  readonly operations: number;
}

/** Of a round. */
export interface Outcome {
  readonly round: Round;
  /** What was wrong, as sentences. */
  readonly wrong: readonly string[];
  /** How the disturbed command ended, in words. */
  readonly end: string;
}

/** Where rounds are played; to be given back by {@link closeArena}. */
export interface Arena {
  readonly base: Place;
  /** The compiled faults.c; undefined where there is no compiler. */
  readonly library: string | undefined;
  /** Whether a small file system of its own may be mounted. */
  readonly mounts: boolean;
  /** Of the actions that were played. */
  readonly references: Map<string, Promise<Reference>>;
}

export function openArena(): Arena {
  checkBuilt();
  const base = makePlace();
  const library = join(base.folder, 'faults.so');
  const compiled = spawnSync('cc', ['-shared', '-fPIC', '-O1', '-o', library, path('test/campaigns/faults.c'), '-ldl']);
  const mount = spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', '-o', 'size=64k', 'none', base.out]);
  return {
    base,
    library: compiled.status === 0 ? library : undefined,
    mounts: mount.status === 0,
    references: new Map(),
  };
}

export function closeArena({ base }: Arena): void {
  rmSync(base.folder, { recursive: true, force: true });
}

/** What an undisturbed run gives, which is found out once. */
function referenceOf(arena: Arena, name: string): Promise<Reference> {
  const found = arena.references.get(name) ?? undisturbed(arena, name);
  arena.references.set(name, found);
  return found;
}

async function undisturbed(arena: Arena, name: string): Promise<Reference> {
  const place = prepared(arena, name);
  const told = join(place.folder, 'told');
  const options = { most, ...preloaded(arena, place, told, { at: 0, how: 'count' }) };
  const ended = await run(place, actionOf(name).args, options);
  if (ended.code !== 0) throw new Error(`${name} does not work undisturbed: ${ended.stderr}`);
  const result = contentOf(resultOf(place, name), place);
  const operations = existsSync(told) ? statSync(told).size : 0;
  rmSync(place.folder, { recursive: true });
  return { result, seconds: ended.seconds, operations };
}

function actionOf(name: string): Action {
  const found = actions[name];
  if (!found) throw new Error(`There is no action called ${name}; there are ${Object.keys(actions).join(', ')}.`);
  return found;
}

/** What a result holds, for comparing: paths in it are the same in every place, and as long. */
const contentOf = (file: string, { folder }: Place): Buffer =>
  Buffer.from(readFileSync(file, 'latin1').replaceAll(folder, 'x'.repeat(folder.length)), 'latin1');

const resultOf = ({ out }: Place, name: string) => join(out, actionOf(name).result);

/** A place with all that an action reads. */
function prepared({ base }: Arena, name: string): Place {
  const place = makePlace(base.folder);
  restore(place, name);
  return place;
}

function restore({ given, out }: Place, name: string): void {
  mkdirSync(out, { recursive: true });
  for (const [file, source] of Object.entries(actionOf(name).given)) copyFileSync(source, join(given, file));
  for (const [index, part] of parts.entries()) writeFileSync(join(given, `${index}.json`), JSON.stringify(part));
}

/** The round of a seed. Turns go through all ways, then all actions, then all operations. */
export function roundOf(kind: string, seed: number): Round {
  const names = Object.keys(actions);
  if (kind === 'turn') {
    const [how, name] = [hows[seed % hows.length], names[Math.floor(seed / hows.length) % names.length]];
    const at = 1 + Math.floor(seed / hows.length / names.length);
    return { action: name ?? '', old: at % 2 === 0, fault: { kind, at, how: how ?? '' } };
  }
  const fault = faults[kind];
  if (!fault) throw new Error(`There is no fault called ${kind}; there are turn, ${Object.keys(faults).join(', ')}.`);
  const round = fc.record({ action: fc.constantFrom(...names), old: fc.boolean(), fault });
  const [one] = fc.sample(fc.noBias(round), { seed: spread(seed), numRuns: 1 });
  if (!one) throw new Error('no round was made');
  return one;
}

/** The seeds of all turns of an action; none without a compiler. */
export async function turnsOf(arena: Arena, name: string): Promise<number[]> {
  if (arena.library === undefined) return [];
  const { operations } = await referenceOf(arena, name);
  const names = Object.keys(actions);
  return Array.from({ length: operations }, (_, index) => names.length * index + names.indexOf(name)).flatMap((row) =>
    hows.map((_, how) => hows.length * row + how),
  );
}

/** Plays a round. */
export async function play(arena: Arena, round: Round): Promise<Outcome> {
  const { action: name, fault } = round;
  if (fault.kind === 'orphan') return { round, wrong: await orphan(arena, fault.signal), end: fault.signal };
  const reference = await referenceOf(arena, name);
  const place = prepared(arena, name);
  const result = resultOf(place, name);
  try {
    const old = Buffer.from('of an earlier run');
    if (round.old) writeFileSync(result, old);
    const { ended, happened } = await disturbed(arena, place, { ...round, fault }, reference);
    const isKilled = fault.kind === 'kill' || (fault.kind === 'turn' && (fault.how === 'kill' || fault.how === 'torn'));
    const isLost = fault.kind === 'turn' && fault.how === 'gone';
    const wrong = happened ? [...wrongAbout(ended, isKilled)] : [];
    const state = stateOf(place, result, reference.result, old, fault.kind === 'change');
    if (state === 'torn') wrong.push('left a torn result');
    // A folder that is taken away takes what has just been saved with it.
    if (ended.code === 0 && state !== 'whole' && !(fault.kind === 'change' && state === 'absent'))
      wrong.push(`said that all is well, and the result is ${state}`);
    if (ended.code !== 0 && round.old && state === 'absent' && happened && fault.kind !== 'change')
      wrong.push('lost the result of an earlier run');
    if (ended.code === 0 && happened && (fault.kind === 'turn' || fault.kind === 'disk' || isFull(fault, 'stdout')))
      wrong.push('said nothing of a fault');
    if (!isKilled && !isLost) wrong.push(...strays(place, [result]).map((file) => `left the file ${shape(file)}`));
    wrong.push(...(await afterwards(place, name, reference)));
    return { round, wrong, end: happened ? endOf(ended) : 'undisturbed' };
  } finally {
    rmSync(place.folder, { recursive: true, force: true });
  }
}

const isFull = (fault: Fault, stream: string) => fault.kind === 'output' && fault.stream === stream;

/** A stray file's name without what changes from run to run. */
const shape = (file: string) => file.replace(/\d+/g, 'n');

function endOf({ code, signal, stderr }: Ended): string {
  if (code === 0) return 'done';
  if (signal) return signal;
  return /ended unexpectedly/.test(stderr) ? 'engine ended' : code === 1 ? 'refused' : `code ${code}`;
}

/** What is wrong about an engine whose command line has been ended: it must end too. */
async function orphan(arena: Arena, signal: NodeJS.Signals): Promise<string[]> {
  const place = prepared(arena, 'analyze');
  try {
    const tokenizer: object = JSON.parse(readFileSync(path('media/models/llama/tokenizer.json'), 'utf8'));
    const pattern = { type: 'Split', pattern: { Regex: '(?=(a+))a*b\\1' }, behavior: 'Isolated', invert: false };
    writeFileSync(join(place.given, 'tokenizer.json'), JSON.stringify({ ...tokenizer, pre_tokenizer: pattern }));
    writeFileSync(join(place.given, 'text.md'), 'a'.repeat(1_000_000));
    let timer: NodeJS.Timeout | undefined;
    const ended = await run(place, actionOf('analyze').args, {
      meanwhile: ({ pid = 0 }) => {
        // It is at work when it has had the processor for longer than loading takes.
        timer = setInterval(() => {
          const isAtWork = membersOf(pid).some((member) => member !== pid && processorTimeOf(member) > 1000);
          if (isAtWork) kill(pid, { kind: 'kill', victim: 'parent', signal, moment: 0 });
        }, 50);
      },
    });
    clearInterval(timer);
    return wrongAbout(ended, true);
  } finally {
    rmSync(place.folder, { recursive: true, force: true });
  }
}

/** What is wrong about the next run, which nothing disturbs. */
async function afterwards(place: Place, name: string, reference: Reference): Promise<string[]> {
  const result = resultOf(place, name);
  if (existsSync(result) && statSync(result).isDirectory()) rmSync(result, { recursive: true });
  restore(place, name);
  const ended = await run(place, actionOf(name).args, { most });
  const isWhole = existsSync(result) && reference.result.equals(contentOf(result, place));
  return [
    ...(ended.code === 0 && isWhole
      ? []
      : [`the next run ${ended.code === 0 ? 'gave something else' : 'failed'}: ${ended.stderr}`]),
    ...wrongAbout(ended).map((rule) => `the next run ${rule}`),
    ...strays(place, [result]).map((file) => `after the next run there is still the file ${shape(file)}`),
  ];
}

type State = 'whole' | 'absent' | 'old' | 'torn';

/** @param isOther whether what was read may have changed, so that a whole result is any that can be read */
function stateOf(place: Place, file: string, reference: Buffer, old: Buffer, isOther: boolean): State {
  if (!existsSync(file) || statSync(file).isDirectory()) return 'absent';
  const bytes = contentOf(file, place);
  if (reference.equals(bytes)) return 'whole';
  if (bytes.equals(old)) return 'old';
  if (!isOther) return 'torn';
  try {
    if (file.endsWith('.json')) JSON.parse(bytes.toString());
    else {
      const end = 8 + Number(bytes.readBigUInt64LE());
      const header: Record<string, { data_offsets: number[] }> = JSON.parse(bytes.toString('utf8', 8, end));
      const last = Math.max(...Object.values(header).map(({ data_offsets }) => data_offsets[1] ?? 0));
      if (end + last !== bytes.length) return 'torn';
    }
    return 'whole';
  } catch {
    return 'torn';
  }
}

function preloaded(arena: Arena, place: Place, told: string, { at, how }: { at: number; how: string }): RunOptions {
  if (arena.library === undefined) return {};
  const fault = { FAULT_AT: `${at}`, FAULT_HOW: how, FAULT_UNDER: place.out, FAULT_TOLD: told };
  return { env: { LD_PRELOAD: arena.library, ...fault } };
}

/** The command under its fault; `happened` is false where it came too late or too early to disturb anything. */
async function disturbed(
  arena: Arena,
  place: Place,
  { action: name, fault }: Round & { readonly fault: Exclude<Fault, { kind: 'orphan' }> },
  reference: Reference,
): Promise<{ ended: Ended; happened: boolean }> {
  const { args } = actionOf(name);
  if (fault.kind === 'turn') {
    const told = join(place.folder, 'told');
    const ended = await run(place, args, { most, ...preloaded(arena, place, told, fault) });
    return { ended, happened: existsSync(told) };
  }
  if (fault.kind === 'output') {
    const full = openSync('/dev/full', 'w');
    try {
      return { ended: await run(place, args, { most, [fault.stream]: full }), happened: true };
    } finally {
      closeSync(full);
    }
  }
  if (fault.kind === 'disk') {
    const by = arena.mounts ? fault.by : 'limit';
    const part = Math.floor(fault.part * reference.result.length);
    const room = by === 'limit' ? part : page * Math.max(1, Math.ceil(part / page));
    const ended = await run(place, args, { most, through: smallDisk(place, by, room) });
    return { ended, happened: room < reference.result.length };
  }
  let happened = false;
  let timer: NodeJS.Timeout | undefined;
  const ended = await run(place, args, {
    most,
    meanwhile: ({ pid }) => {
      timer = setTimeout(
        () => {
          happened = fault.kind === 'kill' ? kill(pid, fault) : change(place, name, fault);
        },
        1000 * fault.moment * reference.seconds,
      );
    },
  });
  clearTimeout(timer);
  return { ended, happened };
}

/** Runs what follows with a file system of $3 bytes in the place of the folder $1; $2 is an empty folder beside it. */
const onSmallDisk = `
  out=$1 aside=$2 size=$3; shift 3
  cp -a "$out/." "$aside" && mount -t tmpfs -o "size=$size" none "$out" && cp -a "$aside/." "$out" || exit 99
  "$@"; code=$?
  find "$aside" -mindepth 1 -delete; cp -a "$out/." "$aside"; umount "$out"
  find "$out" -mindepth 1 -delete; cp -a "$aside/." "$out"
  exit $code`;

/** What starts a command so that there is room for so many bytes where results are put. */
function smallDisk(place: Place, by: 'tmpfs' | 'limit', bytes: number): string[] {
  if (by === 'limit') return ['prlimit', `--fsize=${bytes}`];
  const aside = join(place.folder, 'aside');
  mkdirSync(aside);
  return ['unshare', '--mount', 'sh', '-c', onSmallDisk, 'sh', place.out, aside, `${bytes}`];
}

/** Whether somebody was there to be killed. */
function kill(leader: number | undefined, { victim, signal }: Extract<Fault, { kind: 'kill' }>): boolean {
  if (leader === undefined) return false;
  const members = membersOf(leader).filter((pid) => victim === 'both' || (pid === leader) === (victim === 'parent'));
  for (const pid of members) {
    try {
      process.kill(pid, signal);
    } catch {
      // It has just ended by itself.
    }
  }
  return members.length > 0;
}

function change(place: Place, name: string, { what, file }: Extract<Fault, { kind: 'change' }>): boolean {
  const files = name === 'merge' ? ['0.json', '1.json'] : Object.keys(actionOf(name).given);
  const chosen = join(place.given, files[file % files.length] ?? '');
  if (what === 'cut') truncateSync(chosen, Math.floor(statSync(chosen).size / 2));
  else if (what === 'removed') rmSync(chosen);
  else if (what === 'overwritten') writeFileSync(chosen, Buffer.alloc(statSync(chosen).size, 'x'));
  else if (what === 'no folder for results') rmSync(place.out, { recursive: true });
  else {
    rmSync(resultOf(place, name), { force: true });
    mkdirSync(resultOf(place, name));
  }
  return true;
}

/** @returns the exit code */
export async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      count: { type: 'string' },
      seed: { type: 'string', default: '1' },
      kind: { type: 'string' },
    },
  });
  const start = performance.now();
  const arena = openArena();
  try {
    const { kind } = values;
    const seed = Number(values.seed);
    const turns = (await Promise.all(Object.keys(actions).map((name) => turnsOf(arena, name)))).flat();
    const count = Number(values.count ?? (kind === 'turn' ? turns.length : 200));
    const seeds = Array.from({ length: count }, (_, index) => seed + index);
    const others = ['kill', 'disk', 'output', 'change'] as const;
    const plan =
      kind !== undefined
        ? seeds.map((seed) => ({ kind, seed }))
        : [
            ...turns.map((seed) => ({ kind: 'turn', seed })),
            ...seeds.map((seed, index) => ({ kind: others[index % others.length] ?? '', seed })),
            ...seeds.slice(0, 6).map((seed) => ({ kind: 'orphan', seed })),
          ];
    if (arena.library === undefined) console.log('There is no C compiler: operations on the disk do not fail in turn.');
    if (!arena.mounts) console.log('Nothing may be mounted: full disks are files that may not grow.');
    const ends = new Map<string, number>();
    const broken = new Map<string, string[]>();
    const note = (kind: string, wrong: readonly string[], what: string) => {
      for (const rule of new Set(wrong))
        broken.set(`${kind}: ${rule}`, [...(broken.get(`${kind}: ${rule}`) ?? []), what]);
    };
    let next = 0;
    const work = async () => {
      for (let one = plan[next++]; one; one = plan[next++]) {
        const round = roundOf(one.kind, one.seed);
        const { wrong, end } = await play(arena, round);
        ends.set(`${one.kind}: ${end}`, (ends.get(`${one.kind}: ${end}`) ?? 0) + 1);
        note(
          one.kind,
          wrong,
          `npm run faults -- --kind ${one.kind} --seed ${one.seed} --count 1   ${JSON.stringify(round)}`,
        );
      }
    };
    await Promise.all(Array.from({ length: availableParallelism() }, work));
    if (values.kind === undefined)
      for (const signal of ['SIGKILL', 'SIGTERM', 'SIGHUP'] as const)
        note('orphan', await orphan(arena, signal), signal);
    for (const [end, count] of [...ends].sort()) console.log(`${`${count}`.padStart(6)} ${end}`);
    for (const [rule, rounds] of broken)
      console.log(`\n${rounds.length} × ${rule}\n  ${rounds.slice(0, 3).join('\n  ')}`);
    const minutes = ((performance.now() - start) / 60_000).toFixed(1);
    const bad = new Set([...broken.values()].flat()).size;
    console.log(`\n${plan.length} rounds in ${minutes} minutes, ${bad} broke a rule.`);
    return bad > 0 ? 1 : 0;
  } finally {
    closeArena(arena);
  }
}
