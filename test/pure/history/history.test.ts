import { readdirSync, readFileSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { History, type NoteFacts, type StoredRun } from '../../../src/history/history.js';
import { temporaryFolder } from '../../support/files.js';
import { begun } from '../analysis/example.js';

const run: StoredRun = {
  source: { uri: 'file:///notes.md', scope: 'document', text: 'Summer is warm.' },
  range: { start: 0, end: 15 },
  request: {
    model: '/models/example/model.onnx',
    prompt: { text: 'Summer is warm.' },
    attention: true,
    memory: 1e9,
    threads: 0,
  },
  file: undefined,
  events: [...begun, { type: 'finished', seconds: Number.NaN, firstLayerSeconds: 1 }],
};

const about = (question: string): NoteFacts => ({
  name: undefined,
  document: 'notes.md',
  excerpt: 'Summer is warm.',
  model: { name: 'example', identity: 'abc' },
  bos: true,
  tokens: 12,
  sentence: 'Nothing is massive.',
  question,
});

describe('history', () => {
  const history = async () => {
    const folder = join(await temporaryFolder(), 'runs');
    return { folder, history: new History(folder) };
  };

  it('gives back what was kept, newest first, and has nothing where nothing was', async () => {
    const { history: kept } = await history();
    expect(await kept.list()).toEqual([]);
    const first = await kept.add(run, about('a'), [], 1000);
    const second = await kept.add(run, about('b'), [], 2000);
    expect((await kept.list()).map(({ id, at, tokens }) => [id, at, tokens])).toEqual([
      [second, 2000, 12],
      [first, 1000, 12],
    ]);
    expect(await kept.load(first)).toEqual(run);
  });

  it('keeps the last run of a question, and each that has a name or is needed', async () => {
    const { history: kept } = await history();
    const named = await kept.add(run, about('a'), [], 1);
    await kept.rename(named, 'as it was');
    const shown = await kept.add(run, about('a'), [], 2);
    await kept.add(run, about('a'), [shown], 3);
    const last = await kept.add(run, about('a'), [shown], 4);
    expect((await kept.list()).map(({ id, name }) => [id, name])).toEqual([
      [last, undefined],
      [shown, undefined],
      [named, 'as it was'],
    ]);
    await kept.rename(named, undefined);
    await kept.add(run, about('a'), [], 5);
    expect(await kept.list()).toHaveLength(1);
  });

  it('is bounded: the oldest without a name make room, and names stop at half', async () => {
    const { folder } = await history();
    const kept = new History(folder, { runs: 6, bytes: 2 ** 20 });
    const ids: string[] = [];
    for (let i = 0; i < 9; i++) ids.push(await kept.add(run, about(`${i}`), ids.slice(0, 1), i + 1));
    const left = await kept.list();
    // The first is needed, the next three had to go.
    expect(left.map(({ id }) => id)).toEqual([8, 7, 6, 5, 4, 0].map((i) => ids[i]));
    expect(readdirSync(folder)).toHaveLength(12);
    for (const id of ids.slice(-3)) await kept.rename(id, 'named');
    await expect(kept.rename(ids[0] ?? '', 'one more')).rejects.toMatchObject({ code: 'input' });
    await expect(kept.rename(ids.at(-1) ?? '', 'another name')).resolves.toBeUndefined();
    // Of bytes as of runs: room for four, of which three have names.
    const [{ bytes } = { bytes: 0 }] = left;
    const small = new History(folder, { runs: 6, bytes: 4.5 * bytes });
    const last = await small.add(run, about('last'), [], 10);
    expect((await small.list()).map(({ id }) => id)).toEqual([last, ...ids.slice(-3).toReversed()]);
  });

  it('takes no torn or foreign file for a run, and clears them away in time', async () => {
    const { history: kept, folder } = await history();
    const [torn, gone, fine] = [
      await kept.add(run, about('a'), [], 1),
      await kept.add(run, about('b'), [], 2),
      await kept.add(run, about('c'), [], 3),
    ];
    truncateSync(join(folder, `${torn}.run`), 100);
    await expect(kept.load(torn)).rejects.toMatchObject({ code: 'file' });
    writeFileSync(join(folder, `${gone}.json`), readFileSync(join(folder, `${gone}.json`)).subarray(0, 40));
    // As another window has it for a moment: a run whose note is not yet there.
    writeFileSync(join(folder, 'abc-0123456789ab.run'), 'x');
    writeFileSync(join(folder, 'notes.txt'), 'not ours');
    expect((await kept.list()).map(({ id }) => id)).toEqual([fine, torn]);
    await kept.add(run, about('d'), [], 4);
    expect(readdirSync(folder)).toContain('abc-0123456789ab.run');
    for (const name of readdirSync(folder)) utimesSync(join(folder, name), 1, 1);
    await kept.add(run, about('e'), [], 5);
    const names = readdirSync(folder);
    expect(names).toContain('notes.txt');
    expect(names.filter((name) => name.startsWith('abc-') || name.startsWith(gone))).toEqual([]);
    await expect(kept.load('../../etc/passwd')).rejects.toThrow();
  });

  it('is written by two windows at once, and cleared by either', async () => {
    const { history: one, folder } = await history();
    const other = new History(folder);
    const each = Array.from({ length: 10 }, (_, i) => i);
    const ids = await Promise.all(
      each.flatMap((i) => [one.add(run, about(`one ${i}`)), other.add(run, about(`other ${i}`))]),
    );
    const listed = (await one.list()).map(({ id }) => id);
    expect(listed.toSorted()).toEqual(ids.toSorted());
    for (const id of listed) expect(await other.load(id)).toEqual(run);
    await other.remove(ids[0] ?? '');
    await expect(one.rename(ids[0] ?? '', 'gone')).rejects.toMatchObject({ code: 'file' });
    await one.clear();
    expect(await other.list()).toEqual([]);
    await other.add(run, about('again'));
    expect(await one.list()).toHaveLength(1);
  });
});
