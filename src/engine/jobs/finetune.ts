/**
 * Fine-tuning by low-rank adapters (LoRA, arXiv:2106.09685): sequences there and back block by block, with derivatives
 * by the adapters alone; with MacDrop (arXiv:2410.01866), entries of the pre-trained massive weights are dropped, with a
 * probability that falls to 0 over the run.
 */
import { rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { grouped, SinkscopeError, toProblem } from '../../errors.js';
import { DataType } from '../../onnx/model.js';
import { AdamW } from '../../statistics/adamw.js';
import { uniform } from '../../statistics/random.js';
import type { FinetuneRequest } from '../contract/finetune.js';
import type { EventOf } from '../contract/protocol.js';
import { makeFeeds } from '../inputs/feeds.js';
import { type Adapter, adaptable, type Dropped, droppable } from '../stages/adaptable.js';
import { adapted, withAdapters } from '../stages/adapted.js';
import { Backward, type Reduction, type Tracks, tracksFrom } from '../stages/backward.js';
import type { LoadedModel } from '../stages/loaded.js';
import { blockBytes, stateBytes } from '../stages/memory.js';
import type { Stage } from '../stages/plan.js';
import { StageRunner } from '../stages/runner.js';
import { floats, rowsOf, type Value } from '../tensors/value.js';
import { saveAdapter, saveBeside, saveConfig } from './adapter.js';
import { checkScored } from './measure.js';
import { lossSeed } from './seeds.js';
import { saveRewritten } from './written.js';

type Emit = (event: EventOf<'finetune'>) => Promise<void>;

/** How often the adapter is written on the way, at most. */
const writings = 50;
/** A merged model whose weights take no more is one file. */
const oneFile = 2 ** 28;

/** What is trained, and what it is trained by. */
interface Parameters {
  readonly adapters: readonly Adapter[];
  /** By input of the graph. */
  readonly optimisers: ReadonlyMap<string, AdamW>;
}

/**
 * Trains adapters, writes them on the way, and at the end with the model that they are merged into.
 *
 * @returns the merged model's file
 * @throws SinkscopeError `input` where the model predicts no tokens, no product can carry an adapter, an operator has no
 *   rule of differentiation, or the loss becomes no number; `too-long` where a step does not fit the memory; `save`
 */
export async function trainAdapters(runner: StageRunner, request: FinetuneRequest, emit: Emit): Promise<string> {
  const { loaded } = runner;
  const { steps, rank, rate, seed, target, drop, threads, save, sequences, from } = request;
  const folder = dirname(resolve(save.file));
  await checkScored(
    runner,
    sequences.map((ids) => ({ ids, from })),
  );
  checkMemory(loaded, request);
  const { adapters, ...found } = adaptable(loaded, target, rank);
  const drops = drop ? droppable(loaded, drop.block, drop.dims) : [];
  await emit({
    type: 'adapters',
    adapters: adapters.map(({ block, part, module, product: { inputs, outputs } }) => ({
      block,
      part,
      module,
      inputs,
      outputs,
    })),
    ...found,
    without: [...found.without],
  });
  const parameters = { adapters, optimisers: begun(adapters, rank, rate, seed) };
  const pass = new Pass(adapted(loaded, adapters, drops), parameters, threads, keepsSessions(loaded, request));
  const next = batches(sequences, request.batch, seed);
  const mask = masks(drops, seed);
  const every = Math.max(1, Math.floor(steps / writings));
  let saved = 0;
  try {
    for (let step = 1; step <= steps; step++) {
      const probability = drop ? probabilityAt(drop.probability, step, steps) : 0;
      const { loss, gradients } = await pass.run(next(), from, mask(probability));
      if (!Number.isFinite(loss)) throw noNumber(step, saved, folder);
      for (const [input, optimiser] of parameters.optimisers) {
        const gradient = gradients.get(input);
        if (gradient) optimiser.step(floats(gradient));
      }
      if (step % every === 0 || step === steps) {
        const config = saved === 0 ? await saveConfig(folder, loaded.summary.name, rank, adapters) : undefined;
        await saveAdapter(save.file, rank, named(parameters)).catch(async (error: unknown) => {
          // Without an adapter it is of nothing, and the folder would count as in use.
          if (config !== undefined) await rm(config, { force: true });
          throw error;
        });
        saved = step;
      }
      await emit({ type: 'step', step, loss, probability, saved });
    }
    await pass.release();
    const model = join(folder, 'model.onnx');
    const valuesOf = (input: string) => parameters.optimisers.get(input)?.values ?? new Float32Array(0);
    const made = withAdapters(loaded, adapters, valuesOf);
    await saveRewritten(new StageRunner(made.loaded, threads), made.changed, { file: model }, oneFile);
    await saveBeside(loaded, folder);
    return model;
  } catch (error) {
    throw SinkscopeError.is(error, 'save') && saved > 0 ? unsaved(error, saved, folder) : error;
  } finally {
    await pass.release();
  }
}

/** That something could not be written, and what was. */
const unsaved = (error: SinkscopeError, saved: number, folder: string): SinkscopeError =>
  new SinkscopeError(
    { ...toProblem(error), message: `${error.message} The adapter after step ${saved} is in ${folder}.` },
    { cause: error },
  );

/** Of a step from 1 on: falls in equal parts from the first, which has all of it, to 0 at the last. */
const probabilityAt = (first: number, step: number, steps: number): number =>
  steps === 1 ? first : first * (1 - (step - 1) / (steps - 1));

/** A as PEFT begins it, uniform within ±1/√inputs, one after another; B as 0. */
function begun(adapters: readonly Adapter[], rank: number, rate: number, seed: number): ReadonlyMap<string, AdamW> {
  const random = uniform(3 * seed);
  return new Map(
    adapters.flatMap(({ a, b, product: { inputs, outputs } }) => {
      const bound = 1 / Math.sqrt(inputs);
      const down = Float32Array.from({ length: rank * inputs }, () => (2 * random() - 1) * bound);
      return [
        [a, new AdamW(down, rate)],
        [b, new AdamW(new Float32Array(outputs * rank), rate)],
      ] as const;
    }),
  );
}

/** All sequences in an order that the seed decides, then all of them in another. */
function batches(sequences: FinetuneRequest['sequences'], count: number, seed: number) {
  const random = uniform(3 * seed + 1);
  let order: number[] = [];
  const one = (): readonly number[] => {
    if (order.length === 0) {
      order = [...sequences.keys()];
      for (let i = order.length - 1; i > 0; i--) {
        const j = Math.floor(random() * (i + 1));
        [order[i], order[j]] = [order[j] ?? 0, order[i] ?? 0];
      }
    }
    return sequences[order.shift() ?? 0] ?? [];
  };
  return () => Array.from({ length: count }, one);
}

/** What is dropped of each weight, drawn anew for each step: entries of the rows, row by row. */
function masks(drops: readonly Dropped[], seed: number) {
  const random = uniform(3 * seed + 2);
  return (probability: number): ReadonlyMap<string, Value> =>
    new Map(
      drops.map(({ mask, rows, product }) => {
        const dims = [rows.length, product.inputs];
        const data = Float32Array.from({ length: rows.length * product.inputs }, () =>
          random() < probability ? 1 : 0,
        );
        return [mask, { type: DataType.float, dims, data }];
      }),
    );
}

/** A and B of each module. */
function named({ adapters, optimisers }: Parameters) {
  const of = (input: string) => optimisers.get(input)?.values ?? new Float32Array(0);
  return adapters.map(({ module, a, b, product: { inputs, outputs } }) => ({
    module,
    inputs,
    outputs,
    down: of(a),
    up: of(b),
  }));
}

/** Sequences there and back. */
class Pass {
  private readonly back: Backward;
  private readonly logits: string;

  constructor(
    private readonly loaded: LoadedModel,
    private readonly parameters: Parameters,
    threads: number,
    private readonly keep: boolean,
  ) {
    const { anatomy } = loaded;
    this.logits = anatomy.unembedding?.logits ?? '';
    const inputsOf = (block: number) =>
      parameters.adapters.filter((adapter) => adapter.block === block).flatMap(({ a, b }) => [a, b]);
    this.back = new Backward(loaded, threads, [this.logits], anatomy.layers + 1, { by: inputsOf });
  }

  /**
   * @param masks by input of the graph
   * @returns the mean loss, and its derivatives by what is trained
   */
  async run(batch: readonly (readonly number[])[], from: number, masks: ReadonlyMap<string, Value>) {
    const { loaded, back, keep } = this;
    const { layers, inputs } = loaded.anatomy;
    const fed = new Map([...this.fed(), ...masks]);
    const runs = batch.map((ids): Run => {
      const values = new Map([...makeFeeds(inputs, new Map(), ids).values, ...fed]);
      return { ids, tracks: tracksFrom(values) };
    });
    const byLane = new Map(runs.map((run) => [run.tracks.lane, run]));
    const gradients = new Map<string, Value>();
    let loss = 0;
    for await (const { stage, lane, results } of back.there(
      runs.map(({ tracks }) => tracks),
      undefined,
      keep,
    )) {
      const run = byLane.get(lane);
      const found = results.get(this.logits);
      if (!run || !found) continue;
      // At once, for logits are large.
      const seed = this.seed(found, run, from);
      loss += seed.of / batch.length;
      run.tracks.adjoints.set(this.logits, scaled(seed.adjoint, 1 / batch.length));
      await this.through(stage, run, keep || batch.length > 1, gradients);
      run.tracks.adjoints.delete(this.logits);
    }
    if (!keep) await back.leave();
    for (const stage of back.stages.toReversed()) {
      if (stage.first < 1 || stage.last > layers) continue;
      for (const run of runs) await this.through(stage, run, keep || batch.length > 1, gradients);
      if (!keep) await back.leave();
    }
    return { loss, gradients };
  }

  release(): Promise<void> {
    return this.back.release();
  }

  private *fed(): Generator<[string, Value]> {
    for (const { a, b, product } of this.parameters.adapters)
      for (const [name, width] of [
        [a, product.inputs],
        [b, undefined],
      ] as const) {
        const data = this.parameters.optimisers.get(name)?.values ?? new Float32Array(0);
        const dims =
          width === undefined ? [product.outputs, data.length / product.outputs] : [data.length / width, width];
        yield [name, { type: DataType.float, dims, data }];
      }
  }

  private seed(found: Value, { ids }: Run, from: number) {
    if (rowsOf(found).tokens < ids.length) {
      throw new SinkscopeError({
        code: 'input',
        file: this.loaded.file,
        message: `${this.loaded.file} gives logits for its last tokens only, so there is no loss over a text to train on; export it with logits for all tokens.`,
      });
    }
    return lossSeed(this.logits, found, ids, from, 0);
  }

  /**
   * One sequence back through a stage, its part added to the derivatives.
   *
   * @param isAgain whether the stage is gone through by others or in the next step
   */
  private async through(stage: Stage, { tracks }: Run, isAgain: boolean, gradients: Map<string, Value>): Promise<void> {
    const { back, loaded } = this;
    const sumOf = (input: string) => `sinkscope/sum/${input}`;
    const zero: Value = { type: DataType.float, dims: [1, 1], data: new Float32Array(1) };
    const inputs = back.inside(stage);
    const reduction: Reduction = {
      fed: new Map(inputs.map((input) => [sumOf(input), gradients.get(input) ?? zero])),
      key: '',
      make: (build, input, adjoint) => new Map([[input, build.add2(sumOf(input), adjoint)]]),
    };
    const { why, reduced } = await back.back(stage, tracks, isAgain, reduction);
    if (why !== undefined) {
      throw new SinkscopeError({
        code: 'input',
        file: loaded.file,
        message: `${loaded.file} cannot be fine-tuned: in block ${Math.min(stage.last, loaded.anatomy.layers)}, ${why}; give another export of the model.`,
      });
    }
    for (const [input, value] of reduced) gradients.set(input, value);
  }
}

interface Run {
  readonly ids: readonly number[];
  readonly tracks: Tracks;
}

const scaled = (value: Value, factor: number): Value =>
  factor === 1 ? value : { ...value, data: floats(value).map((one) => one * factor) };

/** Bytes that sequences of a step hold beside the blocks. */
function stepBytes({ anatomy }: LoadedModel, { sequences, batch }: FinetuneRequest): number {
  const tokens = sequences[0]?.length ?? 0;
  const states = 2 * batch * (anatomy.layers + 1) * stateBytes(anatomy, tokens);
  return states + 2 * blockBytes(anatomy, tokens) + 4 * 4 * tokens * (anatomy.vocabulary ?? 0);
}

/** Sessions of both ways, each with its weights in single precision and packed, last from step to step where there is room. */
const keepsSessions = (loaded: LoadedModel, request: FinetuneRequest): boolean =>
  8 * loaded.summary.bytes + 2 * stepBytes(loaded, request) <= request.memory;

function checkMemory(loaded: LoadedModel, request: FinetuneRequest): void {
  const bytes = stepBytes(loaded, request);
  if (bytes <= request.memory) return;
  const megabytes = (count: number) => grouped(Math.ceil(count / 2 ** 20));
  throw new SinkscopeError({
    code: 'too-long',
    message: `A step holds ${megabytes(bytes)} MB, more than the ${megabytes(request.memory)} MB that may be held; choose a smaller batch or window, or allow more memory.`,
  });
}

function noNumber(step: number, saved: number, folder: string): SinkscopeError {
  const kept = saved === 0 ? '' : `; the adapter after step ${saved} is in ${folder}`;
  return new SinkscopeError({
    code: 'input',
    message: `The loss of step ${step} is not a number any more: choose a lower learning rate${kept}.`,
  });
}
