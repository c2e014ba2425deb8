/** Runs stages: cuts them out, makes their sessions where their provider is, and keeps those that will be run again. */
import { basename } from 'node:path';
import { SinkscopeError } from '../../errors.js';
import { begunWith, type Cut, extract } from '../../onnx/extract.js';
import type { Model, Tensor, ValueInfo } from '../../onnx/model.js';
import type { Value, Values } from '../tensors/value.js';
import type { LoadedModel } from './loaded.js';
import type { Stage } from './plan.js';
import { reasonOf } from './reason.js';
import { createSession, type Session } from './session.js';
import { multiplyTransposed } from './transposed.js';

export class StageRunner {
  /** By what they compute from what. */
  private readonly kept = new Map<string, Session>();
  /** The stages that sessions are kept for. */
  private keptFor = '';
  private readonly model: Model;

  /**
   * @param threads of a session; 0: as ONNX Runtime chooses
   * @param create makes sessions
   */
  constructor(
    readonly loaded: LoadedModel,
    private readonly threads: number,
    private readonly create: typeof createSession = createSession,
  ) {
    this.model = multiplyTransposed(loaded.model);
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
      if (keep) return await (await this.session(stage, feeds)).run(feeds, stage.fetched);
      const session = await this.make(stage, feeds, false);
      try {
        return await session.run(feeds, stage.fetched);
      } finally {
        await session.release();
      }
    } catch (error) {
      throw error instanceof SinkscopeError ? error : this.failure(stage, error);
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

  private async session(stage: Stage, feeds: Values): Promise<Session> {
    const key = JSON.stringify([stage.inputs, stage.outputs, [...feeds.values()].map((value) => value.type)]);
    let session = this.kept.get(key);
    if (!session) {
      session = await this.make(stage, feeds, true);
      this.kept.set(key, session);
    }
    return session;
  }

  private async make(stage: Stage, feeds: Values, kept: boolean): Promise<Session> {
    const inputs = [...feeds].map(([name, value]) => ({
      name,
      type: value.type,
      shape: this.shape(name, value, stage),
    }));
    const cut = { inputs, outputs: stage.outputs };
    const { bytes, folder, files } = extract(this.model, { ...cut, made: await this.rounded(cut) });
    return this.create(bytes, folder, { prepack: kept || this.loaded.quantised, threads: this.threads, files });
  }

  /**
   * The weights of a cut as a scheme rounds them, by name. They are computed by a session of their own: one that is to
   * multiply with them would keep all that comes in between.
   */
  private async rounded(cut: Cut): Promise<ReadonlyMap<string, Tensor>> {
    const outputs = begunWith(this.model, cut, this.loaded.rounded);
    if (outputs.length === 0) return new Map();
    const { bytes, folder } = extract(this.model, { inputs: [], outputs });
    const session = await this.create(bytes, folder, { prepack: false, threads: this.threads, asWritten: true });
    try {
      const values = await session.run(new Map());
      return new Map(
        [...values].map(([name, { type, dims, data }]) => [name, { name, type, dims, data: bytesOf(data) }]),
      );
    } finally {
      await session.release();
    }
  }

  /**
   * The extents of an input that never change: ONNX Runtime infers the others, which differ from run to run, but
   * some fusions and some operators' shape inference need the width.
   */
  private shape(name: string, value: Value, { wide = [] }: Stage): ValueInfo['shape'] {
    const { anatomy } = this.loaded;
    const input = anatomy.inputs.find((candidate) => candidate.name === name);
    if (input) return input.shape?.map((extent, axis) => input.extents[axis] ?? extent);
    const isWide =
      wide.includes(name) || name === anatomy.embedding || anatomy.blocks.some((block) => block.residPost === name);
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

const bytesOf = ({ buffer, byteOffset, byteLength }: Value['data']) => new Uint8Array(buffer, byteOffset, byteLength);
