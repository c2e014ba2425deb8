/**
 * Plays VS Code and the extension host for the webview. Parameters of the page:
 * `run` harris | summer | large | bias | plain | picture | classes | decoder, `view` panel | model | report, `theme` dark | light | hc-dark | hc-light,
 * `tokens` and `dims` of the large run, `against` a run that it is held against, `webgl` none: as where there is no WebGL,
 * `events` how many are replayed at first (all), `stale`, `experiments` the id of one to show (empty: all). With `view` model:
 * `file` and `other` llama | plain | int4 | fp32 | experts | graph | broken | untrusted. Tests steer it through `window.harness`.
 */
import type { Selection } from '../../src/analysis/selection.js';
import { defaultThresholds } from '../../src/analysis/thresholds.js';
import type { Description, WeightStatistics } from '../../src/engine/contract/description.js';
import type { RunEvent } from '../../src/engine/contract/events.js';
import type { AnswerTo, QuestionOf } from '../../src/engine/contract/questions.js';
import type { Problem } from '../../src/errors.js';
import type { AboutFile, ExperimentRun, FromWebview, ModelState, ToWebview, ViewState } from '../../src/protocol.js';
import type { Choices } from '../experiments/state.js';
import { applyTheme, isThemeName } from '../themes.js';
import { onPicture } from './pictures.js';
import { classified, mixed, type Run, recorded, synthetic, translated } from './runs.js';

const parameters = new URLSearchParams(location.search);

const numberOf = (name: string, otherwise: number) => Number(parameters.get(name) ?? otherwise);

const made: Record<string, () => Run | Promise<Run>> = {
  large: () => synthetic({ layers: 48, tokens: numberOf('tokens', 1024), dims: numberOf('dims', 1600), heads: 25 }),
  bias: () => synthetic({ layers: 8, tokens: 40, dims: 256, heads: 4, extra: true }),
  plain: () => synthetic({ layers: 6, tokens: 24, dims: 64, heads: 2, attention: false, tokenizer: false }),
  picture: onPicture,
  classes: classified,
  decoder: translated,
  experts: mixed,
  one: () => synthetic({ layers: 4, tokens: 1, dims: 64, heads: 2 }),
};
const name = parameters.get('run') ?? 'harris';
/** A promise, because a module that waits does not hold up the next one, which needs what is set below. */
const load = async (name: string): Promise<Run> =>
  (await made[name]?.()) ?? recorded(await (await fetch(`runs/${name}.json`)).text());
const loaded = load(name);

const messages: FromWebview[] = [];

function post(message: ToWebview): void {
  // Through a copy, as the real channel does it.
  postMessage(structuredClone(message), '*');
}

function view(part: Partial<ViewState>): void {
  const names = ['llama', 'llama-plain', 'llama-sink', 'llama-bias'];
  const state: ViewState = {
    document: 'notes.md',
    scope: 'selection',
    models: names.map((name) => ({ file: `models/${name}/model.onnx`, name, origin: 'bundled' })),
    model: 'models/llama/model.onnx',
    bos: 'auto',
    tint: 'large',
    thresholds: defaultThresholds,
    stale: parameters.has('stale') ? 'text' : undefined,
    trouble: undefined,
    live: undefined,
    watched: undefined,
    context: undefined,
    pinned: 'none',
    tensors: undefined,
    ...part,
  };
  post({ type: 'view', state });
}

function answer(run: Run, id: number, query: Extract<FromWebview, { type: 'query' }>['query']): ToWebview {
  try {
    const bytes = query.type === 'picture' ? run.picture?.() : undefined;
    const value = query.type === 'pattern' ? run.pattern(query.layer, query.head, query.cross) : bytes && { bytes };
    const other = query.type === 'magnitudes' ? run.magnitudes(query) : value;
    const found =
      query.type === 'predictions'
        ? run.predictions(query.token)
        : query.type === 'surprisal'
          ? { nats: surprisal(run) }
          : query.type === 'saliency'
            ? saliency(run, query)
            : other;
    if (found === undefined) throw new Error(`The harness has no ${query.type}.`);
    return { type: 'answer', id, answer: { ok: true, value: found } };
  } catch (error) {
    return { type: 'answer', id, answer: { ok: false, problem: { code: 'runtime', message: `${error}` } } };
  }
}

/** By what was recorded: the ten most likely tokens at each place; others have 10 nats. */
function surprisal({ events, predictions }: Run): Float32Array {
  const { tokens = [] } = events.find((event) => event.type === 'tokens') ?? {};
  return Float32Array.from(tokens, ({ id }, i) => {
    if (i === 0) return Number.NaN;
    const found = predictions(i - 1)?.top.find((one) => one.id === id);
    return found ? -Math.log(found.probability) : 10;
  });
}

