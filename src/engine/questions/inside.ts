/**
 * The inside of a run: the values that are at hand, and any other computed again. An analysis drives it from h_0 to
 * the last block; what it has left then, as much as the memory allows, is what questions are answered from.
 */
import { SinkscopeError } from '../../errors.js';
import type { RunRequest } from '../contract/events.js';
import type { AnswerTo, QuestionOf, QuestionType } from '../contract/questions.js';
import { countingAxis, makeFeeds } from '../inputs/feeds.js';
import type { Prompt } from '../inputs/prompt.js';
import { promptIds, rowsFed } from '../inputs/rows.js';
import { isCausal } from '../stages/causal.js';
import { forward, type Lane, type Passed } from '../stages/forward.js';
import { Head } from '../stages/head.js';
import type { LoadedModel } from '../stages/loaded.js';
import { chooseDial, holdsStates, logitRows, reducedEnds } from '../stages/memory.js';
import { valueAt } from '../stages/patched.js';
import { makePlan, type Plan, type Stage, type Taps } from '../stages/plan.js';
import { canReduce, type ReducedStage, reducedStages } from '../stages/reduced/stages.js';
import type { StageRunner } from '../stages/runner.js';
import {
  crossPattern,
  firstCopy,
  type Layout,
  layoutOf,
  outsideTokens,
  tokenPattern,
  tokenRows,
} from '../tensors/layout.js';
import { noneUnfilled, type Pattern } from '../tensors/patterns.js';
import type { Value, Values } from '../tensors/value.js';

/** Answers a question; `run` is the inside of a run that has finished. */
export type Answerer<T extends QuestionType> = (run: Inside, question: QuestionOf<T>) => Promise<AnswerTo<T>>;

/** Blocks are 1-based; L + 1 is the output head. */
export class Inside {
  readonly plan: Plan;
  /** Undefined where nothing follows the last block. */
  readonly head: Head | undefined;
  /** Whether the memory allowed has room for sessions that stay. */
  readonly keep: boolean;
  /** What is known of the layout before h_0 is. */
  readonly known: Partial<Layout>;
  /** Of the tokens, where they have some. */
  readonly ids: readonly number[] | undefined;
  /** Of a session; 0: as ONNX Runtime chooses. */
  readonly threads: number;
  private readonly lane: Lane;
  /** What is kept for questions, as much as the memory allows. */
  private readonly lasting: ReadonlySet<string>;
  private found: Layout | undefined;
  /** Of the layer asked about last: people go through its heads. */
  private lastPattern: { readonly name: string; readonly pattern: Pattern } | undefined;

  /**
   * @throws SinkscopeError `input` or `too-long` where the model's inputs cannot be filled from `prompt`, `input` with
   *   `axes` where h_0 is among them and does not tell its tokens
   */
  constructor(
    readonly loaded: LoadedModel,
    private readonly runner: StageRunner,
    request: RunRequest,
    prompt: Prompt,
  ) {
    const { anatomy, model, summary } = loaded;
    const ids = promptIds(prompt);
    this.ids = ids;
    this.threads = request.threads;
    const feeds = makeFeeds(anatomy.inputs, prompt.given, ids);
    this.lane = { values: new Map(feeds.values), interventions: request.interventions ?? [] };
    this.known = {
      tokens: prompt.tokens?.length,
      unfilled: feeds.unfilled,
      positions: rowsFed(anatomy.rows, feeds.length, prompt.given),
      axis: countingAxis(anatomy, feeds, 'feeds' in request.prompt ? request.prompt.tokenAxis : undefined),
    };
    const tokens = this.known.positions ?? 1;
    this.keep = chooseDial({ anatomy, weightBytes: summary.bytes, tokens, memory: request.memory, again: true }).keep;

    const output = loaded.predicts ? anatomy.unembedding?.logits : anatomy.output;
    const taps = tapsOf(
      loaded,
      request,
      (this.known.positions ?? 0) > (prompt.tokens?.length ?? Number.POSITIVE_INFINITY),
    );
    const others = loaded.predicts
      ? []
      : anatomy.outputs.filter(({ made }) => made !== 'states').map(({ name }) => name);
    this.plan = makePlan(model.graph, anatomy, taps, [...new Set(output === undefined ? others : [output, ...others])]);
    const stage = this.plan.stages.find(({ first }) => first > anatomy.layers);
    const last = this.residual(anatomy.layers);
    if (stage && output !== undefined)
      this.head = new Head(runner, stage, last, output, logitRows(anatomy, request.memory));
    // The states are what stages take.
    const taking = holdsStates(anatomy, tokens, request.memory) ? this.plan.stages : stage ? [stage] : [];
    const inputs = taking.flatMap((one) => one.inputs);
    this.lasting = new Set([...feeds.values.keys(), last, ...inputs]);
    this.findLayout();
  }

