/** Runs for looking at and testing the webview: recorded ones, and one made up in the size of a large model. */
import type { PredictionsEvent, RunEvent } from '../../src/engine/contract/events.js';
import type { AnswerTo, QuestionOf } from '../../src/engine/contract/questions.js';
import type { HiddenStatistics } from '../../src/statistics/statistics.js';

export interface Run {
  readonly events: readonly RunEvent[];
  pattern(layer: number, head: number, cross?: boolean): AnswerTo<'pattern'>;
  predictions(token: number): PredictionsEvent;
  magnitudes(question: QuestionOf<'magnitudes'>): AnswerTo<'magnitudes'>;
  /** Bytes of the picture it is about. */
  picture?(): Uint8Array;
}

/** As `runs/*.json` keep it: typed arrays as lists, lower triangles of patterns as base64 bytes of weight × 255. */
interface Recorded {
  readonly events: readonly RunEvent[];
  readonly predictions: readonly PredictionsEvent[];
  readonly patterns: readonly (readonly string[])[];
}

const typed: Record<string, (list: number[]) => unknown> = {
  tokenNorm: Float32Array.from.bind(Float32Array),
  tokenMax: Float32Array.from.bind(Float32Array),
  tokenMaxDim: Int32Array.from.bind(Int32Array),
  dimMax: Float32Array.from.bind(Float32Array),
  alpha: Float32Array.from.bind(Float32Array),
};

export function recorded(json: string): Run {
  const run: Recorded = JSON.parse(json, (key, value) => typed[key]?.(value) ?? value);
  return {
    events: run.events,
    magnitudes: (question) => magnitudes(run.events, question),
    predictions: (token) => recordedAt(run.predictions, token),
    pattern: (layer, head) => {
      const bytes = Uint8Array.from(atob(recordedAt(recordedAt(run.patterns, layer - 1), head)), (char) =>
        char.charCodeAt(0),
      );
      const tokens = run.predictions.length;
      const values = new Float32Array(tokens * tokens);
      let at = 0;
      for (let query = 0; query < tokens; query++) {
        for (let key = 0; key <= query; key++) values[query * tokens + key] = (bytes[at++] ?? 0) / 255;
      }
      return { queries: tokens, keys: tokens, values };
    },
  };
}

function recordedAt<T>(list: readonly T[], index: number): T {
  const element = list[index];
  if (element === undefined) throw new RangeError(`Of ${list.length} that were recorded, there is no ${index}.`);
  return element;
}

export interface Shape {
  readonly layers: number;
  readonly tokens: number;
  readonly dims: number;
  readonly heads: number;
  /** Columns before the tokens' own that take the sink, as with an explicit attention bias. */
  readonly extra?: boolean;
  readonly attention?: boolean;
  readonly tokenizer?: boolean;
}

/**
 * A run of a model that does not exist: two massive dimensions on the first token and one on a delimiter, from layer
 * 3 on, and a sink on the first token. Random, but the same every time.
 */
/** A run of a model that tells classes of tokens apart, one of whose inputs nobody gave. */
export function classified(): Run {
  const run = synthetic({ layers: 4, tokens: 12, dims: 64, heads: 2 });
  const rows = Array.from({ length: 12 }, (_, token) => ({
    token,
    norm: 1,
    top: [
      { index: token % 3, label: ['O', 'B-PER', 'I-PER'][token % 3] ?? '', value: 2, probability: 0.75 },
      { index: 3, label: 'B-LOC', value: 1, probability: 0.25 },
    ],
  }));
  const how = 'as many columns as its config.json names classes';
  const events = run.events.map((event): RunEvent => {
    if (event.type === 'started')
      return { ...event, inputs: [{ name: 'bbox', role: 'coordinates', how: 'zeros', guessed: true }] };
    if (event.type !== 'predictions') return event;
    return { type: 'outputs', outputs: [{ name: 'logits', shape: [1, 12, 4], kind: 'classes', how, rows }] };
  });
  return { ...run, events };
}

