import { describe, expect, it, vi } from 'vitest';
import type { PredictionsEvent, RunEvent } from '../../../src/engine/contract/events.js';
import type { FromWebview, ToWebview } from '../../../src/protocol.js';
import { synthetic } from '../../../webview/dev/runs.js';
import { Store } from '../../../webview/store.js';
import { at } from '../../support/lists.js';

const { events, predictions, pattern } = synthetic({ layers: 3, tokens: 4, dims: 8, heads: 2 });

function connected() {
  const sent: FromWebview[] = [];
  const store = new Store({
    postMessage: (message) => sent.push(message),
    getState: () => undefined,
    setState: () => undefined,
  });
  const tell = (index: number, run = 1, event: RunEvent = at(events, index)) =>
    store.receive({ type: 'event', run, index, event } satisfies ToWebview);
  const replay = (count: number, run = 1) =>
    store.receive({ type: 'replay', run, events: events.slice(0, count) } satisfies ToWebview);
  return { store, sent, tell, replay };
}

describe('the store follows a run', () => {
  it('folds a replay and what comes after it', () => {
    const { store, tell, replay } = connected();
    expect(store.state.connected).toBe(false);
    replay(3);
    expect(store.state).toMatchObject({ connected: true, run: 1 });
    expect(store.state.analysis).toMatchObject({ status: 'running', tokens: { total: 3 } });
    for (let index = 3; index < events.length; index++) tell(index);
    expect(store.state.analysis.status).toBe('finished');
    expect(store.state.analysis.layers).toHaveLength(4);
    expect(store.state.analysis.attention).toHaveLength(3);
  });

  it('takes run 0 as nothing run yet, and any other as going on from its request', () => {
    const { store, replay } = connected();
    replay(0, 0);
    expect(store.state).toMatchObject({ connected: true, analysis: { status: 'empty' } });
    replay(0, 1);
    expect(store.state).toMatchObject({ connected: true, analysis: { status: 'running' } });
  });

  it('asks for everything once when an event was lost, and takes none until it has come', () => {
    const { store, sent, tell, replay } = connected();
    replay(2);
    tell(3);
    tell(4);
    expect(sent).toEqual([{ type: 'ready' }]);
    expect(store.state.analysis.layers).toHaveLength(0);
    replay(5);
    tell(5);
    expect(sent).toHaveLength(1);
    expect(store.state.analysis.layers).toHaveLength(3);
  });

  it('takes what was selected here and comes back for no change', () => {
    const { store, sent } = connected();
    const listener = vi.fn();
    store.select({ token: 2, layer: 1 });
    store.subscribe(listener);
    const back = at(sent, 0);
    store.receive({ type: 'selection', selection: back.type === 'select' ? back.selection : {} });
    expect(listener).not.toHaveBeenCalled();
    store.receive({ type: 'selection', selection: { token: 2 } });
    expect(listener).toHaveBeenCalledTimes(1);
  });

  it('leaves out what it knows already', () => {
    const { store, sent, tell, replay } = connected();
    replay(3);
    const before = store.state.analysis;
    tell(2);
    expect(store.state.analysis).toBe(before);
    expect(sent).toEqual([]);
  });

  it('begins anew with the first event of a later run, and forgets the earlier one', () => {
    const { store, sent, tell, replay } = connected();
    replay(events.length);
    tell(0, 2);
    expect(store.state).toMatchObject({ run: 2, analysis: { status: 'running', layers: [] } });
    tell(4, 1);
    expect(store.state).toMatchObject({ run: 2, analysis: { layers: [] } });
    tell(1, 2);
    expect(store.state.analysis.tokens).toBeDefined();
    expect(sent).toEqual([]);
  });

  it('asks for everything when a later run is first heard of in its middle', () => {
    const { sent, tell, replay } = connected();
    replay(events.length);
    tell(4, 2);
    expect(sent).toEqual([{ type: 'ready' }]);
  });

  it('keeps what had arrived when a run fails', () => {
    const { store, tell, replay } = connected();
    replay(4);
    tell(4, 1, { type: 'failed', problem: { code: 'crashed', message: 'The engine ended by itself.' } });
    expect(store.state.analysis).toMatchObject({ status: 'failed', problem: { code: 'crashed' } });
    expect(store.state.analysis.layers).toHaveLength(2);
  });
});