  /** Feeds, residual points and carried values that are at hand. */
  get values(): Values {
    return this.lane.values;
  }

  /** What the graph's inputs were given. */
  get feeds(): Values {
    const inputs = new Set(this.loaded.model.graph.inputs.map(({ name }) => name));
    return new Map([...this.lane.values].filter(([name]) => inputs.has(name)));
  }

  /** Whether it was run with interventions. */
  get isChanged(): boolean {
    return this.lane.interventions.length > 0;
  }

  /** Undefined before h_0 is known. */
  get layout(): Layout | undefined {
    return this.found;
  }

  /** T; 0 before it is known. */
  get tokens(): number {
    return this.found?.tokens ?? this.known.tokens ?? 0;
  }

  /** Name of h_`layer`. */
  residual(layer: number): string {
    return valueAt(this.loaded, 'resid_post', layer);
  }

  /** Whether tokens see none of those after them. */
  isCausal(): Promise<boolean> {
    return isCausal(this.runner, this.ids ?? []);
  }

  /** Rows that are tokens of a hidden state, [..., T, D]. */
  rows(state: Value): Value {
    return tokenRows(this.copyOf(state), this.known.axis);
  }

  /**
   * Runs stages that follow each other, with the interventions of the request, and yields what each gives; what
   * neither those to come nor questions need is dropped then.
   *
   * @param next a stage to come whose inputs have to last
   * @throws SinkscopeError `runtime`, and `input` with `axes` where h_0 does not tell its tokens
   */
  async *run(stages: readonly Stage[], keep: boolean, next?: Stage): AsyncGenerator<Passed, void, void> {
    const lasting = [...this.lasting, ...(next?.inputs ?? [])];
    for await (const passed of forward(this.runner, { plan: this.plan, stages, keep, lasting }, [this.lane])) {
      this.findLayout();
      yield passed;
    }
  }

  /**
   * Stages that give statistics in the place of tensors; undefined where tensors are near, are asked for themselves, or
   * may have rows that are no tokens. What they cannot tell is had by {@link again}.
   */
  reduced({ attention, save, interventions = [] }: RunRequest): readonly ReducedStage[] | undefined {
    const { anatomy } = this.loaded;
    const { tokens = 0, positions, axis, unfilled = noneUnfilled } = this.known;
    const { hidden: dims } = anatomy;
    const isPlain =
      this.ids !== undefined &&
      tokens > 0 &&
      positions === tokens &&
      axis === undefined &&
      unfilled.before === 0 &&
      !unfilled.behind;
    if (!this.runner.reduces || save || interventions.length > 0 || !isPlain || dims === undefined) return undefined;
    if (!canReduce(this.loaded, { tokens, dims })) return undefined;
    const taps = tapsOf(this.loaded, { attention }, false, false);
    const ends = reducedEnds(anatomy, tokens, attention);
    const stages = reducedStages(this.loaded, this.plan, ends, {
      tokens,
      dims,
      attention,
      taps,
      proves: this.runner.placement?.isOpen ?? false,
    });
    for (const { fed } of stages) this.take(fed);
    this.found ??= { tokens, positions, axis, unfilled };
    return stages;
  }

  /** Values of a stage that has just been run and did not give them. */
  again(stage: ReducedStage, names: readonly string[]): Promise<Values> {
    return this.runner.run(this.plan.narrow({ ...stage, first: stage.from }, names), this.values, false);
  }

  /**
   * h_`layer`, computed again where it was dropped.
   *
   * @throws SinkscopeError `input` where there is no such layer
   */
  async state(layer: number): Promise<Value> {
    return this.rows(await this.whole(layer));
  }

  /** h_`layer` as later blocks take it, see {@link state}. */
  async whole(layer: number): Promise<Value> {
    this.checkLayer(layer);
    await this.recall(layer);
    return this.value(this.residual(layer));
  }

  /** Values of a block, computed again from what is kept; those `given` are taken as they are. */
  async inside(block: number, names: readonly string[], given: Values = new Map()): Promise<Values> {
    const stage = this.plan.stages.find(({ first }) => first === block);
    if (!stage) throw new Error(`block ${block} has no stage`);
    await this.recall(block - 1);
    const known = new Map([...this.values, ...given]);
    const open = names.filter((name) => !known.has(name));
    const narrow = this.plan.narrow(stage, open, [...given.keys()]);
    return open.length === 0 ? known : new Map([...known, ...(await this.runner.run(narrow, known, false))]);
  }

