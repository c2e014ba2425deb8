/** Runs stages: cuts them out, makes their sessions where their provider is, and keeps those that will be run again. */
import { basename } from 'node:path';
import { SinkscopeError } from '../../errors.js';
import { begunWith, type Cut, extract } from '../../onnx/extract.js';
import { DataType, type Model, type Tensor, type ValueInfo } from '../../onnx/model.js';
import { sum } from '../../statistics/numbers.js';
import type { Provider } from '../contract/device.js';
import type { Value, Values } from '../tensors/value.js';
import { operatorsElsewhere } from './elsewhere.js';
import type { LoadedModel } from './loaded.js';
import type { Placement } from './placement.js';
import type { Stage } from './plan.js';
import { reasonOf } from './reason.js';
import { createSession, type Session } from './session.js';
import { multiplyTransposed } from './transposed.js';

export class StageRunner {
  /** By what they compute from what. */
  private readonly kept = new Map<string, Session>();
  /** The stages that sessions are kept for. */
  private keptFor = '';
  /** As the CPU takes it: cards have no operator for products by transposed weights. */
  private readonly model: Model;
  /** What leaves each block. */
  private readonly residuals: ReadonlySet<string>;
  /** Weights as a scheme rounds them, of the block that is run: all sessions of its parts take the same. */
  private rounded: { readonly block: number; readonly weights: Map<string, Value> } = { block: 0, weights: new Map() };
  /** Bytes of rounded weights that were let go since the last collection. */
  private dropped = 0;

  /**
   * @param threads of a session; 0: as ONNX Runtime chooses
   * @param create makes sessions
   * @param placement where stages are computed; by default the CPU
   */
  constructor(
    readonly loaded: LoadedModel,
    private readonly threads: number,
    private readonly create: typeof createSession = createSession,
    readonly placement?: Placement,
  ) {
    this.model = multiplyTransposed(loaded.model);
    this.residuals = new Set(loaded.anatomy.blocks.map(({ residPost }) => residPost));
  }

  /** Whether tensors are far away, so that statistics are computed where they are. */
  get reduces(): boolean {
    return this.placement !== undefined && this.placement.provider !== 'cpu';
  }

  /**
   * Runs a stage on `values`, which has all its inputs.
   *
   * @param keep whether its session is kept for the next run, which costs its memory and the time to prepack
   * @throws SinkscopeError `runtime`
   */
  async run(stage: Stage, values: Values, keep: boolean): Promise<Values> {
    const feeds = new Map<string, Value>();
    for (const name of stage.inputs) {
      const value = values.get(name);
      if (!value) throw new Error(`${this.name(stage)} needs "${name}", which is not there`);
      feeds.set(name, value);
    }
    try {
      const residuals = stage.outputs.filter((name) => this.residuals.has(name));
      if (!this.placement) return await this.on('cpu', stage, feeds, keep);
      return await this.placement.compute({
        name: this.name(stage),
        residuals,
        // Rows of an embedding table, and a head for a single row, are not worth their weights' way to a card.
        worthwhile: stage.last > 0 && (keep || residuals.length > 0 || stage.more !== undefined),
        keep,
        on: (provider, kept) => this.on(provider, stage, feeds, kept),
        elsewhere: (one, type) =>
          operatorsElsewhere(this.loaded.model, { outputs: residuals, fed: feeds, type }, one, this.create),
        free: () => this.release(),
      });
    } catch (error) {
      throw error instanceof SinkscopeError ? error : this.failure(stage, error);
    }
  }

  private async on(provider: Provider, stage: Stage, feeds: Values, keep: boolean): Promise<Values> {
    if (keep) return (await this.session(provider, stage, feeds)).run(feeds, stage.fetched);
    const session = await this.make(provider, stage, feeds, false);
    try {
      return await session.run(feeds, stage.fetched);
    } finally {
      await session.release();
    }
  }

  /** Frees what is kept for other stages than these, which sessions are going to be kept for. */
  async keepFor(stages: readonly Stage[]): Promise<void> {
    const key = JSON.stringify(stages.map(({ first, last, outputs }) => [first, last, outputs]));
    if (key !== this.keptFor) await this.release();
    this.keptFor = key;
  }

  /** Frees all sessions, and rounded weights. */
  async release(): Promise<void> {
    await this.close();
    this.letGo();
  }

  /** Frees rounded weights that no session holds, at once where they have become many: what follows needs the room. */
  letGo(): void {
    const { weights } = this.rounded;
    // Counted elsewhere: its frame holds what it has looked at until it is left.
    this.dropped += bytesOf(weights);
    weights.clear();
    if (this.dropped <= many) return;
    this.dropped = 0;
    // A collection that had begun keeps what was held when it did, and arrays are freed beside what follows until the next.
    for (let i = 0; i < 3; i++) globalThis.gc?.();
  }

  /** Frees all sessions; others of the same block follow. */
  async close(): Promise<void> {
    const sessions = [...this.kept.values()];
    this.kept.clear();
    for (const session of sessions) await session.release();
  }