/** A run of a decoder whose encoder is in the same file: each of its blocks looks at five of the encoder's positions. */
export function translated(): Run {
  const run = synthetic({ layers: 4, tokens: 12, dims: 64, heads: 2 });
  const positions = 5;
  const events = run.events.flatMap((event): RunEvent[] => {
    if (event.type === 'started')
      return [{ ...event, model: { ...event.model, stream: 'decoder', streams: ['decoder', 'encoder'] } }];
    if (event.type !== 'attention') return [event];
    const alpha = new Float32Array(2 * positions).fill(1 / positions);
    return [
      event,
      { type: 'cross-attention', layer: event.layer, statistics: { heads: 2, tokens: 12, positions, alpha } },
    ];
  });
  const cross = { queries: 12, keys: positions, values: new Float32Array(12 * positions).fill(1 / positions) };
  return { ...run, events, pattern: (layer, head, isCross) => (isCross ? cross : run.pattern(layer, head)) };
}

/** A run of a model whose blocks 2 and 4 have 8 experts, of which 2 are chosen; how block 3 chooses is not known. */
export function mixed(): Run {
  const run = synthetic({ layers: 4, tokens: 12, dims: 64, heads: 2 });
  const found = {
    tokens: 12,
    experts: 8,
    chosen: 2,
    indices: Int32Array.from({ length: 24 }, (_, place) => (place % 2 === 0 ? (place / 2) % 3 : 4 + (place % 3))),
    weights: Float32Array.from({ length: 24 }, (_, place) => (place % 2 === 0 ? 0.75 : 0.25)),
    multiplies: 'outputs' as const,
    scores: undefined,
    largest: undefined,
  };
  const events = run.events.flatMap((event): RunEvent[] => {
    if (event.type !== 'attention' || event.layer === 1) return [event];
    const why = 'its weights are [3, 12]';
    return [event, { type: 'routing', layer: event.layer, found: event.layer === 3 ? { why } : found }];
  });
  return { ...run, events };
}

export function synthetic(shape: Shape): Run {
  const { layers, tokens, dims, heads, extra = false, attention = true, tokenizer = true } = shape;
  const random = generator(7);
  const words = ['The', ' tide', ' was', ' out', ',', ' and', ' nothing', ' moved', '.', '\n', ' Far', ' away'];
  const text = (token: number) => (tokenizer ? (words[token % words.length] ?? '') : `token ${token}`);
  const alphas = Array.from({ length: layers * heads }, () => (extra ? 0.02 : 0.9) * random() ** 0.6);
  const alphaOf = (layer: number, head: number) => alphas[(layer - 1) * heads + head] ?? 0;
  const events: RunEvent[] = [
    {
      type: 'started',
      model: {
        file: 'synthetic.onnx',
        stream: 'text',
        streams: ['text'],
        name: 'synthetic',
        layers,
        hidden: dims,
        heads,
        kvHeads: heads,
        context: tokens,
        vocabulary: words.length,
        parallelBlock: false,
        bytes: 0,
        attention,
        missing: [],
        remarks: [],
      },
      settings: { bos: true, graphOptimization: 'all', threads: 0 },
      inputs: [],
    },
    {
      type: 'tokens',
      tokens: Array.from({ length: tokens }, (_, token) =>
        token === 0 && tokenizer
          ? { id: 0, text: '<s>', start: 0, end: 0, special: true }
          : { id: token % words.length, text: text(token), start: token, end: token + 1, special: false },
      ),
      total: tokens - 1,
      window: { start: 0, end: tokens - 1 },
      source: tokenizer ? 'text' : 'ids',
      tokenizer,
    },
    ...Array.from({ length: layers + 1 }, (_, layer): RunEvent[] => [
      { type: 'layer', layer, statistics: hidden(layer, layers, tokens, dims, random) },
      ...(attention && layer > 0
        ? [
            {
              type: 'attention' as const,
              layer,
              statistics: {
                heads,
                tokens,
                causal: true,
                alpha: Float32Array.from({ length: heads * tokens }, (_, at) =>
                  at % tokens === 0 ? alphaOf(layer, Math.floor(at / tokens)) : random() / tokens,
                ),
                extra: extra
                  ? {
                      side: 'first' as const,
                      columns: 1,
                      alpha: Float32Array.from({ length: heads }, () => random()),
                    }
                  : undefined,
              },
            },
          ]
        : []),
    ]).flat(),
    predictions(tokens - 1),
    { type: 'finished', seconds: 3.21, firstLayerSeconds: 0.2 },
  ];
  return {
    events,
    magnitudes: (question) => magnitudes(events, question),
    predictions,
    pattern: (layer, head) => {
      const keys = tokens + (extra ? 1 : 0);
      const values = new Float32Array(tokens * keys);
      const sink = alphaOf(layer, head);
      for (let query = 0; query < tokens; query++) {
        const seen = query + (extra ? 2 : 1);
        values[query * keys] = seen === 1 ? 1 : sink;
        for (let key = 1; key < seen; key++) values[query * keys + key] = (1 - sink) / (seen - 1);
      }
      return { queries: tokens, keys, values };
    },
  };
}

