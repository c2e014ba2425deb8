/** What stands in the way is said in one sentence, also where there is hardly a place left to say it. */
import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import { chmod, cp, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { demo, temporaryFolder } from '../../support/files.js';
import { inFiles, unseen } from '../../support/hostile.js';
import { analyze, type Ended, ended, path, printed, sinkscope } from './sinkscope.js';

const folder = await temporaryFolder();

/** As `sinkscope`, with one end on a disk that is full. */
async function withFull(full: 'stdout' | 'stderr', ...args: string[]): Promise<Ended> {
  const disk = openSync('/dev/full', 'w');
  const child = spawn(process.execPath, [path('dist/cli.js'), ...args], {
    cwd: path('test'),
    stdio: ['pipe', full === 'stdout' ? disk : 'pipe', full === 'stderr' ? disk : 'pipe'],
  });
  closeSync(disk);
  child.stdin?.end();
  return ended(child);
}

describe('a disk that is full', () => {
  beforeEach(({ skip }) => {
    if (!existsSync('/dev/full')) skip('this system has no /dev/full');
  });

  it.each([
    ['--help'],
    ['--version'],
    ['analyze', '--help'],
    ['inspect', 'llama'],
    ['inspect', 'llama', '--json'],
    ['analyze', 'llama', '--ids', '1,2,3', '--json'],
  ])('is said of a result that it takes nothing of: %s %s', async (...args) => {
    const { code, stderr } = await withFull('stdout', ...args);
    expect(stderr).toBe('sinkscope: The result could not be printed: the disk is full.\n');
    expect(code).toBe(1);
  });

  it('takes no message, and the exit code is left to tell', async () => {
    expect(await withFull('stderr', 'inspect', 'missing.onnx')).toMatchObject({ code: 1, stdout: '' });
    expect(await withFull('stderr', 'inspect')).toMatchObject({ code: 1, stdout: '' });
    const { code, stdout } = await withFull('stderr', 'inspect', 'llama', '--json');
    expect([code, JSON.parse(stdout).layers]).toEqual([0, 8]);
  });
});

it.runIf(process.platform === 'linux')(
  'a report that there is no room for leaves the older one, and the run is printed',
  async () => {
    const own = join(folder, 'reports');
    await mkdir(own);
    const file = join(own, 'run.html');
    await writeFile(file, 'older');
    // Blocks of 1,024 bytes, of which a report has several hundred.
    const command = [process.execPath, path('dist/cli.js'), 'analyze', 'llama', '--text', 'Summer is warm.'];
    const child = spawn('bash', ['-c', 'ulimit -f 100; exec "$@"', 'bash', ...command, '--report', file]);
    child.stdin.end();
    const { code, stdout, stderr } = await ended(child);
    expect(stderr).toMatch(/^sinkscope: .*run\.html could not be saved: the file would be larger than [^\n]+\n$/);
    expect(code).toBe(1);
    expect(stdout).toContain('Largest activation by layer');
    expect([await readdir(own), await readFile(file, 'utf8')]).toEqual([['run.html'], 'older']);
  },
);

describe('a model that cannot be opened', () => {
  const saying = async (...args: string[]) => {
    const { code, stdout, stderr } = await sinkscope(...args);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^sinkscope: [^\n]+\n$/);
    expect(stderr).not.toContain('unexpected');
    return stderr;
  };

  it('a link to itself', async () => {
    const file = join(folder, 'loop.onnx');
    await symlink(file, file);
    expect(await saying('inspect', file)).toContain(`${file} cannot be opened: its links lead back to themselves.`);
    expect(await saying('compare', file, 'llama', '--text', 'Summer')).toContain('its links lead back to themselves');
  });

  it('one that may not be read', async ({ skip }) => {
    if (process.getuid?.() === 0) skip('root may read everything');
    const file = join(folder, 'closed.onnx');
    await writeFile(file, '');
    await chmod(file, 0);
    expect(await saying('inspect', file)).toContain(`${file} cannot be opened: access is denied.`);
  });

  it('a name below a file, and one that is longer than any', async () => {
    expect(await saying('inspect', join(demo, 'model.onnx'))).toContain('There is no file');
    expect(await saying('inspect', 'a'.repeat(5000))).toContain('There is no file');
  });

  it('a folder, of which the one model is taken, or the models are named', async () => {
    const models = join(folder, 'models');
    await mkdir(models);
    expect(await saying('inspect', models)).toContain(`${models} is a folder without models; give the path of a .onnx`);
    const two = path('media/models/llama');
    expect(await saying('inspect', two)).toContain(
      `${two} is a folder; give one of its models: model.onnx, model_cached.onnx.`,
    );
    await writeFile(join(models, 'only.onnx'), '');
    expect(await saying('inspect', models)).toContain('only.onnx is empty');
    for (let i = 0; i < 600; i++) await writeFile(join(models, `${`${i}`.padStart(3, '0')}.onnx`), '');
    expect(await saying('inspect', models)).toContain(
      `${models} is a folder; give one of its models: 000.onnx, 001.onnx, 002.onnx, 003.onnx, 004.onnx and 495 more. Of the 601 models in ${models}, the first 500 are listed;`,
    );
  });
});

