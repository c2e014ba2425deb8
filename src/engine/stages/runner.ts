/** Runs stages: cuts them out, makes their sessions where their provider is, and keeps those that will be run again. */
import { basename } from 'node:path';
import { SinkscopeError } from '../../errors.js';
import { begunWith, type Cut, extract } from '../../onnx/extract.js';
import type { Model, Tensor, ValueInfo } from '../../onnx/model.js';
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

  /** Frees all sessions. */
  async release(): Promise<void> {
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
    const { bytes, folder, files } = extract(model, { ...cut, made: await this.rounded(model, cut) });
    const prepack = kept || this.loaded.quantised;
    return this.create(bytes, folder, { prepack, threads: this.threads, files, provider });
  }

  /**
   * The weights of a cut as a scheme rounds them, by name. They are computed by sessions of their own, one for each: one
   * that is to multiply with them would keep all that comes in between.
   */
  private async rounded(model: Model, cut: Cut): Promise<ReadonlyMap<string, Tensor>> {
    const made = new Map<string, Tensor>();
    for (const output of begunWith(model, cut, this.loaded.rounded)) {
      const { bytes, folder } = extract(this.model, { inputs: [], outputs: [output] });
      const session = await this.create(bytes, folder, { prepack: false, threads: this.threads, asWritten: true });
      try {
        for (const [name, { type, dims, data }] of await session.run(new Map()))
          made.set(name, { name, type, dims, data: bytesOf(data) });
      } finally {
        await session.release();
      }
    }
    return made;
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

const bytesOf = ({ buffer, byteOffset, byteLength }: Value['data']) => new Uint8Array(buffer, byteOffset, byteLength);