/** Made up: what the first head of the last layer attends to, every second token against it. */
function saliency(run: Run, { token, next }: QuestionOf<'saliency'>): AnswerTo<'saliency'> {
  const { top } = run.predictions(token);
  const chosen = top.find(({ id }) => id === next) ?? top[0];
  if (!chosen) throw new Error('nothing was predicted');
  const { keys, values } = run.pattern(1, 0);
  const row = values.subarray(token * keys, (token + 1) * keys);
  const signed = row.map((weight, key) => (key % 2 === 0 ? weight : -weight));
  return { token, next: { id: chosen.id, text: chosen.text }, logit: 8, saliency: signed, remarks: [] };
}

async function take(message: FromWebview): Promise<void> {
  messages.push(message);
  const run = await loaded;
  if (message.type === 'ready') {
    await tellExperiments();
    if (parameters.get('view') === 'model') post({ type: 'model', state: await modelState() });
    view({});
    const events = run.events.slice(0, Number(parameters.get('events') ?? run.events.length));
    post({ type: 'replay', run: events.length > 0 ? 1 : 0, events });
    const against = parameters.get('against');
    if (against !== null) {
      post({ type: 'against', before: { name: against, pinned: true, events: (await load(against)).events } });
      view({ pinned: 'other' });
    }
  }
  if (message.type === 'select') post({ type: 'selection', selection: message.selection });
  if (message.type === 'query' && message.query.type === 'weight') {
    const { weight } = await descriptions();
    post({ type: 'answer', id: message.id, answer: { ok: true, value: weight } });
  } else if (message.type === 'query' && !parameters.has('silent')) post(answer(run, message.id, message.query));
}

/** What was recorded of some files. */
async function descriptions(): Promise<{ descriptions: Record<string, Description>; weight: WeightStatistics }> {
  return (await fetch('runs/descriptions.json')).json();
}

/** What the host says of the files that the page is about. */
async function modelState(): Promise<ModelState> {
  const recorded = (await descriptions()).descriptions;
  const shown = (name: string): ModelState['shown'] => {
    const problem = (code: Problem['code'], message: string): Problem => ({ code, message });
    const plain = recorded[name === 'graph' ? 'fp32' : name];
    const about: AboutFile =
      name === 'untrusted'
        ? { status: 'untrusted' }
        : plain === undefined
          ? {
              status: 'failed',
              problem: problem('file', 'model.onnx is truncated: it ends in node 7. Export it again.'),
            }
          : name === 'graph'
            ? {
                status: 'read',
                description: {
                  ...plain,
                  anatomy: {
                    found: false,
                    problem: problem('not-a-transformer', 'model.onnx has no residual stream.'),
                  },
                },
              }
            : { status: 'read', description: plain };
    return { name: `${name}/model.onnx`, about };
  };
  const [file, other] = [parameters.get('file') ?? 'llama', parameters.get('other')];
  return {
    file: recorded[file]?.file ?? file,
    shown: shown(file),
    other: other === null ? undefined : shown(other),
  };
}

/** What was recorded of the experiments, where the page is to show them. */
async function tellExperiments(): Promise<void> {
  if (!parameters.has('experiments')) return;
  const read = async (file: string) => (await fetch(file)).json();
  const experiments: Choices['experiments'] = await read('catalogue.json');
  const { runs }: { runs: readonly ExperimentRun[] } = await read('runs/experiments.json');
  const texts = {
    documents: { open: 'three-men-in-a-boat.md', analysed: 'sample.md' },
    chosen: { calibration: 'pit-and-pendulum.md' },
  };
  const only = parameters.get('experiments');
  post({ type: 'experiments', message: { kind: 'choices', experiments, texts } });
  const shown = runs.filter(({ experiment }) => only === '' || only === experiment);
  post({ type: 'experiments', message: { kind: 'runs', runs: shown } });
}

const harness = {
  messages,
  loaded,
  post,
  /** What the host says besides the run, where it differs from the usual. */
  view,
  theme: applyTheme,
  select: (selection: Selection) => post({ type: 'selection', selection }),
  tell: (index: number, event: RunEvent, of = 1) => post({ type: 'event', run: of, index, event }),
};

declare global {
  interface Window {
    harness: typeof harness;
    acquireVsCodeApi: () => unknown;
  }
}

if (parameters.get('webgl') === 'none') {
  const { getContext } = HTMLCanvasElement.prototype;
  Object.defineProperty(HTMLCanvasElement.prototype, 'getContext', {
    value(this: HTMLCanvasElement, kind: string, ...options: unknown[]) {
      return kind === 'webgl2' ? null : Reflect.apply(getContext, this, [kind, ...options]);
    },
  });
}

document.body.dataset.view = parameters.get('view') ?? 'panel';
const asked = parameters.get('theme') ?? 'dark';
applyTheme(isThemeName(asked) ? asked : 'dark');
window.harness = harness;
window.acquireVsCodeApi = () => ({
  postMessage: (message: FromWebview) => void take(structuredClone(message)),
  getState: () => JSON.parse(sessionStorage.getItem('state') ?? 'null') ?? undefined,
  setState: (state: unknown) => {
    sessionStorage.setItem('state', JSON.stringify(state));
  },
});