  private async session(provider: Provider, stage: Stage, feeds: Values): Promise<Session> {
    const given = [...feeds.values()].map(({ type, dims }) => (stage.exact ? [type, dims] : type));
    const key = JSON.stringify([provider, stage.inputs, stage.outputs, given]);
    let session = this.kept.get(key);
    if (!session) {
      session = await this.make(provider, stage, feeds, true);
      this.kept.set(key, session);
    }
    return session;
  }

  private async make(provider: Provider, stage: Stage, feeds: Values, kept: boolean): Promise<Session> {
    const inputs = [...feeds].map(([name, value]) => ({
      name,
      type: value.type,
      shape: this.shape(name, value, stage),
    }));
    const cut = { inputs, outputs: stage.outputs };
    const model = withMore(provider === 'cpu' ? this.model : this.loaded.model, stage);
    const weights = [...(await this.weightsOf(model, cut, stage.last))];
    const fed = new Map(weights.filter(([, value]) => isFed(value)));
    const made = new Map(
      weights.flatMap(([name, value]) => (fed.has(name) ? [] : [[name, tensorOf(name, value)] as const])),
    );
    const asked = [...fed].map(([name, { type, dims }]) => ({ name, type, shape: dims }));
    const { bytes, folder, files } = extract(model, { ...cut, inputs: [...inputs, ...asked], made });
    const prepack = kept || this.loaded.quantised;
    const session = await this.create(bytes, folder, { prepack, threads: this.threads, files, provider });
    if (fed.size === 0) return session;
    return { ...session, run: (feeds, fetched) => session.run(new Map([...feeds, ...fed]), fetched) };
  }

  /**
   * The weights of a cut of a block as a scheme rounds them, by name. They are computed by sessions of their own, one for
   * each: one that is to multiply with them would keep all that comes in between.
   */
  private async weightsOf(model: Model, cut: Cut, block: number): Promise<ReadonlyMap<string, Value>> {
    if (this.rounded.block !== block) {
      this.letGo();
      this.rounded = { block, weights: new Map() };
    }
    const { weights } = this.rounded;
    const names = begunWith(model, cut, this.loaded.rounded);
    for (const output of names) {
      if (weights.has(output)) continue;
      const { bytes, folder } = extract(this.model, { inputs: [], outputs: [output] });
      const session = await this.create(bytes, folder, { prepack: false, threads: this.threads, asWritten: true });
      try {
        for (const [name, value] of await session.run(new Map())) weights.set(name, value);
      } finally {
        await session.release();
      }
    }
    return new Map([...weights].filter(([name]) => names.includes(name)));
  }

  /**
   * The extents of an input that never change: ONNX Runtime infers the others, which differ from run to run, but
   * some fusions and some operators' shape inference need the width.
   */
  private shape(name: string, value: Value, { wide = [], exact = false }: Stage): ValueInfo['shape'] {
    if (exact) return value.dims;
    const { anatomy } = this.loaded;
    const input = anatomy.inputs.find((candidate) => candidate.name === name);
    // A batch stays as open as that of hidden states: where one is known and the other is not, ONNX Runtime 1.30 moves
    // transposes of the new keys over those of the whole cache.
    const known = (axis: number) => (input?.extents[axis] === 1 ? undefined : input?.extents[axis]);
    if (input) return input.shape?.map((extent, axis) => known(axis) ?? extent);
    const isWide = wide.includes(name) || name === anatomy.embedding || this.residuals.has(name);
    return value.dims.map((extent, axis) => (isWide && axis === value.dims.length - 1 ? extent : null));
  }

  private name({ first, last }: Stage): string {
    if (last === 0) return 'the embedding';
    if (first > this.loaded.anatomy.layers) return 'the output head';
    const blocks = first === last ? `block ${first}` : `blocks ${Math.max(first, 1)} to ${last}`;
    return `${blocks} of ${this.loaded.anatomy.layers}`;
  }

  private failure(stage: Stage, error: unknown): SinkscopeError {
    const text = error instanceof Error ? error.message : String(error);
    return new SinkscopeError(
      {
        code: 'runtime',
        file: this.loaded.file,
        detail: text,
        message: `ONNX Runtime could not run ${this.name(stage)} (${basename(this.loaded.file)}): ${reasonOf(text)}`,
      },
      { cause: error },
    );
  }
}

/** The model with the nodes of a stage that are not its own. */
function withMore(model: Model, { more = [] }: Stage): Model {
  return more.length === 0 ? model : { ...model, graph: { ...model.graph, nodes: [...model.graph.nodes, ...more] } };
}

/** Bytes of a weight from which on a copy of it counts. */
const large = 2 ** 16;
/** Bytes of weights that are not left to be collected some time. */
const many = 2 ** 24;

/**
 * Whether a rounded weight is fed with each run: ONNX Runtime computes with the array as it is, where of one that belongs
 * to a session it holds a copy, and another one packed. Bytes are a quarter of that, and how they are multiplied depends on
 * their being packed.
 */
const isFed = ({ type, data }: Value) => type === DataType.float && data.byteLength > large;

const bytesOf = (values: Values) => sum([...values.values()].map(({ data }) => data.byteLength));

function tensorOf(name: string, { type, dims, data }: Value): Tensor {
  return { name, type, dims, data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
}
