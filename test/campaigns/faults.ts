/**
 * `npm run faults -- --count N --seed S [--kind K]`: what saves a result is disturbed while it does. First every
 * operation on the disk goes wrong once, in turn, in every way; then, N times, processes are killed, disks fill up and
 * files change. Whatever happens: a result is there whole or not at all, one that was there before is not lost, the
 * next run works, and nothing is left behind; but what a killed process left may lie there until that next run.
 */
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { disturbed, type Means, meansIn, preloaded, resultOf } from './disturb.js';
import { parts } from './inputs.js';
import { actionOf, actions, hows, type Round, roundOf } from './rounds.js';
import { checkBuilt, type Ended, makePlace, type Place, run, strays, tellProgress, wrongAbout } from './watch.js';

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
export interface Arena extends Means {
  readonly base: Place;
  /** Of the actions that were played. */
  readonly references: Map<string, Promise<Reference>>;
}

export function openArena(): Arena {
  checkBuilt();
  const base = makePlace();
  return { base, ...meansIn(base), references: new Map() };
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
  const options = preloaded(arena, place, told, { at: 0, how: 'count' });
  const ended = await run(place, actionOf(name).args, options);
  if (ended.code !== 0) throw new Error(`${name} does not work undisturbed: ${ended.stderr}`);
  const result = contentOf(resultOf(place, name), place);
  const operations = existsSync(told) ? statSync(told).size : 0;
  rmSync(place.folder, { recursive: true });
  return { result, seconds: ended.seconds, operations };
}

/** What a result holds, for comparing: paths in it are the same in every place, and as long. */
const contentOf = (file: string, { folder }: Place): Buffer =>
  Buffer.from(readFileSync(file, 'latin1').replaceAll(folder, 'x'.repeat(folder.length)), 'latin1');

/** A place with all that an action reads. */
function prepared({ base }: Arena, name: string): Place {
  const place = makePlace(base.folder);
  restore(place, name);
  return place;
}

function restore({ given, out }: Place, name: string): void {
  mkdirSync(out, { recursive: true });
  for (const [file, source] of Object.entries(actionOf(name).given)) copyFileSync(source, join(given, file));
  writeFileSync(join(given, 'short.md'), 'Summer is warm. Winter is cold, and the days are short.');
  for (const [index, part] of parts.entries()) writeFileSync(join(given, `${index}.json`), JSON.stringify(part));
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
  // The engine that is left alone is that of an analysis.
  const name = round.fault.kind === 'orphan' ? 'analyze' : round.action;
  const reference = await referenceOf(arena, name);
  const place = prepared(arena, name);
  try {
    if (round.old) writeFileSync(resultOf(place, name), earlier);
    const undisturbed = { seconds: reference.seconds, bytes: reference.result.length };
    const { ended, happened } = await disturbed(arena, place, { ...round, action: name }, undisturbed);
    const wrong = [
      ...wrongWith(place, name, round, ended, happened, reference),
      ...(await afterwards(place, name, reference)),
    ];
    return { round, wrong, end: happened ? endOf(ended) : 'undisturbed' };
  } finally {
    rmSync(place.folder, { recursive: true, force: true });
  }
}

/** What is wrong about the end of a command, and about what it has left. */
function wrongWith(
  place: Place,
  name: string,
  { fault, old }: Round,
  ended: Ended,
  happened: boolean,
  { result }: Reference,
) {
  const isKilled =
    fault.kind === 'kill' ||
    fault.kind === 'orphan' ||
    (fault.kind === 'turn' && (fault.how === 'kill' || fault.how === 'torn'));
  const isLost = fault.kind === 'turn' && fault.how === 'gone';
  const isChanged = fault.kind === 'change';
  const isTold =
    fault.kind === 'turn' || fault.kind === 'disk' || (fault.kind === 'output' && fault.stream === 'stdout');
  const state = stateOf(place, resultOf(place, name), result, isChanged);
  return [
    ...(happened ? wrongAbout(ended, isKilled) : []),
    ...(state === 'torn' ? ['left a torn result'] : []),
    // A folder that is taken away takes what has just been saved with it.
    ...(ended.code === 0 && state !== 'whole' && !(isChanged && state === 'absent')
      ? [`said that all is well, and the result is ${state}`]
      : []),
    ...(old && state === 'absent' && !isChanged ? ['lost the result of an earlier run'] : []),
    ...(ended.code === 0 && happened && isTold ? ['said nothing of a fault'] : []),
    ...(isKilled || isLost ? [] : strays(place, [resultOf(place, name)]).map((file) => `left the file ${shape(file)}`)),
  ];
}

