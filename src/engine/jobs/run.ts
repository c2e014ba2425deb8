/** One run: stage after stage, statistics right beside the tensors, and what is kept of it for questions. */
import { SinkscopeError } from '../../errors.js';
import { hiddenStatistics } from '../../statistics/hidden.js';
import { patternStatistics } from '../../statistics/pattern.js';
import type { Question, QuestionAnswers } from '../contract/answers.js';
import type { PredictionsEvent, Query, QueryAnswers, RunEvent, RunRequest } from '../contract/events.js';
import type { Point } from '../contract/interventions.js';
import { fixedLength, makeFeeds } from '../inputs/feeds.js';
import { type Prompt, readPrompt } from '../inputs/prompt.js';
import type { Inside } from '../questions/inside.js';
import { ask, isQuestion } from '../questions/questions.js';
import { Head, predictionsOf } from '../stages/head.js';
import type { LoadedModel } from '../stages/loaded.js';
import { chooseDial, holdsStates, tokensThatFit } from '../stages/memory.js';
import { runPatched, valueAt } from '../stages/patched.js';
import { group, makePlan, type Plan, type Stage } from '../stages/plan.js';
import type { StageRunner } from '../stages/runner.js';
import { checkAxis, firstPattern, tokenRows } from '../tensors/layout.js';
import { cropPattern, type Pattern, patternOf } from '../tensors/patterns.js';
import type { Values } from '../tensors/value.js';
import { floats, rowsOf, sliceRows, type Value } from '../tensors/value.js';
import { openSaver, type Saver } from './save.js';

type Emit = (event: RunEvent) => Promise<void>;

/**
 * Runs `request` and emits its events, up to and without `finished`.
 *
 * @param usedBefore whether the model has been run before and may be again
 * @returns the run, which answers questions
 * @throws SinkscopeError for whatever goes wrong
 */
export async function startRun(
  loaded: LoadedModel,
  runner: StageRunner,
  request: RunRequest,
  usedBefore: boolean,
  emit: Emit,
): Promise<Run> {
  const { anatomy, summary } = loaded;
  const prompt = await readPrompt(
    request,
    { file: loaded.file, inputs: anatomy.inputs, patch: anatomy.patch, ...limits(loaded, request) },
    () => loaded.tokenizer(),
  );
  for (const { point, block } of request.interventions ?? []) valueAt(anatomy, point, block);
  await emit({
    type: 'started',
    model: summary,
    settings: { bos: prompt.bos, executionProvider: 'cpu', graphOptimization: 'all', threads: request.threads },
  });
  const saver = request.save && (await openSaver(request.save, loaded));
  try {
    const run = new Run(loaded, runner, request, prompt, saver);
    await run.forward(usedBefore, emit);
    await saver?.finish();
    return run;
  } catch (error) {
    await saver?.abort();
    throw error;
  }
}

/** How many tokens can be run, and what sets the bound. */
function limits(loaded: LoadedModel, request: RunRequest) {
  const { anatomy, summary } = loaded;
  const fits = tokensThatFit(anatomy, request.memory);
  const fixed = fixedLength(anatomy.inputs);
  const bounds = [
    { context: fits, because: 'the memory setting has room for fewer (it can be raised)' },
    ...(summary.context === undefined ? [] : [{ context: summary.context, because: 'the model was made for fewer' }]),
    ...(fixed === undefined ? [] : [{ context: fixed, because: 'this file was exported for one length' }]),
  ];
  const tightest = bounds.reduce((least, bound) => (bound.context < least.context ? bound : least));
  return { ...tightest, vocabulary: summary.vocabulary };
}

export class Run {
  /** What later stages and questions need: feeds, residual points, carried values. */
  private readonly values = new Map<string, Value>();
  private readonly feeds: ReadonlyMap<string, Value>;
  private readonly plan: Plan;
  private readonly head: Head | undefined;
  /** Tokens that count, T; known from the start, or from h_0 on where the model is not fed token ids. */
  private tokens: number | undefined;
  /** Positions that are run: more than T where the file takes only one length. */
  private length: number | undefined;
  private keepsStates = true;
  /** The axis that counts tokens, where the user says which. */
  private readonly axis: number | undefined;
  private readonly rows = (state: Value) => tokenRows(state, this.axis);
  /** Of the layer asked about last: people go through its heads. */
  private lastPattern: { readonly layer: number; readonly pattern: Pattern } | undefined;