  /** h_`block` as it were if values inside the block were those `given`. */
  async instead(block: number, given: Values): Promise<Value> {
    const stage = this.plan.stages.find(({ first }) => first === block);
    if (!stage) throw new Error(`block ${block} has no stage`);
    await this.recall(block - 1);
    const name = this.residual(block);
    const narrow = this.plan.narrow(stage, [name], [...given.keys()]);
    return this.rows(valueNamed(await this.runner.run(narrow, new Map([...this.values, ...given]), false), name));
  }

  /**
   * The attention pattern of block `layer` over the tokens that count.
   *
   * @param cross that of its attention to other states
   * @throws SinkscopeError `input` where there is no such block or its pattern was not found
   */
  async pattern(layer: number, cross = false): Promise<Pattern> {
    checkIndex('layer', layer, 1, this.loaded.anatomy.layers);
    const { patterns, crosses, file } = this.loaded;
    const name = (cross ? crosses : patterns).get(layer);
    if (name === undefined) {
      throw new SinkscopeError({
        code: 'input',
        message: `Block ${layer} has no ${cross ? 'cross-attention' : 'attention'} pattern that could be found.`,
      });
    }
    if (this.lastPattern?.name !== name) {
      const value = valueNamed(await this.inside(layer, [name]), name);
      if (!this.found) throw new Error('h_0 is not there');
      const pattern = cross ? crossPattern(value, this.found) : tokenPattern(value, this.found, file);
      const why = cross ? undefined : outsideTokens(value, pattern, this.found);
      if (why !== undefined) {
        throw new SinkscopeError({
          code: 'input',
          message: `The attention pattern of block ${layer} cannot be shown: ${why}.`,
        });
      }
      this.lastPattern = { name, pattern };
    }
    return this.lastPattern.pattern;
  }

  /** @throws SinkscopeError `input` where there is no h_`layer` */
  checkLayer(layer: number): void {
    checkIndex('layer', layer, 0, this.loaded.anatomy.layers);
  }

  /** @throws SinkscopeError `input` where there is no such token */
  checkToken(token: number): void {
    checkIndex('token', token, 0, this.tokens - 1);
  }

  /** A value that is at hand. */
  value(name: string): Value {
    return valueNamed(this.values, name);
  }

  /** What is shown of a state of which there are copies. */
  private copyOf(state: Value): Value {
    return this.loaded.anatomy.copies ? firstCopy(state) : state;
  }

  /** Takes residual points that were computed elsewhere. */
  take(states: Values): void {
    for (const [name, value] of states) this.lane.values.set(name, value);
    this.findLayout();
  }

  /** Makes sure that h_`layer` and what was carried up to there are at hand, by running again if need be. */
  private async recall(layer: number): Promise<void> {
    const stages = this.plan.stages.filter((stage) => stage.first <= layer);
    const next = this.plan.stages.find((stage) => stage.first === layer + 1);
    const needed = [this.residual(layer), ...(layer < this.loaded.anatomy.layers ? (next?.inputs ?? []) : [])];
    if (needed.every((name) => this.values.has(name))) return;
    for await (const _ of this.run(stages, false, next));
  }

  private findLayout(): void {
    const h0 = this.values.get(this.residual(0));
    if (!this.found && h0) this.found = layoutOf(this.copyOf(h0), this.known);
  }
}

/** The value of that name, which has to be there. */
export function valueNamed(values: Values, name: string): Value {
  const value = values.get(name);
  if (!value) throw new Error(`the value "${name}" is not there`);
  return value;
}

/** What is fetched beside the residual points, by block: patterns, routings, and what is saved. */
function tapsOf(
  { anatomy, patterns, crosses, routings }: LoadedModel,
  { attention, save }: Pick<RunRequest, 'attention' | 'save'>,
  isPadded: boolean,
  withPatterns = true,
): Taps {
  return new Map(
    anatomy.blocks.map((block, i) => {
      const wanted = [
        // The first block's pattern tells whether padding is seen by what comes before it.
        withPatterns && (attention || save?.attention || (i === 0 && isPadded)) && patterns.get(i + 1),
        (attention || save?.attention) && crosses.get(i + 1),
        save && block.residMid,
        save?.mlp && block.mlpIntermediate,
        routings.get(i + 1)?.indices,
        routings.get(i + 1)?.weights,
        routings.get(i + 1)?.scores?.value,
        block.routing?.intermediate?.tensor,
      ];
      return [i + 1, wanted.filter((value) => typeof value === 'string')];
    }),
  );
}

/** @throws SinkscopeError `input` where there is no such layer, head or token */
export function checkIndex(what: string, index: number, first: number, last: number): void {
  if (Number.isInteger(index) && index >= first && index <= last) return;
  throw new SinkscopeError({
    code: 'input',
    message: `There is no ${what} ${index}: it must be from ${first} to ${last}.`,
  });
}