/** A stray file's name without what changes from run to run. */
const shape = (file: string) => file.replace(/\d+/g, 'n');

function endOf({ code, signal, stderr }: Ended): string {
  if (code === 0) return 'done';
  if (signal) return signal;
  return /ended unexpectedly/.test(stderr) ? 'engine ended' : code === 1 ? 'refused' : `code ${code}`;
}

/** What is wrong about the next run, which nothing disturbs. */
async function afterwards(place: Place, name: string, reference: Reference): Promise<string[]> {
  const result = resultOf(place, name);
  if (existsSync(result) && statSync(result).isDirectory()) rmSync(result, { recursive: true });
  restore(place, name);
  const ended = await run(place, actionOf(name).args);
  const isWhole = existsSync(result) && reference.result.equals(contentOf(result, place));
  return [
    ...(ended.code === 0 && isWhole
      ? []
      : [`the next run ${ended.code === 0 ? 'gave something else' : 'failed'}: ${ended.stderr}`]),
    ...wrongAbout(ended).map((rule) => `the next run ${rule}`),
    ...strays(place, [result]).map((file) => `after the next run there is still the file ${shape(file)}`),
  ];
}

/** What stands for the result of an earlier run. */
const earlier = Buffer.from('of an earlier run');

type State = 'whole' | 'absent' | 'old' | 'torn';

/** @param isOther whether what was read may have changed, so that a whole result is any that can be read */
function stateOf(place: Place, file: string, reference: Buffer, isOther: boolean): State {
  if (!existsSync(file) || statSync(file).isDirectory()) return 'absent';
  const bytes = contentOf(file, place);
  if (reference.equals(bytes)) return 'whole';
  if (bytes.equals(earlier)) return 'old';
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

/** Every operation of every action in every way, then `count` other rounds of all kinds in turn. */
async function planFrom(arena: Arena, seed: number, count: number) {
  const others = ['kill', 'disk', 'output', 'change'] as const;
  const turns = (await Promise.all(Object.keys(actions).map((name) => turnsOf(arena, name)))).flat();
  const seeds = Array.from({ length: count }, (_, index) => seed + index);
  return [
    ...turns.map((seed) => ({ kind: 'turn', seed })),
    ...seeds.map((seed, index) => ({ kind: others[index % others.length] ?? '', seed })),
    ...seeds.slice(0, 6).map((seed) => ({ kind: 'orphan', seed })),
  ];
}

/** @returns the exit code */
export async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      count: { type: 'string', default: '200' },
      seed: { type: 'string', default: '1' },
      kind: { type: 'string' },
    },
  });
  const [seed, count, { kind }] = [Number(values.seed), Number(values.count), values];
  const start = performance.now();
  const arena = openArena();
  if (arena.library === undefined) console.log('There is no C compiler: operations on the disk do not fail in turn.');
  if (!arena.mounts) console.log('Nothing may be mounted: full disks are files that may not grow.');
  try {
    const plan =
      kind === undefined
        ? await planFrom(arena, seed, count)
        : Array.from({ length: count }, (_, index) => ({ kind, seed: seed + index }));
    const ends = new Map<string, number>();
    const broken = new Map<string, number[]>();
    let bad = 0;
    let done = 0;
    let next = 0;
    const work = async () => {
      for (let one = plan[next++]; one; one = plan[next++]) {
        const round = roundOf(one.kind, one.seed);
        const { wrong, end } = await play(arena, round);
        ends.set(`${one.kind}: ${end}`, (ends.get(`${one.kind}: ${end}`) ?? 0) + 1);
        if (wrong.length > 0) bad++;
        const again = `npm run faults -- --kind ${one.kind} --seed ${one.seed} --count 1   ${JSON.stringify(round)}`;
        if (wrong.length > 0) console.log(`${again}\n  ${wrong.join('\n  ')}`);
        for (const rule of wrong.map((rule) => `${one.kind}: ${rule}`))
          broken.set(rule, [...(broken.get(rule) ?? []), one.seed]);
        tellProgress(++done, plan.length);
      }
    };
    await Promise.all(Array.from({ length: availableParallelism() }, work));
    for (const [end, count] of [...ends].sort()) console.log(`${`${count}`.padStart(6)} ${end}`);
    for (const [rule, seeds] of broken) console.log(`${seeds.length} × ${rule}, seeds ${seeds.slice(0, 8).join(', ')}`);
    const minutes = ((performance.now() - start) / 60_000).toFixed(1);
    console.log(`${plan.length} rounds in ${minutes} minutes, ${bad} broke a rule.`);
    return bad > 0 ? 1 : 0;
  } finally {
    closeArena(arena);
  }
}
