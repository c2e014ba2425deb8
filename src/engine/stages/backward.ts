/**
 * Back through the stages of a model. The way forward notes the shapes that this run has and keeps what stages take;
 * the way back computes each block again from that, with its adjoints as nodes of the same graph, so that one block's
 * activations are held at a time.
 */
import { SinkscopeError } from '../../errors.js';
import { adjointsOf } from '../../gradients/adjoint.js';
import { Calculus } from '../../gradients/calculus.js';
import { differentiable } from '../../gradients/differentiable.js';
import { type Path, pathOf } from '../../gradients/path.js';
import { NoRule } from '../../gradients/rule.js';
import { DataType, type Model, type Node } from '../../onnx/model.js';
import { floats, numbers, rowsOf, size, sliceRows, type Value, type Values } from '../tensors/value.js';
import { forward, type Lane, type Passed } from './forward.js';
import type { LoadedModel } from './loaded.js';
import { makePlan, type Plan, type Stage } from './plan.js';
import { StageRunner } from './runner.js';
import { multiplyTransposed } from './transposed.js';

/** One sequence on its way there and back. */
export interface Tracks {
  /** Keeps what stages take. */
  readonly lane: Lane;
  /** What the derivative is by each value that has been reached, by name. */
  readonly adjoints: Map<string, Value>;
  /** By stage, the shapes and elements that the way forward noted, by name of the value. */
  readonly noted: Map<
    Stage,
    { readonly shapes: Map<string, readonly number[]>; readonly contents: Map<string, number[]> }
  >;
  /** By stage, what products with weights gave on the way there, in place of being computed again. */
  readonly kept: Map<Stage, Values>;
  /** Bytes that more of them may take. */
  room: number;
  /** Where the output head was run on one row alone: which, and all of h_L. */
  narrowed?: { readonly row: number; readonly whole: Value } | undefined;
}

/**
 * A sequence that has not set out.
 *
 * @param room bytes that what products with weights give may be kept in, where `Inner.keeps` is set
 */
export const tracksFrom = (feeds: Values, room = 0): Tracks => ({
  lane: { values: new Map(feeds), interventions: [] },
  adjoints: new Map(),
  noted: new Map(),
  kept: new Map(),
  room,
});

/** What is computed of adjoints of values inside a block, weights among them, beside them: nodes over names of values. */
export interface Reduction {
  /** By what is fed: values of the last time, say. */
  readonly fed: Values;
  /**
   * @param value name of the value
   * @param adjoint name of what the derivative is by it
   * @returns names of what is computed, by name in the results
   */
  readonly make: (build: Calculus, value: string, adjoint: string) => ReadonlyMap<string, string>;
  /** Says which way of `make` this is: the same graph for the same key. */
  readonly key: string;
}

/** What a step back comes to. */
export interface Back {
  /** Why the stage cannot be gone through, as a clause. */
  readonly why: string | undefined;
  /** What was made of the adjoints inside of it, by name. */
  readonly reduced: Values;
}

/** Sequences of which one row each goes through the head in less time than it takes to pack its weights. */
const few = 8;

const nothing: Back = { why: undefined, reduced: new Map() };

/** What a way there and back is asked for inside of blocks, by block: names of values. */
export interface Inner {
  /** Values that derivatives by are asked for, beside the block's inputs. */
  readonly by?: (block: number) => readonly string[];
  /** Values that are seen on the way there. */
  readonly seen?: (block: number) => readonly string[];
  /** Whether what products with weights give is kept, for sequences that have room for it. */
  readonly keeps?: boolean;
}

const none = (): readonly string[] => [];

const shapeOf = (value: string) => `sinkscope/shape/${value}`;
const seedOf = (value: string) => `sinkscope/adjoint/${value}`;

/** The way of one model, up to a value. */
export class Backward {
  /** Of the model in the form that derivatives are taken of. */
  readonly runner: StageRunner;
  readonly plan: Plan;
  /** Those that are gone through, in order. */
  readonly stages: readonly Stage[];
  private readonly model: Model;
  private readonly paths = new Map<Stage, Path>();
  /** The stage whose sessions are kept, and by graph the runner that has them. */
  private made = new Map<string, StageRunner>();
  private readonly threads: number;
  private readonly anatomy: LoadedModel['anatomy'];

