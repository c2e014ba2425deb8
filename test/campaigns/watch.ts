/**
 * The product under watch: its processes started in a place of their own, held to limits, and looked after when they
 * have ended. What a campaign may see of a run is here; what is wrong about it is said in words, one for each rule.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { text } from 'node:stream/consumers';
import { idleBounds } from '../../src/engine/jobs/bounds.js';
import { sum } from '../../src/statistics/numbers.js';

/** The project's folder: programs are bundled to a folder as deep as this one. */
export const root = join(import.meta.dirname, '../..');
const cli = join(root, 'dist/cli.js');

const budget = 2 ** 28;

/** What a single run may take. A good run of the models that are used takes less than a second and 300 MB. */
export const limits = {
  /** Of processor time, and of waiting for anything but a processor: a machine that is busy is none of its faults. */
  seconds: 10,
  /**
   * Bytes of all its processes: what `docs/limits.md` lets the engine hold with this budget, and half a gigabyte for the
   * command line and for what comes until the guard looks.
   */
  memory: idleBounds.bytes + 2 * budget + 2 ** 29,
  /** The engine's, bytes. */
  budget,
} as const;

/** Why processes cannot be watched here; undefined where they can. */
export const unwatchable =
  process.platform === 'linux' ? undefined : 'processes are watched through /proc, which only Linux has';

/** How often a process is looked at, ms. */
const glance = 100;

/** A process group as it is now: ids of its processes, zombies left out. */
export function membersOf(group: number): number[] {
  return readdirSync('/proc').flatMap((name) => {
    const pid = Number(name);
    if (!Number.isInteger(pid)) return [];
    // pid (name) state parent group …; the name may hold anything.
    const [state, , itsGroup] = read(`/proc/${pid}/stat`).split(') ').at(-1)?.split(' ') ?? [];
    return Number(itsGroup) === group && state !== 'Z' ? [pid] : [];
  });
}

/** Memory that a process has now, bytes; 0 where it has ended. */
export const memoryOf = (pid: number) => kilobytes(pid, 'VmRSS');

/** Makes the peak of a process start anew. */
export const forgetPeak = (pid: number) => writeFileSync(`/proc/${pid}/clear_refs`, '5');

function kilobytes(pid: number, key: string): number {
  return 1024 * Number(new RegExp(`^${key}:\\s*(\\d+)`, 'm').exec(read(`/proc/${pid}/status`))?.[1] ?? 0);
}

/** How long a process has had a processor, with all that its threads had that have ended, ms. */
export function processorTimeOf(pid: number): number {
  // Behind the name in brackets, which may hold anything: utime and stime, in hundredths of a second.
  const fields = read(`/proc/${pid}/stat`).split(') ').at(-1)?.split(' ') ?? [];
  return 10 * (Number(fields[11] ?? 0) + Number(fields[12] ?? 0));
}

/** By thread of a process, how long it could have gone on, and others had the processors, ms. */
function queueTimesOf(pid: number): [string, number][] {
  return list(`/proc/${pid}/task`).map((id) => [
    id,
    Number(read(`/proc/${pid}/task/${id}/schedstat`).split(' ')[1] ?? 0) / 1e6,
  ]);
}

/** How many files a process has open. */
export function openFiles(pid: number): number {
  return list(`/proc/${pid}/fd`).length;
}

/** What a file of /proc says; nothing where its process has just ended. */
function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** The names in a folder of /proc; none where its process has just ended. */
function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** What processes have taken while they were watched. */
export interface Taken {
  /** By the clock. */
  readonly seconds: number;
  /** Seconds of processor time, as far as it was seen. */
  readonly work: number;
  /** Most memory of all together, as far as it was seen, bytes. */
  readonly memory: number;
  /** What it was too much of, in words. */
  readonly excess?: string;
}

/**
 * Watches processes at work.
 *
 * @param pids which; called again and again
 * @param stop is to end them; called once, when they exceed a limit
 * @returns what ends the watch
 */
export function watch(pids: () => readonly number[], stop: () => void): () => Taken {
  const start = performance.now();
  const worked = growing((pid) => [[`${pid}`, processorTimeOf(pid)]], pids());
  const queued = growing(queueTimesOf, pids());
  let memory = 0;
  let work = 0;
  let excess: string | undefined;
  const look = () => {
    if (excess !== undefined) return;
    const now = pids();
    memory = Math.max(memory, sum(now.map((pid) => kilobytes(pid, 'VmHWM'))));
    work = worked(now) / 1000;
    const rest = (performance.now() - start - queued(now)) / 1000 - work;
    if (memory > limits.memory) excess = `took more than ${limits.memory / 2 ** 20} MB`;
    else if (work > limits.seconds) excess = `took more than ${limits.seconds} s of processor time`;
    else if (rest > limits.seconds) excess = `did nothing for ${limits.seconds} s`;
    if (excess !== undefined) stop();
  };
  const timer = setInterval(look, glance);
  return () => {
    clearInterval(timer);
    look();
    return { seconds: (performance.now() - start) / 1000, work, memory, ...(excess && { excess }) };
  };
}

/**
 * How much figures of processes, by what they are of, have grown in all since now, with those that have ended and those
 * that came. By thread where threads have them: those of a process that ends go one by one, and take theirs with them.
 */
function growing(
  figures: (pid: number) => [string, number][],
  now: readonly number[],
): (pids: readonly number[]) => number {
  const first = new Map(now.flatMap(figures));
  const grown = new Map<string, number>();
  return (pids) => {
    for (const [id, figure] of pids.flatMap(figures))
      grown.set(id, Math.max(grown.get(id) ?? 0, figure - (first.get(id) ?? 0)));
    return sum([...grown.values()]);
  };
}