  constructor(
    private readonly loaded: LoadedModel,
    private readonly runner: StageRunner,
    private readonly request: RunRequest,
    private readonly prompt: Prompt,
    private readonly saver: Saver | undefined,
  ) {
    const { anatomy, model, patterns } = loaded;
    const feeds = makeFeeds(
      anatomy.inputs,
      prompt.given,
      prompt.source === 'feeds' ? undefined : prompt.tokens?.map((token) => token.id),
    );
    this.feeds = feeds.values;
    this.length = feeds.length;
    this.tokens = prompt.tokens?.length;
    this.axis = 'feeds' in request.prompt ? request.prompt.tokenAxis : undefined;

    const { attention, save } = request;
    const taps = new Map<number, string[]>();
    anatomy.blocks.forEach((block, i) => {
      const pattern = patterns.get(i + 1);
      const padded = i === 0 && this.isPadded;
      const wanted = [
        (attention || save?.attention || padded) && pattern,
        save && block.residMid,
        save?.mlp && block.mlpIntermediate,
      ];
      taps.set(
        i + 1,
        wanted.filter((value) => typeof value === 'string'),
      );
    });
    const output = loaded.predicts ? anatomy.unembedding?.logits : anatomy.output;
    this.plan = makePlan(model.graph, anatomy, taps, output === undefined ? [] : [output]);
    const stage = this.plan.stages.find((candidate) => candidate.first > anatomy.layers);
    this.head =
      stage && output !== undefined ? new Head(runner, stage, this.residual(anatomy.layers), output) : undefined;
  }

  /** Runs everything, emitting from `tokens` to `predictions`. */
  async forward(usedBefore: boolean, emit: Emit): Promise<void> {
    const { loaded, request, plan } = this;
    const { anatomy, summary } = loaded;
    const estimate = this.length ?? 1;
    const dial = chooseDial(anatomy, summary.bytes, estimate, request.attention, request.memory, usedBefore);
    this.keepsStates = holdsStates(anatomy, estimate, request.memory);

    if (this.tokens !== undefined) await this.emitTokens(emit);
    const body = plan.stages.filter((stage) => stage.first <= anatomy.layers);
    if (this.feeds.has(anatomy.embedding)) await this.reportBlock(0, this.feeds, emit);
    for (const [name, value] of this.feeds) this.values.set(name, value);
    // Interventions are made at the ends of stages.
    const stages = group(body, request.interventions ? 1 : dial.blocksPerStage, anatomy.layers);
    for (const [i, stage] of stages.entries()) {
      const results = await this.execute(stage, dial.keep);
      for (const [name, value] of results) this.values.set(name, value);
      for (let block = stage.first; block <= stage.last; block++) await this.reportBlock(block, results, emit);
      this.forget(stages.slice(i + 1));
    }
    await this.reportHead(dial.keep, emit);
  }

  /**
   * @throws SinkscopeError `input` for a layer, head or token that is not there.
   */
  async answer<Type extends Query['type']>(query: Extract<Query, { type: Type }>): Promise<QueryAnswers[Type]>;
  async answer(query: Query): Promise<QueryAnswers[Query['type']]> {
    const { layers } = this.loaded.anatomy;
    if (query.type === 'pattern') return this.pattern(query.layer, query.head);
    if (isQuestion(query)) return this.ask(query);
    checkIndex('token', query.token, 0, (this.tokens ?? 0) - 1);
    if (query.type === 'predictions') return this.predictions(query.token, false);
    if (query.type === 'lens') return this.lens(query.layer, query.token);
    if (query.type === 'activation') return this.activation(query.point, query.layer, query.token);
    checkIndex('layer', query.layer, 0, layers);
    await this.recall(query.layer);
    const row = sliceRows(this.rows(this.value(this.residual(query.layer))), query.token, query.token + 1);
    return { values: floats(row).slice() };
  }

  private async pattern(layer: number, head: number): Promise<QueryAnswers['pattern']> {
    const { heads, queries, keys, values } = await this.wholePattern(layer);
    checkIndex('head', head, 0, heads - 1);
    return { queries, keys, values: values.slice(head * queries * keys, (head + 1) * queries * keys) };
  }

  private async wholePattern(layer: number): Promise<Pattern> {
    checkIndex('layer', layer, 1, this.loaded.anatomy.layers);
    const name = this.loaded.patterns.get(layer);
    if (name === undefined) {
      throw new SinkscopeError({
        code: 'input',
        message: `Block ${layer} has no attention pattern that could be found.`,
      });
    }
    if (this.lastPattern?.layer !== layer) {
      const value = (await this.inside(layer, [name])).get(name);
      if (!value) throw new Error(`${name} was not computed`);
      this.lastPattern = { layer, pattern: this.cropped(value) };
    }
    return this.lastPattern.pattern;
  }