  /**
   * @param head values that are fetched of what follows the last block
   * @param until the last block that is gone through, L + 1 for the output head
   * @throws SinkscopeError `input` where the stream is kept in copies
   */
  constructor(
    loaded: LoadedModel,
    threads: number,
    private readonly head: readonly string[],
    until: number,
    private readonly inner: Inner = {},
  ) {
    const { anatomy, file } = loaded;
    if (anatomy.copies) {
      throw new SinkscopeError({
        code: 'input',
        file,
        message: `${file} keeps several copies of its residual stream, of which one alone is shown; a gradient by that one alone would not be the model's, so none is given.`,
      });
    }
    this.threads = threads;
    this.anatomy = anatomy;
    const asked = anatomy.blocks.flatMap((_, i) => (inner.by ?? none)(i + 1));
    this.model = multiplyTransposed(differentiable(loaded.model), new Set(asked));
    const plain = makePlan(this.model.graph, loaded.anatomy, new Map(), head);
    const taps = new Map<number, string[]>();
    const values = new Set<string>();
    for (const stage of plain.stages) {
      if (stage.first < 1 || stage.last > until) continue;
      const { shapes, contents } = this.pathThrough(stage);
      const products = this.keptOf(stage);
      // Of what a stage is given and gives the shapes are seen.
      const inside = shapes.filter((name) => !stage.inputs.includes(name) && !stage.outputs.includes(name));
      for (const value of inside) values.add(value);
      taps.set(stage.last, [...inside.map(shapeOf), ...contents, ...products, ...(inner.seen ?? none)(stage.last)]);
    }
    const nodes = [...this.model.graph.nodes, ...[...values].map(shapeNode)];
    const tapped = { ...loaded, model: { ...this.model, graph: { ...this.model.graph, nodes } } };
    this.runner = new StageRunner(tapped, threads);
    this.plan = makePlan(tapped.model.graph, loaded.anatomy, taps, head);
    // With extents that are known beforehand, what gives shapes is no node any more, and fusions see through it.
    this.stages = this.plan.stages.flatMap((stage) => (stage.last <= until ? [{ ...stage, exact: true }] : []));
  }

  /** What is to be said of results of the stages from `first` on. */
  remarks(first: number): readonly string[] {
    return [...new Set([...this.paths].flatMap(([stage, { remarks }]) => (stage.first >= first ? remarks : [])))];
  }

  /**
   * Sequences through the stages; yields as {@link forward} does.
   *
   * @param row the only one that logits are needed of, −1 for the last; undefined: all
   * @param keep whether sessions are kept for others
   */
  async *there(all: readonly Tracks[], row?: number, keep = false): AsyncGenerator<Passed<Lane>, void, void> {
    const head = this.stages.at(-1);
    const last = this.residual(this.anatomy.layers);
    const isNarrow = row !== undefined && head !== undefined && head.first > this.anatomy.layers;
    if (!isNarrow || this.anatomy.headRows || head.inputs.some((input) => input !== last)) {
      yield* this.pass(all, this.stages, keep);
      return;
    }
    yield* this.pass(all, this.stages.slice(0, -1), keep);
    for (const tracks of all) {
      const whole = tracks.lane.values.get(last);
      if (!whole) throw new Error('h_L is not there');
      const at = row < 0 ? rowsOf(whole).tokens + row : row;
      if (at < 0 || at >= rowsOf(whole).tokens) continue;
      tracks.narrowed = { row: at, whole };
      tracks.lane.values.set(last, sliceRows(whole, at, at + 1));
    }
    if (yield* this.byRow(all, head)) return;
    for (const { lane, narrowed } of all) if (narrowed) lane.values.set(last, narrowed.whole);
    for (const tracks of all) tracks.narrowed = undefined;
    yield* this.pass(all, [head]);
  }

  /** The head on one row of each; false, and nothing yielded, where it does not take rows by themselves. */
  private async *byRow(all: readonly Tracks[], head: Stage): AsyncGenerator<Passed<Lane>, boolean, void> {
    const together = all.length <= few ? all.map((tracks) => [tracks]) : [all];
    try {
      for (const group of together)
        for await (const passed of this.pass(group, [head])) {
          const given = this.head.flatMap((name) => passed.results.get(name) ?? []);
          if (given.some((value) => rowsOf(value).tokens !== 1)) return false;
          yield passed;
        }
    } catch (error) {
      if (!SinkscopeError.is(error, 'runtime')) throw error;
      return false;
    }
    return true;
  }

