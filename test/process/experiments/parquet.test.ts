/** Parquet: corpora as pyarrow writes them, files that lie, and what pyarrow reads of ours. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readDocument, readTexts } from '../../../src/experiments/shared/files.js';
import { path, startEngine, temporaryFolder } from '../../support/experiments.js';
import { sinkscope } from '../cli/sinkscope.js';

const engine = startEngine();
const file = (name: string) => path(`test/references/parquet/${name}.parquet`);

async function textsOf(path: string): Promise<[string, string][]> {
  const texts: [string, string][] = [];
  for await (const { name, text } of readTexts([path], engine)) texts.push([name, text]);
  return texts;
}

/** As tools/references/parquet.py writes them. */
const expected = Array.from({ length: 50 }, (_, i) => {
  return `Text ${i}: Summer is warm, 冬 is cold. 🙂\n${'word '.repeat(i % 7)}`;
});

describe('a corpus in Parquet', () => {
  it.each(['none', 'snappy', 'gzip', 'brotli', 'v2', 'zstd', 'lz4'])(
    'gives the texts that pyarrow wrote: %s',
    async (name) => {
      const texts = await textsOf(file(name));
      expect(texts.map(([, text]) => text)).toEqual(expected);
      expect(texts[37]?.[0]).toBe(`${name}.parquet:38`);
      expect(await readDocument(file(name), engine)).toBe(expected.join('\n\n'));
    },
  );

  it('has the column that is named', async () => {
    expect((await textsOf(`${file('several')}#b`)).map(([, text]) => text)).toEqual(['y']);
    await expect(textsOf(file('several'))).rejects.toThrow(
      'several.parquet has the columns a, b, n; name the one with the texts, as in several.parquet#a.',
    );
    await expect(textsOf(`${file('several')}#n`)).rejects.toThrow(
      'has no texts in the column n; its columns are a, b, n.',
    );
    await expect(textsOf(`${file('snappy')}#body`)).rejects.toThrow(
      'has no column body; its columns are id, text, tags, title.',
    );
  });

  it.each([
    ['null', /Record 2 of .*null\.parquet has no text in the column text\./],
    ['empty', /empty\.parquet has no records\./],
    ['numbers', /numbers\.parquet has no column of texts; its columns are n\./],
  ] as const)('says why it gives none: %s', async (name, message) => {
    await expect(textsOf(file(name))).rejects.toThrow(message);
  });

  it('that is damaged anywhere is read or refused, and the process stays', async () => {
    const folder = await temporaryFolder();
    const wholes = await Promise.all(['snappy', 'zstd', 'lz4'].map((name) => readFile(file(name))));
    const pid = (await engine.records({ file: file('snappy'), from: 0, column: undefined })) && engine.pid;
    for (let i = 0; i < 120; i++) {
      const whole = wholes[i % wholes.length] ?? Buffer.alloc(0);
      const bytes = Buffer.from(whole);
      // Three of four in the footer, where everything is said.
      const from = i % 4 === 0 ? 0 : whole.length - 1_200;
      const at = from + ((i * 7_919) % (whole.length - from));
      bytes[at] = (bytes[at] ?? 0) ^ (1 << (i % 8));
      if (i % 10 === 9) bytes.fill(0xff, at, at + 8);
      const damaged = join(folder, `${i}.parquet`);
      await writeFile(damaged, i % 12 === 11 ? bytes.subarray(0, at) : bytes);
      await textsOf(damaged).catch((error) => expect(['file', 'input']).toContain(error.code));
    }
    expect(engine.pid).toBe(pid);
  });

  it('is surveyed, and what was found is read by pyarrow', async ({ skip }) => {
    const folder = await temporaryFolder();
    await copyFile(file('gzip'), join(folder, 'corpus.parquet'));
    const saved = join(folder, 'found.parquet');
    const args = ['survey', 'llama', '--file', join(folder, 'corpus.parquet'), '--sequences', '4', '--length', '16'];
    const { code, stdout, stderr } = await sinkscope(...args, '--json', '--save', saved);
    expect([code, stderr]).toEqual([0, '']);
    expect(JSON.parse(stdout).sequences).toBe(4);
    const part = join(folder, 'part.json');
    expect((await sinkscope(...args, '--save', part)).code).toBe(0);
    const { records } = JSON.parse(await readFile(part, 'utf8'));
    const rows = records.flatMap(({ sequence, entries }: { sequence: number; entries: object[] }) =>
      entries.map((entry) => ({ sequence, ...entry })),
    );
    expect(rows.length).toBeGreaterThan(3);
    const tokens = (await textsOf(`${saved}#token`)).map(([, text]) => text);
    expect(tokens).toEqual(rows.map(({ token }: { token: string }) => token));
    const python = process.env.SINKSCOPE_PYTHON ?? 'python3';
    const read = `import json, sys, pyarrow.parquet as p; print(json.dumps(p.read_table(sys.argv[1]).to_pylist()))`;
    try {
      execFileSync(python, ['-c', 'import pyarrow.parquet'], { stdio: 'ignore' });
    } catch {
      skip('no Python with pyarrow is here to read it (SINKSCOPE_PYTHON names one)');
    }
    expect(JSON.parse(execFileSync(python, ['-c', read, saved], { encoding: 'utf8' }))).toEqual(rows);
  });

  it('is written for what has rows alone', async () => {
    const folder = await temporaryFolder();
    const saved = join(folder, 'found.parquet');
    const [text, other] = [path('media/sample.md'), path('test/text/pit-and-pendulum.md')];
    const { code, stderr } = await sinkscope('weights', 'llama', '--file', text, '--calibrate', other, '--save', saved);
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/^sinkscope: weights has no table .* name a \.json file\.\n$/),
    ]);
    expect(existsSync(saved)).toBe(false);
  });
});
