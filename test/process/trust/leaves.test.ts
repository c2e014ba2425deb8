/**
 * Nothing leaves the machine: a whole analysis opens no socket and writes no file but the one it was asked for.
 *
 * ONNX Runtime's telemetry stays silent where a build server is recognised by its environment, which would let these
 * tests pass wherever they run most; so processes are given an environment without any of it.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { path } from '../cli/sinkscope.js';

let folder: string;
/** Of a person without a cache: home, temporary folder and current directory are empty. */
let environment: NodeJS.ProcessEnv;

beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'sinkscope-')));
  for (const name of ['home', 'tmp', 'cwd', 'out']) mkdirSync(join(folder, name));
  environment = { PATH: process.env.PATH, HOME: join(folder, 'home'), TMPDIR: join(folder, 'tmp') };
});
afterEach(() => rmSync(folder, { recursive: true }));

const analysis = () => [
  process.execPath,
  path('dist/cli.js'),
  ...[
    'analyze',
    'llama',
    '--file',
    path('media/sample.md'),
    '--attention',
    '--save',
    join(folder, 'out/states.safetensors'),
  ],
];

function run([command = '', ...args]: readonly string[]): void {
  const { status, stderr } = spawnSync(command, args, {
    cwd: join(folder, 'cwd'),
    env: environment,
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  expect(stderr).toBe('');
  expect(status).toBe(0);
}

/** Files and folders below `folder`, by their paths from there. */
const found = () => readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();

describe('an analysis from the command line', () => {
  it('leaves the file it was asked for, and nothing else in home, temporary folder or current directory', () => {
    run(analysis());
    expect(found()).toEqual(['cwd', 'home', 'out', 'out/states.safetensors', 'tmp']);
  });

  it('opens no socket to anywhere, asks for no name, and opens no other file to write', (context) => {
    const reason = cannotTrace();
    if (reason !== undefined) return context.skip(reason);
    const trace = join(folder, 'trace.txt');
    const calls =
      'trace=socket,connect,sendto,sendmsg,openat,open,creat,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,link,symlink';
    run(['strace', '-f', '-qq', '-s', '4096', '-e', calls, '-e', 'signal=none', '-o', trace, ...analysis()]);
    const lines = readFileSync(trace, 'utf8').split('\n');
    expect(lines.length).toBeGreaterThan(100); // something was traced
    expect(
      lines.filter((line) => /\b(socket|connect)\(/.test(line) && !/AF_UNIX|SOCK_STREAM.*AF_LOCAL/.test(line)),
    ).toEqual([]);
    const written = lines.filter(
      (line) =>
        /\b(creat|mkdir|mkdirat|rename\w*|unlink\w*|link|symlink)\(/.test(line) || /O_(WRONLY|RDWR|CREAT)/.test(line),
    );
    const own = [join(folder, 'out/'), '/dev/null', '/dev/tty'];
    expect(
      written.filter((line) => !line.includes('= -1 ') && !own.some((place) => line.includes(`"${place}`))),
    ).toEqual([]);
    expect(written.some((line) => line.includes('states.safetensors'))).toBe(true);
  });
});

/** Why system calls cannot be watched here; undefined where they can. */
function cannotTrace(): string | undefined {
  if (process.platform !== 'linux') return 'system calls are traced on Linux only';
  try {
    execFileSync('strace', ['-qq', '-o', '/dev/null', 'true'], { stdio: 'ignore' });
    return undefined;
  } catch {
    return 'strace is not there, or may not trace';
  }
}