  /** Values of a block (L + 1: the head), computed again from what is kept; those `given` are taken as they are. */
  private async inside(block: number, names: readonly string[], given: Values = new Map()): Promise<Values> {
    const stage = this.plan.stages.find((candidate) => candidate.first === block);
    if (!stage) throw new Error(`block ${block} has no stage`);
    await this.recall(block - 1);
    const known = new Map([...this.values, ...given]);
    const open = names.filter((name) => !known.has(name));
    const narrow = this.plan.narrow(stage, open, [...given.keys()]);
    return open.length === 0 ? known : new Map([...known, ...(await this.runner.run(narrow, known, false))]);
  }

  private ask(question: Question): Promise<QuestionAnswers[Question['type']]> {
    const { layers } = this.loaded.anatomy;
    if ('layer' in question) checkIndex('layer', question.layer, 0, layers);
    if ('token' in question) checkIndex('token', question.token, 0, (this.tokens ?? 0) - 1);
    const run: Inside = {
      loaded: this.loaded,
      tokens: this.tokens ?? 0,
      head: this.head,
      keep: 2 * this.loaded.summary.bytes <= this.request.memory,
      values: this.values,
      residual: (layer) => this.residual(layer),
      state: async (layer) => {
        await this.recall(layer);
        return this.rows(this.value(this.residual(layer)));
      },
      inside: (block, names, given) => this.inside(block, names, given),
      pattern: (layer) => this.wholePattern(layer),
    };
    return ask(run, question);
  }

  private async predictions(token: number, keep: boolean): Promise<PredictionsEvent> {
    if (this.loaded.predicts) await this.recall(this.loaded.anatomy.layers);
    return this.predicted(this.values, token, keep);
  }

  /** What the head predicts from `values`. */
  private async predicted(values: Values, token: number, keep: boolean): Promise<PredictionsEvent> {
    if (!this.loaded.predicts || !this.head) {
      throw new SinkscopeError({
        code: 'input',
        message: 'This model does not predict tokens: it has no output head over a vocabulary.',
      });
    }
    return this.predictionsFrom(await this.head.logits(values, token, token + 1, keep), token);
  }

  private predictionsFrom(logits: Float32Array, token: number): PredictionsEvent {
    return { type: 'predictions', token, top: predictionsOf(logits, this.loaded.tokenizer()) };
  }

  private async activation(point: Point, layer: number, token: number): Promise<QueryAnswers['activation']> {
    const name = valueAt(this.loaded.anatomy, point, layer);
    const value = (await this.inside(layer, [name])).get(name);
    if (!value) throw new Error(`${name} was not computed`);
    return { values: floats(sliceRows(this.rows(value), token, token + 1)).slice() };
  }

  private async lens(layer: number, token: number): Promise<QueryAnswers['lens']> {
    const { layers } = this.loaded.anatomy;
    checkIndex('layer', layer, 0, layers);
    await this.recall(layer);
    const instead = new Map(this.values).set(this.residual(layers), this.value(this.residual(layer)));
    return this.predicted(instead, token, false);
  }

  /** A stage with the interventions of the request. */
  private execute(stage: Stage, keep: boolean): Promise<Values> {
    const { loaded, runner, plan, request } = this;
    return runPatched(runner, plan, loaded.anatomy, stage, this.values, request.interventions ?? [], keep);
  }

  /** Emits and saves what the results of a stage say about block `block`; 0 is the embedding. */
  private async reportBlock(block: number, results: ReadonlyMap<string, Value>, emit: Emit): Promise<void> {
    const { loaded, request, saver } = this;
    const tensor = results.get(this.residual(block)) ?? this.value(this.residual(block));
    if (block === 0) checkAxis(tensor, this.axis);
    const state = this.rows(tensor);
    const { dims, tokens: rows } = rowsOf(state);
    this.length ??= rows;
    if (this.tokens === undefined) {
      this.tokens = rows;
      await this.emitTokens(emit);
    }
    const tokens = this.tokens;
    if (rows !== this.length) {
      throw new SinkscopeError({
        code: 'runtime',
        file: loaded.file,
        message: `Layer ${block} has ${rows} rows for ${this.length} tokens; Sinkscope cannot tell which is which.`,
      });
    }
    const hidden = floats(sliceRows(state, 0, tokens));
    await emit({ type: 'layer', layer: block, statistics: hiddenStatistics(hidden, tokens, dims) });
    await saver?.rows(`hidden.${block}`, hidden, tokens);

    const parts = loaded.anatomy.blocks[block - 1];
    if (!parts) return;
    const patternName = loaded.patterns.get(block);
    const tapped = patternName === undefined ? undefined : results.get(patternName);
    const pattern = tapped && this.cropped(tapped);
    // Attention in windows has patterns over parts of the sequence, which say nothing of a token's place in it.
    if (pattern?.queries === tokens && pattern.keys >= tokens) {
      const { heads, keys, values } = pattern;
      if (request.attention) {
        await emit({ type: 'attention', layer: block, statistics: patternStatistics(values, heads, tokens, keys) });
      }
      await saver?.pattern(`attn.${block - 1}`, pattern);
    }
    for (const [name, tap] of [
      [`resid_mid.${block - 1}`, parts.residMid],
      [`mlp.${block - 1}`, parts.mlpIntermediate],
    ] as const) {
      const value = tap === undefined ? undefined : results.get(tap);
      if (value) await saver?.rows(name, floats(sliceRows(this.rows(value), 0, tokens)), tokens);
    }
  }