  private async *pass(
    all: readonly Tracks[],
    stages: readonly Stage[],
    keep = false,
  ): AsyncGenerator<Passed<Lane>, void, void> {
    // Of an output head what it gives is seen as it comes.
    const end = this.stages.at(-1);
    const ends = end && end.last <= this.anatomy.layers ? end.outputs : [];
    const lasting = [...this.stages.flatMap(({ inputs }) => inputs), ...ends];
    const course = { plan: this.plan, stages, keep, lasting };
    const byLane = new Map(all.map((tracks) => [tracks.lane, tracks]));
    for await (const passed of forward(this.runner, course, [...byLane.keys()])) {
      const { stage, lane, results } = passed;
      if (stage.first >= 1) this.note(stage, byLane.get(lane), results, lane.values);
      yield passed;
    }
  }

  /** Name of h_`layer`. */
  residual(layer: number): string {
    return this.anatomy.blocks[layer - 1]?.residPost ?? this.anatomy.embedding;
  }

  private note(stage: Stage, tracks: Tracks | undefined, results: Values, values: Values): void {
    const { shapes: wanted, contents: read } = this.pathThrough(stage);
    const shapes = new Map<string, readonly number[]>();
    const contents = new Map<string, number[]>();
    for (const name of wanted) {
      const found = results.get(shapeOf(name)) ?? values.get(shapeOf(name));
      const dims = found ? numbers(found) : values.get(name)?.dims;
      if (dims) shapes.set(name, dims);
    }
    for (const name of read) {
      const found = results.get(name) ?? values.get(name);
      if (found) contents.set(name, numbers(found));
    }
    tracks?.noted.set(stage, { shapes, contents });
    if (tracks) this.keep(stage, tracks, results);
  }

  /** What is kept of a stage where there is room; of the output head nothing is, for its rows may be many. */
  private keptOf(stage: Stage): readonly string[] {
    if (!this.inner.keeps || stage.last > this.anatomy.layers) return [];
    return this.pathThrough(stage).products.filter((name) => !stage.inputs.includes(name));
  }

