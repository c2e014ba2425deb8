/** How a command is disturbed. */
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { path } from './case.js';
import { actionOf, type Fault, type Round, type Victim } from './rounds.js';
import { type Ended, membersOf, type Place, processorTimeOf, type RunOptions, run } from './watch.js';

/** What a small disk's size is a multiple of, bytes. */
const page = 4096;

/** What this machine can do. */
export interface Means {
  /** The compiled faults.c; undefined where there is no compiler. */
  readonly library: string | undefined;
  /** Whether a small file system of its own may be mounted. */
  readonly mounts: boolean;
}

/** Tries what can be done. */
export function meansIn({ folder, out }: Place): Means {
  const library = join(folder, 'faults.so');
  const compiled = spawnSync('cc', ['-shared', '-fPIC', '-O1', '-o', library, path('test/campaigns/faults.c'), '-ldl']);
  const mount = spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', '-o', 'size=64k', 'none', out]);
  return { library: compiled.status === 0 ? library : undefined, mounts: mount.status === 0 };
}

/** Where an action's result is to be. */
export const resultOf = ({ out }: Place, name: string) => join(out, actionOf(name).result);

export function preloaded(
  { library }: Means,
  place: Place,
  told: string,
  { at, how }: { at: number; how: string },
): RunOptions {
  if (library === undefined) return {};
  const fault = { FAULT_AT: `${at}`, FAULT_HOW: how, FAULT_UNDER: place.out, FAULT_TOLD: told };
  return { env: { LD_PRELOAD: library, ...fault } };
}

/**
 * The command under its fault.
 *
 * @param undisturbed how long it takes without, and how large its result is
 * @returns its end, and whether the fault came in time to disturb anything
 */
export async function disturbed(
  means: Means,
  place: Place,
  { action: name, fault }: Round,
  undisturbed: { readonly seconds: number; readonly bytes: number },
): Promise<{ ended: Ended; happened: boolean }> {
  const { args } = actionOf(name);
  const { seconds, bytes } = undisturbed;
  if (fault.kind === 'orphan') return { ended: await orphaned(place, fault.signal), happened: true };
  if (fault.kind === 'turn') {
    const told = join(place.folder, 'told');
    const ended = await run(place, args, preloaded(means, place, told, fault));
    return { ended, happened: existsSync(told) };
  }
  if (fault.kind === 'output') {
    const full = openSync('/dev/full', 'w');
    try {
      return { ended: await run(place, args, { [fault.stream]: full }), happened: true };
    } finally {
      closeSync(full);
    }
  }
  if (fault.kind === 'disk') {
    const by = means.mounts ? fault.by : 'limit';
    const part = Math.floor(fault.part * bytes);
    const room = by === 'limit' ? part : page * Math.max(1, Math.ceil(part / page));
    const ended = await run(place, args, { through: smallDisk(place, by, room) });
    return { ended, happened: room < bytes };
  }
  let happened = false;
  let timer: NodeJS.Timeout | undefined;
  const ended = await run(place, args, {
    meanwhile: ({ pid }) => {
      const strike = () => {
        happened = fault.kind === 'kill' ? kill(pid, fault.victim, fault.signal) : change(place, name, fault);
        // The engine's process comes after the first files have been read.
        if (!happened) timer = setTimeout(strike, 10);
      };
      timer = setTimeout(strike, 1000 * fault.moment * seconds);
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
function kill(leader: number | undefined, victim: Victim, signal: NodeJS.Signals): boolean {
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
  const files = name === 'merge' ? ['0.json', '1.json'] : ['short.md', ...Object.keys(actionOf(name).given)];
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

/** Ends the command line of `analyze` while its engine is at work in native code that does not come back. */
async function orphaned(place: Place, signal: NodeJS.Signals): Promise<Ended> {
  const tokenizer: object = JSON.parse(readFileSync(path('media/models/llama/tokenizer.json'), 'utf8'));
  const pattern = { type: 'Split', pattern: { Regex: '(?=(a+))a*b\\1' }, behavior: 'Isolated', invert: false };
  writeFileSync(join(place.given, 'tokenizer.json'), JSON.stringify({ ...tokenizer, pre_tokenizer: pattern }));
  writeFileSync(join(place.given, 'short.md'), 'a'.repeat(1_000_000));
  let timer: NodeJS.Timeout | undefined;
  const ended = await run(place, actionOf('analyze').args, {
    meanwhile: ({ pid = 0 }) => {
      // It is at work when it has had the processor for longer than loading takes.
      timer = setInterval(() => {
        const isAtWork = membersOf(pid).some((member) => member !== pid && processorTimeOf(member) > 1000);
        if (isAtWork) kill(pid, 'parent', signal);
      }, 50);
    },
  });
  clearInterval(timer);
  return ended;
}
