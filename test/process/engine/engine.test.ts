import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { RunEvent, RunRequest } from '../../../src/engine/contract/events.js';
import { Engine } from '../../../src/engine/host/engine.js';
import { collect, failure, makeEngine, only, request, startEngine } from '../../support/engine.js';
import { demo, fixture, temporaryFolder } from '../../support/files.js';
import { at } from '../../support/lists.js';

const folder = await temporaryFolder();
const engine = startEngine();

/** Long enough to be stopped while it runs. */
const long = () => request(demo, { ids: Array.from({ length: 512 }, (_, i) => (i * 37) % 8000) });
const short = () => request(demo, { ids: [0, 5, 6, 7] });

/** The events up to the first layer; the run goes on. */
async function untilLayer(events: AsyncGenerator<RunEvent>): Promise<void> {
  for (let next = await events.next(); !next.done; next = await events.next()) {
    if (next.value.type === 'layer') return;
    if (next.value.type === 'failed') throw new Error(next.value.problem.message);
  }
}

describe('a run', () => {
  it('says everything in order', async () => {
    const events = await collect(engine.analyze(request(demo, { text: 'Once upon a time' })));
    const layers = Array.from({ length: 8 }, () => ['layer', 'attention']).flat();
    expect(events.map((event) => event.type)).toEqual([
      'started',
      'tokens',
      'layer',
      ...layers,
      'predictions',
      'finished',
    ]);
    expect(only(events, 'layer').map((event) => event.layer)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect(only(events, 'attention').map((event) => event.layer)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    const { tokens } = at(only(events, 'tokens'), 0);
    const { statistics } = at(only(events, 'layer'), 0);
    expect([statistics.tokens, statistics.dims]).toEqual([tokens.length, 256]);
  });

  it('gives the same again from kept sessions', async () => {
    const first = await collect(engine.analyze(request(demo, { text: 'The lighthouse keeper slept.' })));
    const again = await collect(engine.analyze(request(demo, { text: 'The lighthouse keeper slept.' })));
    expect(only(again, 'layer').map((event) => event.statistics.median)).toEqual(
      only(first, 'layer').map((event) => expect.closeTo(event.statistics.median, 5) as unknown),
    );
  });
});

describe('stopping', () => {
  let events: AsyncGenerator<RunEvent>;
  const abort = { controller: new AbortController() };
  beforeEach(async () => {
    abort.controller = new AbortController();
    events = engine.analyze(long(), abort.controller.signal);
    await untilLayer(events);
  });

  it('by a signal ends the child and the run', async () => {
    const { pid } = engine;
    abort.controller.abort();
    expect(engine.pid).toBeUndefined();
    expect(failure(await collect(events))?.code).toBe('cancelled');
    await expect.poll(() => isAlive(pid)).toBe(false);
  });

  it('by leaving the loop ends the child, even while an event is awaited', async () => {
    const { pid } = engine;
    for (let i = 0; i < 100; i++) void events.next();
    await events.return(undefined);
    await expect.poll(() => isAlive(pid)).toBe(false);
  });

  it('by a newer request fails the older one and runs the newer', async () => {
    const newer = engine.analyze(short());
    expect(failure(await collect(events))).toMatchObject({
      code: 'cancelled',
      message: expect.stringContaining('another'),
    });
    expect((await collect(newer)).at(-1)?.type).toBe('finished');
  });

  it('does not take a question about a model with it', async () => {
    const inspection = engine.inspect(demo);
    abort.controller.abort();
    expect((await inspection).anatomy.layers).toBe(8);
  });

  it('leaves no half-written file', async () => {
    const file = join(folder, 'stopped.safetensors');
    const saving = engine.analyze({ ...long(), save: { file, attention: true, mlp: true, logits: true } });
    await untilLayer(saving);
    expect(await readdir(folder)).toHaveLength(1);
    await saving.return(undefined);
    await expect.poll(() => readdir(folder)).toEqual([]);
  });
});

describe('a child that dies', () => {
  it('becomes an error, and the next request works', async () => {
    const events = engine.analyze(long());
    await untilLayer(events);
    process.kill(engine.pid ?? 0, 'SIGKILL');
    expect(failure(await collect(events))).toMatchObject({
      code: 'crashed',
      message: expect.stringContaining('SIGKILL'),
    });
    await expect(engine.query({ type: 'predictions', token: 0 })).rejects.toThrow('run it again');
    expect((await collect(engine.analyze(short()))).at(-1)?.type).toBe('finished');
  });

  it('has its last words kept for the log', async () => {
    const script = join(folder, 'dies.cjs');
    await writeFile(script, 'console.error("out of luck"); process.exit(7);');
    const fragile = new Engine(script);
    expect(failure(await collect(fragile.analyze(short())))).toMatchObject({
      code: 'crashed',
      message: expect.stringContaining('exit code 7'),
      detail: expect.stringContaining('out of luck'),
    });
    await expect(fragile.inspect(demo)).rejects.toMatchObject({ code: 'crashed' });
    await rm(script);
  });
});

describe('bad requests', () => {
  const cases: [string, () => unknown, string, RegExp][] = [
    ['a model that is not there', () => request(join(folder, 'none.onnx'), { text: 'a' }), 'file', /none\.onnx/],
    ['a file that is no model', () => request(import.meta.filename, { text: 'a' }), 'file', /not an ONNX/],
    ['no prompt', () => ({ ...short(), prompt: {} }), 'input', /exactly one of/],
    ['a negative thread count', () => ({ ...short(), threads: -1 }), 'input', /threads/],
    ['an empty text', () => request(demo, { text: '' }), 'input', /no text/],
    ['no ids', () => request(demo, { ids: [] }), 'input', /No token ids/],
    ['an id out of range', () => request(demo, { ids: [1, 8192] }), 'input', /Token 1 has id 8192/],
    [
      'text for a model without tokenizer',
      () => request(fixture('gpt2-ts-op14').model, { text: 'a' }),
      'tokenizer',
      /tokenizer\.json/,
    ],
    ['feeds that are not there', () => request(demo, { feeds: join(folder, 'none') }), 'file', /none/],
    [
      'a place that cannot be written',
      () => ({ ...short(), save: { file: join(folder, 'no', 'x'), attention: false, mlp: false, logits: false } }),
      'save',
      /the folder .*no does not exist; make it first/,
    ],
  ];
  it.each(cases)('%s', async (_, make, code, message) => {
    const problem = failure(await collect(engine.analyze(make() as RunRequest)));
    expect(problem).toMatchObject({ code, message: expect.stringMatching(message) });
    expect(problem?.message).toMatch(/\.$/);
  });

  it('is answered when the text is longer than the context, and a window chooses a part', async () => {
    const ids = Array.from({ length: 600 }, (_, i) => i);
    const problem = failure(await collect(engine.analyze(request(demo, { ids }))));
    expect(problem).toMatchObject({ code: 'too-long', limit: { tokens: 600, context: 512 } });
    for (const [window, start] of [
      ['first', 0],
      ['last', 88],
      [{ start: 40 }, 40],
    ] as const) {
      const events = engine.analyze(request(demo, { ids }, { window, attention: false }));
      for await (const event of events) {
        if (event.type !== 'tokens') continue;
        expect(event).toMatchObject({ total: 600, window: { start, end: start + 512 } });
        expect(event.tokens.map((token) => token.id)).toEqual(ids.slice(start, start + 512));
        break;
      }
    }
  });

  it('of a very long text is answered before all of it was read, and so is its beginning', async () => {
    const text = 'Summer is warm. Winter is cold. '.repeat(5_000);
    const problem = failure(await collect(engine.analyze(request(demo, { text }))));
    expect(problem?.message).toContain('more than 512 tokens (160,000 characters)');
    expect(problem?.limit?.context).toBe(512);
    const run = async (window: 'first' | 'last', of = text) => {
      for await (const event of engine.analyze(request(demo, { text: of }, { window, attention: false })))
        if (event.type === 'tokens') return event;
      throw new Error('It has no tokens.');
    };
    const last = await run('last');
    expect(last.total).toBeGreaterThan(40_000);
    const { total, window, tokens } = await run('first');
    expect({ total, window }).toEqual({ total: undefined, window: { start: 0, end: 511 } });
    // What is run does not depend on what was left unread.
    expect(tokens).toEqual((await run('first', text.slice(0, 10_000))).tokens);
  });

  it('is answered when memory has no room for the text', async () => {
    const problem = failure(await collect(engine.analyze({ ...long(), memory: 2 ** 23 })));
    expect(problem).toMatchObject({ code: 'too-long', message: expect.stringContaining('memory') });
    expect(problem?.limit?.context).toBeLessThan(512);
  });

  it('has no answers without a run', async () => {
    const fresh = makeEngine();
    await expect(fresh.query({ type: 'predictions', token: 0 })).rejects.toMatchObject({ code: 'input' });
    expect(fresh.pid).toBeUndefined();
    fresh.dispose();
    await expect(fresh.inspect(demo)).rejects.toMatchObject({ code: 'cancelled' });
  });
});

function isAlive(pid: number | undefined): boolean {
  try {
    return process.kill(pid ?? Number.NaN, 0);
  } catch {
    return false;
  }
}