  private keep(stage: Stage, tracks: Tracks, results: Values): void {
    const kept = new Map(
      this.keptOf(stage).flatMap((name) => {
        const value = results.get(name);
        return value ? [[name, value] as const] : [];
      }),
    );
    const bytes = [...kept.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
    if (bytes > tracks.room) return;
    tracks.room -= bytes;
    tracks.kept.set(stage, kept);
  }

  /**
   * One stage back: the adjoints of what it takes, from those of what it gives.
   *
   * @param keep whether others go through the same graph, until {@link leave}: its weights are packed for them
   * @returns what was made of the adjoints of values inside of it
   * @throws SinkscopeError `runtime`
   */
  async back(stage: Stage, tracks: Tracks, keep: boolean, reduction?: Reduction): Promise<Back> {
    const path = this.pathThrough(stage);
    if (path.obstacle !== undefined) return { why: path.obstacle, reduced: new Map() };
    const measured = tracks.noted.get(stage);
    if (!measured) throw new Error('the way forward has not been gone');
    const known = new Map(
      stage.outputs.filter((name) => tracks.adjoints.has(name)).map((name) => [name, seedOf(name)]),
    );
    if (known.size === 0) return nothing;
    const inner = this.inside(stage);
    const build = new Calculus('sinkscope/back/', this.model.opsets.get('') ?? 1);
    let made: ReadonlyMap<string, string>;
    try {
      made = adjointsOf(this.model.graph, path, measured, known, [...stage.inputs, ...inner], build);
    } catch (error) {
      if (error instanceof NoRule) return { why: error.message, reduced: new Map() };
      throw error;
    }
    const results = new Map<string, string>();
    if (reduction)
      for (const inside of inner) {
        const adjoint = made.get(inside);
        if (adjoint !== undefined)
          for (const [name, value] of reduction.make(build, inside, adjoint)) results.set(name, value);
      }
    const towards = stage.inputs.filter((name) => made.has(name));
    const outputs = [...new Set([...towards.map((name) => made.get(name) ?? ''), ...results.values()])];
    if (outputs.length === 0) return nothing;
    const fed = [...known].map(([name, seed]) => [seed, tracks.adjoints.get(name)] as const);
    const kept = tracks.kept.get(stage) ?? nothing.reduced;
    tracks.kept.delete(stage);
    const values = new Map<string, Value>([...tracks.lane.values, ...kept, ...(reduction?.fed ?? [])]);
    for (const [seed, value] of fed) if (value) values.set(seed, value);
    const inputs = [...stage.inputs, ...kept.keys(), ...known.values(), ...(reduction?.fed.keys() ?? [])];
    const given = await this.run(
      { ...stage, inputs, outputs },
      build.nodes,
      values,
      keep ? JSON.stringify([reduction?.key, [...measured.shapes]]) : undefined,
    );
    const { narrowed } = tracks;
    for (const name of towards) {
      const own = given.get(made.get(name) ?? '');
      const found = own && narrowed && stage.first > this.anatomy.layers ? widened(own, narrowed) : own;
      const before = tracks.adjoints.get(name);
      if (found) tracks.adjoints.set(name, before ? added(before, found) : found);
    }
    if (narrowed && stage.first > this.anatomy.layers) {
      tracks.lane.values.set(this.residual(this.anatomy.layers), narrowed.whole);
      tracks.narrowed = undefined;
    }
    const reduced = [...results].flatMap(([name, value]) => {
      const found = given.get(value);
      return found ? [[name, found] as const] : [];
    });
    return { why: undefined, reduced: new Map(reduced) };
  }

  /** The values of a stage's block that derivatives by are asked for. */
  inside({ last }: Stage): readonly string[] {
    return (this.inner.by ?? none)(last);
  }

  /** Extents of a value, where the way forward has come by it. */
  shape(stage: Stage, { noted }: Tracks, value: string): readonly number[] | undefined {
    return noted.get(stage)?.shapes.get(value) ?? this.model.graph.initializers.get(value)?.dims;
  }

  /** @param key says that it is the same graph, whose session is kept; undefined: it is run once */
  private async run(stage: Stage, nodes: readonly Node[], values: Values, key: string | undefined): Promise<Values> {
    const whole = key === undefined ? undefined : JSON.stringify([stage.first, stage.inputs, stage.outputs, key]);
    const known = whole === undefined ? undefined : this.made.get(whole);
    if (known) return known.run(stage, values, true);
    const { graph } = this.model;
    const model = { ...this.model, graph: { ...graph, nodes: [...graph.nodes, ...nodes] } };
    const runner = new StageRunner({ ...this.runner.loaded, model }, this.threads);
    if (whole !== undefined) this.made.set(whole, runner);
    return runner.run(stage, values, whole !== undefined);
  }

  /** Frees the sessions that were kept on the way back. */
  async leave(): Promise<void> {
    for (const runner of this.made.values()) await runner.release();
    this.made = new Map();
  }

  /** Frees all sessions. */
  async release(): Promise<void> {
    await this.leave();
    await this.runner.release();
  }

  private pathThrough(stage: Stage): Path {
    const known = [...this.paths].find(([{ first, last }]) => first === stage.first && last === stage.last)?.[1];
    if (known) return known;
    const own = new Set(this.model.graph.inputs.map(({ name }) => name));
    const { embedding } = this.anatomy;
    const by = stage.inputs.filter((name) => name === embedding || !own.has(name));
    const path = pathOf(this.model.graph, {
      given: stage.inputs,
      of: stage.outputs,
      by: [...by, ...this.inside(stage)],
    });
    this.paths.set(stage, path);
    return path;
  }
}

const shapeNode = (value: string): Node => ({
  name: '',
  op: 'Shape',
  domain: '',
  inputs: [value],
  outputs: [shapeOf(value)],
  attributes: new Map(),
});

/** The adjoint of all rows from that of one: nothing depends on the others. */
function widened(adjoint: Value, { row, whole }: NonNullable<Tracks['narrowed']>): Value {
  const data = new Float32Array(size(whole.dims));
  data.set(floats(adjoint), row * rowsOf(whole).dims);
  return { type: DataType.float, dims: whole.dims, data };
}

/** The sum of two adjoints of one value. */
function added(a: Value, b: Value): Value {
  const data = new Float32Array(size(a.dims));
  for (let i = 0; i < data.length; i++) data[i] = Number(a.data[i] ?? 0) + Number(b.data[i] ?? 0);
  return { ...a, data };
}