  private async reportHead(keep: boolean, emit: Emit): Promise<void> {
    const { tokens = 0, head, saver } = this;
    const { anatomy } = this.loaded;
    const wanted = this.request.save?.logits;
    const last = head && wanted && (await saver?.output(head, this.values, tokens, keep));
    // A post-norm model without a head gives the last residual itself.
    if (!head && wanted && anatomy.output === this.residual(anatomy.layers)) {
      await saver?.rows(anatomy.output, floats(sliceRows(this.rows(this.value(anatomy.output)), 0, tokens)), tokens);
    }
    if (!this.loaded.predicts || tokens === 0) return;
    await emit(last ? this.predictionsFrom(last, tokens - 1) : await this.predictions(tokens - 1, keep));
  }

  private async emitTokens(emit: Emit): Promise<void> {
    const { prompt, tokens = 0 } = this;
    await emit({
      type: 'tokens',
      tokens: prompt.tokens ?? prompt.named?.(tokens) ?? [],
      total: prompt.tokens ? prompt.total : tokens,
      window: prompt.tokens ? prompt.window : { start: 0, end: tokens },
      source: prompt.source,
      ...(prompt.picture && { picture: prompt.picture }),
      tokenizer: prompt.tokens !== undefined && this.loaded.tokenizer() !== undefined,
    });
  }

  /** Drops what neither the stages to come nor questions need. */
  private forget(rest: readonly Stage[]): void {
    const { anatomy } = this.loaded;
    const needed = new Set([...rest, ...(this.head ? [this.head.stage] : [])].flatMap((next) => next.inputs));
    needed.add(this.residual(anatomy.layers));
    if (this.keepsStates) {
      for (let layer = 0; layer <= anatomy.layers; layer++) needed.add(this.residual(layer));
      for (const single of this.plan.stages) for (const input of single.inputs) needed.add(input);
    }
    for (const name of this.values.keys()) {
      if (!needed.has(name) && !this.feeds.has(name)) this.values.delete(name);
    }
  }

  /** Makes sure that h_`layer` and what was carried up to there are at hand, by running again if need be. */
  private async recall(layer: number): Promise<void> {
    const stages = this.plan.stages.filter((stage) => stage.first <= layer);
    const next = this.plan.stages.find((stage) => stage.first === layer + 1);
    const needed = [this.residual(layer), ...(layer < this.loaded.anatomy.layers ? (next?.inputs ?? []) : [])];
    if (needed.every((name) => this.values.has(name))) return;
    for (const [i, stage] of stages.entries()) {
      const results = await this.execute(stage, false);
      for (const [name, value] of results) this.values.set(name, value);
      this.forget([...stages.slice(i + 1), ...(next ? [next] : [])]);
    }
  }

  private cropped(value: Value): Pattern {
    const pattern = patternOf(this.axis === undefined ? value : firstPattern(value));
    return this.isPadded ? cropPattern(pattern, this.tokens ?? 0, this.loaded.file) : pattern;
  }

  private get isPadded(): boolean {
    return this.length !== undefined && this.tokens !== undefined && this.length > this.tokens;
  }

  /** Name of h_`layer`. */
  private residual(layer: number): string {
    const { anatomy } = this.loaded;
    return anatomy.blocks[layer - 1]?.residPost ?? anatomy.embedding;
  }

  private value(name: string): Value {
    const value = this.values.get(name);
    if (!value) throw new Error(`the value "${name}" is not there`);
    return value;
  }
}

function checkIndex(what: string, index: number, first: number, last: number): void {
  if (Number.isInteger(index) && index >= first && index <= last) return;
  throw new SinkscopeError({
    code: 'input',
    message: `There is no ${what} ${index}: it must be from ${first} to ${last}.`,
  });
}