describe('the store checks what arrives', () => {
  it.each([
    ['nothing', undefined],
    ['another program’s message', { source: 'devtools' }],
    ['an unknown type', { type: 'theme', dark: true }],
    ['a negative index', { type: 'event', run: 1, index: -1, event: events[0] }],
    ['an event without statistics', { type: 'event', run: 1, index: 0, event: { type: 'layer', layer: 0 } }],
    ['lists where typed arrays belong', JSON.parse(JSON.stringify({ type: 'replay', run: 1, events }))],
  ])('refuses %s and goes on', (_, message) => {
    const { store, replay } = connected();
    const complaint = vi.spyOn(console, 'error').mockImplementation(() => undefined);
    store.receive(message);
    expect(complaint).toHaveBeenCalledOnce();
    complaint.mockRestore();
    expect(store.state.connected).toBe(false);
    replay(2);
    expect(store.state.connected).toBe(true);
  });

  it('takes null, as the channel carries NaN, for NaN', () => {
    const { store, replay } = connected();
    replay(2);
    const layer = { ...(events[2] as Extract<RunEvent, { type: 'layer' }>) };
    store.receive({
      type: 'event',
      run: 1,
      index: 2,
      event: { ...layer, statistics: { ...layer.statistics, median: null } },
    });
    expect(store.state.analysis.layers[0]?.median).toBeNaN();
  });
});

describe('the store selects and asks', () => {
  it('moves the selection at once and tells the host the whole of it', () => {
    const { store, sent } = connected();
    store.receive({ type: 'selection', selection: { token: 2, layer: 1 } });
    store.select({ layer: 3 });
    expect(store.state.selection).toMatchObject({ token: 2, layer: 3 });
    expect(sent).toEqual([{ type: 'select', selection: { token: 2, layer: 3 } }]);
  });

  it('gives each question its own answer', async () => {
    const { store, sent } = connected();
    const first = store.query({ type: 'pattern', layer: 1, head: 0 });
    const second = store.query({ type: 'predictions', token: 2 });
    const [one, two] = sent.map((message) => (message.type === 'query' ? message.id : -1));
    store.receive({ type: 'answer', id: two, answer: { ok: true, value: predictions(2) } });
    store.receive({ type: 'answer', id: one, answer: { ok: true, value: pattern(1, 0) } });
    expect((await first).queries).toBe(4);
    expect(await second).toMatchObject({ token: 2 } satisfies Partial<PredictionsEvent>);
  });

  it('rejects with the problem of the host', async () => {
    const { store } = connected();
    const answer = store.query({ type: 'pattern', layer: 1, head: 0 });
    store.receive({
      type: 'answer',
      id: 0,
      answer: { ok: false, problem: { code: 'runtime', message: 'No memory.' } },
    });
    await expect(answer).rejects.toMatchObject({ code: 'runtime', message: 'No memory.' });
  });

  it('rejects an answer of another shape', async () => {
    const { store } = connected();
    const answer = store.query({ type: 'pattern', layer: 1, head: 0 });
    store.receive({ type: 'answer', id: 0, answer: { ok: true, value: { values: [1, 2] } } });
    await expect(answer).rejects.toMatchObject({ code: 'internal' });
  });

  it('cancels questions about a run that another one has replaced', async () => {
    const { store, replay } = connected();
    replay(events.length);
    const answer = store.query({ type: 'predictions', token: 1 });
    replay(1, 2);
    await expect(answer).rejects.toMatchObject({ code: 'cancelled' });
  });
});

describe('the store follows experiments', () => {
  const run = (number: number, status: 'running' | 'finished') =>
    ({ number, experiment: 'perplexity', title: 'Perplexity · llama', status }) as const;
  const say = (store: Store, message: Extract<ToWebview, { type: 'experiments' }>['message']) =>
    store.receive({ type: 'experiments', message } satisfies ToWebview);

  it('keeps runs newest first, each as it was told last', () => {
    const { store } = connected();
    say(store, { kind: 'runs', runs: [run(1, 'finished')] });
    say(store, { kind: 'run', run: run(2, 'running') });
    say(store, { kind: 'run', run: run(2, 'finished') });
    expect(store.state.experiments.runs).toMatchObject([run(2, 'finished'), run(1, 'finished')]);
    say(store, { kind: 'runs', runs: [run(2, 'finished')] });
    expect(store.state.experiments.runs).toHaveLength(1);
  });

  it('takes numbers that are none, as the channel gives them, and refuses parts of no known kind', () => {
    const { store } = connected();
    const failed = vi.spyOn(console, 'error').mockImplementation(() => undefined);
    const presentation = (part: object) => ({ title: '', sentence: '', settings: [], warnings: [], parts: [part] });
    const tell = (part: object) =>
      store.receive({
        type: 'experiments',
        message: { kind: 'run', run: { ...run(1, 'finished'), presentation: presentation(part) } },
      });
    tell({ kind: 'bars', heading: '', value: { name: 'x' }, log: false, bars: [{ name: 'a', value: null }] });
    expect(store.state.experiments.runs[0]?.presentation?.parts[0]).toMatchObject({ bars: [{ value: Number.NaN }] });
    tell({ kind: 'pie', heading: '' });
    expect(failed).toHaveBeenCalledOnce();
    failed.mockRestore();
  });
});