function predictions(token: number): PredictionsEvent {
  return {
    type: 'predictions',
    token,
    top: [' sea', '.', '\n'].map((text, id) => ({ id, text, probability: 0.5 ** (id + 1) })),
  };
}

function hidden(layer: number, layers: number, tokens: number, dims: number, random: () => number): HiddenStatistics {
  const scale = 0.05 * (1 + layer);
  const grown = layer < 3 ? 0 : layer === layers ? 0.05 : 1;
  const massive = [
    { value: 1480 * grown, token: 0, dim: Math.floor(dims / 3) },
    { value: -760 * grown, token: 0, dim: Math.floor((dims * 4) / 5) },
    { value: 610 * grown, token: Math.min(4, tokens - 1), dim: Math.floor(dims / 3) },
  ].filter(({ value }) => value !== 0);
  const tokenMax = Float32Array.from({ length: tokens }, () => scale * (4 + 6 * random() ** 2));
  const tokenMaxDim = Int32Array.from({ length: tokens }, () => Math.floor(random() * dims));
  const dimMax = Float32Array.from({ length: dims }, () => scale * (3 + 4 * random()));
  for (const { value, token, dim } of massive) {
    const magnitude = Math.abs(value);
    if (magnitude > (tokenMax[token] ?? 0)) [tokenMax[token], tokenMaxDim[token]] = [magnitude, dim];
    dimMax[dim] = Math.max(dimMax[dim] ?? 0, magnitude);
  }
  const ordinary = Array.from(tokenMax, (value, token) => ({ value, token, dim: tokenMaxDim[token] ?? 0 }))
    .filter(({ token }) => !massive.some((entry) => entry.token === token))
    .sort((a, b) => b.value - a.value);
  return {
    tokens,
    dims,
    top: [...massive, ...ordinary].sort((a, b) => Math.abs(b.value) - Math.abs(a.value)).slice(0, 16),
    median: scale,
    tokenNorm: tokenMax.map((max) => max * 3),
    tokenMax,
    tokenMaxDim,
    dimMax,
    nonFinite: 0,
  };
}

/**
 * Cells that have the statistics of the run, as far as these say: what is largest is where it was. Made as cells, since
 * it happens in the page itself, where the engine's work would hold up what is drawn.
 */
function magnitudes(events: readonly RunEvent[], { over, at, most }: QuestionOf<'magnitudes'>): AnswerTo<'magnitudes'> {
  const layers = events.flatMap((event) => (event.type === 'layer' ? [event.statistics] : []));
  const extents = {
    rows: over === 'tokens' ? (layers[at]?.tokens ?? 0) : layers.length,
    columns: layers[0]?.dims ?? 0,
  };
  const pool = {
    rows: Math.max(1, Math.ceil(extents.rows / most.rows)),
    columns: Math.max(1, Math.ceil(extents.columns / most.columns)),
  };
  const [rows, columns] = [Math.ceil(extents.rows / pool.rows), Math.ceil(extents.columns / pool.columns)];
  const values = new Float32Array(rows * columns);
  const places = new Int32Array(rows * columns);
  const put = (row: number, dim: number, value: number) => {
    const cell = Math.floor(row / pool.rows) * columns + Math.floor(dim / pool.columns);
    if (Math.abs(value) < Math.abs(values[cell] ?? 0)) return;
    values[cell] = value;
    places[cell] = row * extents.columns + dim;
  };
  const random = generator(11);
  for (let row = 0; row < extents.rows; row++) {
    const [layer, token] = over === 'tokens' ? [layers[at], row] : [layers[row], at];
    if (!layer) continue;
    const largest = layer.tokenMax[token] ?? 0;
    if (row % pool.rows === 0) {
      for (let dim = 0; dim < extents.columns; dim += pool.columns) {
        put(row, dim, Math.min(8 * layer.median, layer.dimMax[dim] ?? 0) * (random() ** 3 - 0.5));
      }
    }
    put(row, layer.tokenMaxDim[token] ?? 0, largest);
    for (const entry of layer.top) if (entry.token === token) put(row, entry.dim, entry.value);
  }
  return { rows, columns, pool, values, places };
}

/** Park and Miller's minimal standard generator, 0 … 1. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
}
