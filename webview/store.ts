/**
 * Everything a webview knows: the fold of the run's events, what the host says besides, and the selection.
 * Thrown away with the webview; `ready` brings it all again.
 */
import { type Analysis, emptyAnalysis, fold } from '../src/analysis/analysis.js';
import { isSameSelection, reselected, type Selection } from '../src/analysis/selection.js';
import { defaultThresholds } from '../src/analysis/thresholds.js';
import type { RunEvent } from '../src/engine/contract/events.js';
import { type Problem, SinkscopeError } from '../src/errors.js';
import {
  type Asked,
  type FromWebview,
  type ModelState,
  type Reply,
  type ReplyTo,
  readReply,
  readToWebview,
  type ToWebview,
  type ViewState,
} from '../src/protocol.js';
import { type ExperimentsState, noExperiments, takeExperiments } from './experiments/state.js';

/** The part of `acquireVsCodeApi()` that is used. */
export interface WebviewApi {
  postMessage(message: FromWebview): void;
  getState(): unknown;
  setState(state: unknown): void;
}

export interface State {
  /** False until the host's first replay. */
  readonly connected: boolean;
  readonly run: number;
  readonly view: ViewState;
  readonly analysis: Analysis;
  readonly selection: Selection;
  /** Seconds that a layer takes, as far as that is seen. */
  readonly pace: number | undefined;
  /** What the run is held against. */
  readonly against: { readonly name: string; readonly pinned: boolean; readonly analysis: Analysis } | undefined;
  readonly experiments: ExperimentsState;
  /** In the editor of a model's file: what is known of it. */
  readonly model: ModelState | undefined;
}

const initial: State = {
  connected: false,
  run: -1,
  view: {
    document: undefined,
    scope: undefined,
    models: [],
    model: undefined,
    bos: 'auto',
    tint: 'large',
    thresholds: defaultThresholds,
    stale: undefined,
    trouble: undefined,
    live: undefined,
    watched: undefined,
    context: undefined,
    pinned: 'none',
    tensors: undefined,
  },
  against: undefined,
  pace: undefined,
  analysis: emptyAnalysis,
  selection: {},
  experiments: noExperiments,
  model: undefined,
};

interface Pending {
  settle(reply: Reply): void;
}

export class Store {
  #state = initial;
  /** Events of the run folded so far: the index that comes next. */
  #next = 0;
  /** A gap was seen and `ready` sent: events are void until the replay. */
  #lost = false;
  #queries = 0;
  /** When the first layer that was seen to arrive did, in milliseconds, and which that was. */
  #seen: { readonly at: number; readonly layer: number } | undefined;
  readonly #pending = new Map<number, Pending>();
  readonly #listeners = new Set<() => void>();

  constructor(private readonly host: WebviewApi) {}

  get state(): State {
    return this.#state;
  }

  /** Calls `listener` after every change, until the returned function is called. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  send(message: FromWebview): void {
    this.host.postMessage(message);
  }

  /** Takes what arrived from the host, in whatever shape. */
  receive(data: unknown): void {
    const message = readToWebview(data);
    if (message === undefined) {
      console.error('Sinkscope: the panel was sent a message that it does not understand.', data);
      return;
    }
    this.#take(message);
  }

  /** Moves the shared selection here and, through the host, everywhere. */
  select(part: Selection): void {
    const selection = reselected(this.#state.selection, part);
    this.#change({ selection });
    this.send({ type: 'select', selection });
  }

  /** Asks the host. Rejects with a {@link SinkscopeError}; with code `cancelled` when another run took over. */
  query<Q extends Asked>(query: Q): Promise<ReplyTo<Q['type']>> {
    const id = this.#queries++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, {
        settle: (reply) => {
          const value = reply.ok ? readReply<Q['type']>(query.type, reply.value) : undefined;
          if (value !== undefined) resolve(value);
          else reject(new SinkscopeError(reply.ok ? misshapen(query) : reply.problem));
        },
      });
      this.send({ type: 'query', id, query });
    });
  }

  #take(message: ToWebview): void {
    switch (message.type) {
      case 'view':
        this.#change({ view: message.state });
        break;
      case 'replay':
        if (message.run !== this.#state.run) this.#cancelQueries();
        this.#next = message.events.length;
        this.#lost = false;
        this.#seen = undefined;
        this.#change({
          pace: undefined,
          connected: true,
          run: message.run,
          analysis: message.events.reduce(fold, begun(message.run)),
        });
        break;
      case 'event':
        this.#takeEvent(message);
        break;
      case 'selection':
        // What was selected here comes back.
        if (!isSameSelection(message.selection, this.#state.selection)) this.#change({ selection: message.selection });
        break;
      case 'against': {
        const { before } = message;
        const analysis = before?.events.reduce(fold, emptyAnalysis);
        this.#change({ against: before && analysis && { name: before.name, pinned: before.pinned, analysis } });
        break;
      }
      case 'experiments':
        this.#change({ experiments: takeExperiments(this.#state.experiments, message.message) });
        break;
      case 'model':
        this.#change({ model: message.state });
        break;
      case 'answer':
        this.#pending.get(message.id)?.settle(message.answer);
        this.#pending.delete(message.id);
        break;
    }
  }

  #takeEvent({ run, index, event }: Extract<ToWebview, { type: 'event' }>): void {
    const begins = run > this.#state.run && index === 0;
    if (begins) {
      this.#cancelQueries();
      this.#next = 0;
      this.#lost = false;
    }
    const known = run < this.#state.run || (run === this.#state.run && index < this.#next);
    if (known || this.#lost) return;
    if (begins || (run === this.#state.run && index === this.#next)) {
      this.#next++;
      this.#change({
        connected: true,
        run,
        analysis: fold(this.#state.analysis, event),
        pace: this.#paceAt(event, begins),
      });
    } else {
      this.#lost = true;
      this.send({ type: 'ready' });
    }
  }

  #paceAt(event: RunEvent, begins: boolean): number | undefined {
    if (begins) this.#seen = undefined;
    if (event.type !== 'layer') return begins ? undefined : this.#state.pace;
    const now = performance.now();
    this.#seen ??= { at: now, layer: event.layer };
    const { at, layer } = this.#seen;
    return event.layer > layer ? (now - at) / 1000 / (event.layer - layer) : undefined;
  }

  #cancelQueries(): void {
    const problem: Problem = { code: 'cancelled', message: 'Another run has taken over.' };
    for (const pending of this.#pending.values()) pending.settle({ ok: false, problem });
    this.#pending.clear();
  }

  #change(part: Partial<State>): void {
    this.#state = { ...this.#state, ...part };
    for (const listener of this.#listeners) listener();
  }
}

/** A run that was asked for goes on from then, long before the engine's first event; number 0 is no run. */
const begun = (run: number): Analysis => ({ ...emptyAnalysis, status: run === 0 ? 'empty' : 'running' });

const misshapen = (query: Asked): Problem => ({
  code: 'internal',
  message: `The answer about ${query.type} has a shape that the panel does not know; reload the window.`,
});
