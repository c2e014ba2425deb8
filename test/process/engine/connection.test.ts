import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { FromChild } from '../../../src/engine/contract/protocol.js';
import { Connection } from '../../../src/engine/host/connection.js';
import { Engine } from '../../../src/engine/host/engine.js';
import type { Problem } from '../../../src/errors.js';
import { temporaryFolder } from '../../support/files.js';
import { answers, events, requests } from '../../support/messages.js';

const folder = await temporaryFolder();
const script = join(folder, 'child.cjs');

/** A child that does with each message what its text, model or file says: JavaScript, with `message` and `say`. */
await writeFile(
  script,
  `const say = (message) => process.send(message);
   process.on('message', (message) => new Function('message', 'say', message.request.model)(message, say));`,
);

/** What was heard of a job: messages, and how it failed. */
function job(last: (message: FromChild) => boolean = ({ type }) => type !== 'event') {
  const heard: FromChild[] = [];
  let done: (failed: Problem | undefined) => void;
  const ended = new Promise<Problem | undefined>((resolve) => {
    done = resolve;
  });
  return {
    heard,
    ended,
    receive(message: FromChild) {
      heard.push(message);
      const isLast = last(message);
      if (isLast) done(undefined);
      return isLast;
    },
    fail: (problem: Problem) => done(problem),
  };
}

const gone: Problem = { code: 'cancelled', message: 'Enough.' };

describe('a connection', () => {
  const connections: Connection[] = [];
  afterEach(() => {
    for (const connection of connections.splice(0)) connection.kill(gone);
  });
  const connect = () => {
    const connection = new Connection(script, undefined);
    connections.push(connection);
    return connection;
  };

  it('gives each job what is said of it, in order, until its last', async () => {
    const connection = connect();
    const [one, other] = [job(), job()];
    connection.send('inspect', { model: 'globalThis.first = message.id' }, one);
    connection.send(
      'inspect',
      {
        model: `const { id } = message, { first } = globalThis;
          say({ id, type: 'event', event: 1 }); say({ id: first, type: 'answer', answer: 'a' });
          say({ id: first, type: 'answer', answer: 'late' }); say({ id, type: 'answer', answer: 'b' });`,
      },
      other,
    );
    await Promise.all([one.ended, other.ended]);
    expect(one.heard).toMatchObject([{ type: 'answer', answer: 'a' }]);
    expect(other.heard).toMatchObject([
      { type: 'event', event: 1 },
      { type: 'answer', answer: 'b' },
    ]);
  });

  it('goes on after what is no message, and keeps that for the log', async () => {
    const connection = connect();
    const [heard, lost] = [job(), job()];
    connection.send(
      'inspect',
      { model: `say('noise'); say({ type: 'dance' }); say({ id: message.id, type: 'answer', answer: 1 })` },
      heard,
    );
    expect(await heard.ended).toBeUndefined();
    connection.send(
      'inspect',
      { model: 'console.error("out of luck"); process.exitCode = 7; process.disconnect()' },
      lost,
    );
    const problem = await lost.ended;
    expect(problem).toMatchObject({ code: 'crashed', message: expect.stringContaining('exit code 7') });
    expect(problem?.detail).toMatch(/"noise".*"dance".*out of luck/s);
    expect(connection.alive).toBe(false);
  });

  it('fails all its jobs when it is killed, and is heard no more', async () => {
    const connection = connect();
    const jobs = [job(), job()];
    for (const one of jobs) connection.send('inspect', { model: '' }, one);
    connection.kill(gone);
    for (const one of jobs) expect(await one.ended).toEqual(gone);
    expect(connection.alive).toBe(false);
  });

  it('says so when there is no such program', async () => {
    const connection = new Connection(join(folder, 'none.cjs'), undefined);
    const lost = job();
    connection.send('inspect', { model: '' }, lost);
    expect(await lost.ended).toMatchObject({ code: 'crashed', detail: expect.stringContaining('none.cjs') });
  });
});

describe('an engine whose child says what it should not', () => {
  const engine = () => new Engine(script);
  const unreadable = {
    code: 'internal',
    message: expect.stringMatching(/^The engine's process sent what cannot be read: .* install Sinkscope again\.$/),
  };
  const said = (...messages: readonly object[]) =>
    messages.map((message) => `say({ id: message.id, ...${JSON.stringify(message)} });`).join('\n');
  const analyze = async (model: string) => {
    const one = engine();
    const all = [];
    for await (const event of one.analyze({
      ...requests.analyze[3],
      model,
      prompt: { ids: [1] },
      attention: true,
      memory: 1,
      threads: 1,
    }))
      all.push(event);
    return { all, engine: one };
  };

  it('ends a run at an event that is none, and says what is wrong with it', async () => {
    const [started] = events.analyze;
    const { all, engine } = await analyze(
      said({ type: 'event', event: started }, { type: 'event', event: { type: 'layer', layer: -1 } }),
    );
    expect(all).toMatchObject([started, { type: 'failed', problem: unreadable }]);
    expect(engine.pid).toBeUndefined();
  });

  it('ends a run at an answer that is none, and takes no questions', async () => {
    const { all, engine } = await analyze(said({ type: 'answer', answer: answers.measure }));
    expect(all).toMatchObject([{ type: 'failed', problem: unreadable }]);
    await expect(engine.query({ type: 'predictions', token: 0 })).rejects.toMatchObject({ code: 'input' });
  });

  it('refuses answers that are none, and goes on', async () => {
    const one = engine();
    await expect(one.identity(said({ type: 'answer', answer: 7 }))).rejects.toMatchObject(unreadable);
    await expect(one.inspect(said({ type: 'answer', answer: { model: {} } }))).rejects.toMatchObject(unreadable);
    expect(await one.identity(said({ type: 'event', event: 1 }, { type: 'answer', answer: 'abc' }))).toBe('abc');
    one.dispose();
  });

  it('has what cannot be read at all fail the job that it is about', async () => {
    const one = engine();
    const message = said({ type: 'problem', problem: { code: 'unheard of', message: '' } });
    await expect(one.identity(message)).rejects.toMatchObject(unreadable);
    one.dispose();
  });

  it('refuses an answer that is to another question', async () => {
    const { all, engine } = await analyze(
      `${said({ type: 'answer', answer: answers.analyze })}
       process.removeAllListeners('message');
       process.on('message', ({ id }) => say({ id, type: 'answer', answer: { shares: [] } }));`,
    );
    expect(all).toEqual([answers.analyze]);
    await expect(engine.query({ type: 'pattern', layer: 1, head: 0 })).rejects.toMatchObject(unreadable);
    expect(await engine.query({ type: 'evicted', layer: 1, windows: [] })).toEqual({ shares: [] });
    engine.dispose();
  });
});