describe('a configuration stops nothing, and what could not be read of it is said', () => {
  const toItself = (file: string) => symlink(file, file);
  const broken = (file: string) => writeFile(file, '{"a":');
  it.each([
    ['config.json', 'a link to itself', toItself, 'its links lead back to themselves'],
    ['config.json', 'half of one', broken, 'is not valid JSON'],
    ['tokenizer_config.json', 'a link to itself', toItself, 'its links lead back to themselves'],
    ['tokenizer_config.json', 'half of one', broken, 'is not valid JSON'],
    ['genai_config.json', 'a link to itself', toItself, 'its links lead back to themselves'],
  ] as const)('%s: %s', async (name, kind, make, why) => {
    const own = join(folder, `${kind} for ${name}`);
    await cp(dirname(demo), own, { recursive: true });
    const file = join(own, name);
    await rm(file, { force: true });
    await make(file);
    const { model } = await analyze(join(own, 'model.onnx'), '--text', 'Summer is warm.');
    const said = model.remarks.filter((one) => one.startsWith(`configuration: ${file} `));
    expect(said).toEqual([expect.stringContaining(why)]);
  });
});

describe('a terminal', () => {
  /** The demo under a name, with tokens that are called so. */
  const steering = inFiles.filter((name) => unseen(name).length > 0);

  it('is given no sign of a file that steers it; JSON has them as they are', async () => {
    const own = join(folder, 'a\u001b[31m\u202Eb\nc');
    await cp(dirname(demo), own, { recursive: true });
    const json = JSON.parse(await readFile(join(own, 'tokenizer.json'), 'utf8'));
    const first = 8192 - steering.length;
    const vocab = Object.entries<number>(json.model.vocab);
    const text = new Map(steering.map((name, i) => [first + i, name]));
    json.model.vocab = Object.fromEntries(vocab.map(([token, id]) => [text.get(id) ?? token, id]));
    json.model.merges = json.model.merges.filter((merge: string | readonly string[]) => {
      const made = typeof merge === 'string' ? merge.replace(' ', '') : merge.join('');
      return Object.hasOwn(json.model.vocab, made);
    });
    json.added_tokens = [
      ...json.added_tokens,
      ...steering.map((content, i) => ({ ...json.added_tokens[0], id: first + i, content, special: i % 2 === 0 })),
    ];
    await writeFile(join(own, 'tokenizer.json'), JSON.stringify(json));
    const model = join(own, 'model.onnx');
    const ids = Array.from(steering, (_, i) => first + i).join(',');

    const shown = [
      await sinkscope('inspect', model),
      await sinkscope('analyze', model, '--ids', ids),
      await sinkscope('lens', model, '--text', steering.join(' ').replaceAll('\0', '')),
      await sinkscope('analyze', model, '--ids', '1', '--feeds', `${own}\u0007`),
      await sinkscope('inspect', join(own, 'missing\u009b31m.onnx')),
    ];
    for (const { stdout, stderr } of shown) {
      expect((stdout + stderr).length).toBeGreaterThan(0);
      expect(unseen((stdout + stderr).replaceAll('\n', ''))).toEqual([]);
    }
    expect(shown.map(({ code }) => code)).toEqual([0, 0, 0, 1, 1]);
    expect(shown[1]?.stdout).toContain('a\\u{1b}[31m\\u{202e}b\\u{a}c · 8 layers');

    const printedJson = await printed('analyze', model, '--ids', ids, '--json');
    expect(unseen(printedJson.replaceAll('\n', ''))).toEqual([]);
    const result = JSON.parse(printedJson);
    expect(result.model.name).toBe('a\u001b[31m\u202Eb\nc');
    expect(result.tokens.map((token: { text: string }) => token.text)).toEqual(steering);
  });
});