/** Of a person without anything: home, temporary folder, current directory and the folder of results are empty. */
export interface Place {
  readonly folder: string;
  /** Where the given files are put. */
  readonly given: string;
  /** Where results are asked for. */
  readonly out: string;
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
}

/** A new place below `folder`, by default among temporary files. */
export function makePlace(folder = tmpdir()): Place {
  const own = realpathSync(mkdtempSync(join(folder, 'sinkscope-campaign-')));
  for (const name of ['given', 'out', 'home', 'tmp', 'cwd']) mkdirSync(join(own, name));
  return {
    folder: own,
    given: join(own, 'given'),
    out: join(own, 'out'),
    cwd: join(own, 'cwd'),
    env: { PATH: process.env.PATH, HOME: join(own, 'home'), TMPDIR: join(own, 'tmp') },
  };
}

/** Files in a place that nobody asked for, by their paths in it. */
export function strays({ folder, given }: Place, asked: readonly string[]): string[] {
  return ['out', 'home', 'tmp', 'cwd']
    .filter((name) => existsSync(join(folder, name)))
    .flatMap((name) =>
      readdirSync(join(folder, name), { recursive: true, encoding: 'utf8' }).map((file) => join(name, file)),
    )
    .concat(readdirSync(given).filter((file) => file.endsWith('.partial')))
    .filter((file) => !asked.some((path) => relative(folder, path) === file));
}

export interface Ended extends Taken {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** How many processes went on after it, and what they took too much of, in words; undefined where none did. */
  readonly left?: string | undefined;
}

export interface RunOptions {
  /** Beside the place's own. */
  readonly env?: NodeJS.ProcessEnv;
  /** A program and its arguments that start the command line instead of Node.js; `$@` is appended. */
  readonly through?: readonly string[];
  /** Files that take the place of the pipes. */
  readonly stdout?: number;
  readonly stderr?: number;
  /** Called at once, with the process that leads the group of its id. */
  readonly meanwhile?: (leader: ChildProcess) => void;
}

/** Runs the built command line in a place to its end, which comes within the limits, by force if need be. */
export async function run(place: Place, args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const [program = '', ...rest] = [...(options.through ?? []), process.execPath, cli, ...args];
  const leader = spawn(program, rest, {
    cwd: place.cwd,
    env: { ...place.env, ...options.env },
    stdio: ['ignore', options.stdout ?? 'pipe', options.stderr ?? 'pipe'],
    // A group of its own, by which whatever it starts is found.
    detached: true,
  });
  const group = leader.pid;
  if (group === undefined) throw new Error(`${program} cannot be started`);
  const taken = watch(
    () => membersOf(group),
    () => endGroup(group),
  );
  options.meanwhile?.(leader);
  const [stdout, stderr, [code, signal]] = await Promise.all([
    leader.stdout ? text(leader.stdout) : '',
    leader.stderr ? text(leader.stderr) : '',
    new Promise<[number | null, NodeJS.Signals | null]>((resolve) => {
      leader.once('exit', (code, signal) => resolve([code, signal]));
    }),
  ]);
  return { code, signal, stdout, stderr, ...taken(), left: await afterlife(group) };
}

/** Waits for the rest of a group to end, which may take what a run may, then ends it by force; what had to be ended. */
async function afterlife(group: number): Promise<string | undefined> {
  let left = 0;
  const taken = watch(
    () => membersOf(group),
    () => {
      left = membersOf(group).length;
      endGroup(group);
    },
  );
  while (membersOf(group).length > 0) await new Promise((resolve) => setTimeout(resolve, glance));
  const { excess } = taken();
  return excess && `left ${left} process(es), which ${excess}`;
}

function endGroup(group: number): void {
  try {
    process.kill(-group, 'SIGKILL');
  } catch {
    // It has just ended by itself.
  }
}

/** What no text for people may hold, as sentences about it; control characters but line breaks, and those that turn its direction. */
export function wrongIn(text: string): string[] {
  const internal = /failed unexpectedly: (.{0,100})/.exec(text);
  const raw = /[^\P{Cc}\n]|[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u.exec(text);
  return [
    ...(internal ? [`an internal error (${internal[1]})`] : []),
    ...(/^\s+at .+:\d+:\d+\)?$/m.test(text) ? ['a stack trace'] : []),
    ...(/NaN ×/.test(text) ? ['"NaN ×"'] : []),
    ...(raw
      ? [`a raw control character (${[...raw[0]].map((c) => `U+${c.codePointAt(0)?.toString(16).padStart(4, '0')}`)})`]
      : []),
  ];
}

/** What is wrong about the end of a run, whatever it was asked. One that is stopped from outside may end in any way. */
export function wrongAbout({ code, signal, stdout, stderr, left, excess }: Ended, isStopped = false): string[] {
  const silent = stderr === '' && stdout === '';
  return [
    ...(excess ? [excess] : []),
    ...(left ? [left] : []),
    ...(isStopped || excess || (signal === null && (code === 0 || code === 1))
      ? []
      : [`ended with ${signal ?? `code ${code}`}`]),
    ...(code === 1 && silent ? ['failed without a word'] : []),
    ...(code === 1 && stderr.trimEnd().includes('\n') ? ['more than one line of error'] : []),
    ...wrongIn(`${stdout}\n${stderr}`),
  ];
}

/** Says now and then how far a campaign is, on stderr: what is found and the sums are the result. */
export function tellProgress(done: number, all: number): void {
  if (done % 100 === 0) console.error(`${done} of ${all}`);
}

/** Fails where there is nothing to run. */
export function checkBuilt(): void {
  if (!existsSync(cli)) throw new Error('dist/cli.js is not there; run npm run build first.');
}
