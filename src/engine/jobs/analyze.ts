/** The analysis: a prompt through the model, stage after stage, statistics right beside the tensors. */

import { grouped, SinkscopeError } from '../../errors.js';
import { hiddenStatistics } from '../../statistics/hidden.js';
import { crossStatistics, patternStatistics } from '../../statistics/pattern.js';
import type { HiddenStatistics, RoutingStatistics } from '../../statistics/statistics.js';
import type { FinishedEvent, ModelSummary, RunRequest, StartedEvent, TokensEvent } from '../contract/events.js';
import type { EventOf } from '../contract/protocol.js';
import { fedInputs, fixedLength } from '../inputs/feeds.js';
import type { Limits, Prompt } from '../inputs/prompt.js';
import { readPrompt } from '../inputs/read.js';
import { promptIds } from '../inputs/rows.js';
import { Inside } from '../questions/inside.js';
import { predictedFrom, predictionsAfter } from '../questions/predicted.js';
import type { LoadedModel } from '../stages/loaded.js';
import { chooseDial, tokensThatFit } from '../stages/memory.js';
import { valueAt } from '../stages/patched.js';
import { group } from '../stages/plan.js';
import type { Told } from '../stages/reduced/stages.js';
import { crossPattern, outsideTokens, tokenPattern } from '../tensors/layout.js';
import { floats, rowsOf, sliceRows, type Values } from '../tensors/value.js';
import type { Current } from './current.js';
import { EditedText, withoutEdits } from './edited.js';
import { arisen, madeByExperts } from './made.js';
import { headOutputs } from './outputs.js';
import { routedTokens } from './routing.js';
import { openSaver, type Saver } from './save.js';

type Emit = (event: EventOf<'analyze'>) => Promise<void>;

/**
 * Runs `request` and emits its events, up to and without `finished`.
 *
 * @param used the model, how often it has been run before, and what is kept of a text that is edited
 * @param onPart called with the `tokenizer.json` before each part of a text is tokenised
 * @returns what the run leaves for questions, and what it took over from the run before
 * @throws SinkscopeError for whatever goes wrong
 */
export async function runAnalysis(
  used: Pick<Current, 'loaded' | 'runner' | 'remark' | 'runs' | 'edited'>,
  request: RunRequest,
  emit: Emit,
  onPart?: (file: string) => void,
): Promise<{ readonly inside: Inside; readonly reused: FinishedEvent['reused'] }> {
  const { loaded, runner, remark, runs } = used;
  const prompt = await readPrompt(request, { ...limitsOf(loaded, request), onPart }, () => loaded.tokenizer());
  for (const { point, block } of request.interventions ?? []) valueAt(loaded, point, block);
  await emit({
    type: 'started',
    model: told(loaded, prompt, remark),
    settings: settingsOf(prompt, request.threads),
    inputs: fedInputs(loaded.anatomy.inputs, prompt.given, prompt.fed, promptIds(prompt)?.length),
  });
  const saver = request.save && (await openSaver(request.save, loaded));
  try {
    const inside = new Inside(loaded, runner, request, prompt);
    const report = { request, prompt, saver, emit };
    const reused = request.live ? await followEdit(used, inside, report) : undefined;
    if (!reused) await runThrough(inside, report, runs > 0);
    await saver?.finish();
    return { inside, reused };
  } catch (error) {
    await saver?.abort();
    throw error;
  }
}

/** Everything that changes the numbers of a run. */
export function settingsOf({ bos, lineEnds, chat }: Prompt, threads: number): StartedEvent['settings'] {
  return { bos, lineEnds: lineEnds?.as, chat, graphOptimization: 'all', threads };
}

/** The model's summary, with what is to be told of the tokenizer that made the prompt, and of the stream that it chose. */
export function told(
  { summary, tokenizer }: LoadedModel,
  { source, lineEnds, remark }: Prompt,
  ofStream: string | undefined,
): ModelSummary {
  const ofTokenizer = source === 'text' ? tokenizer()?.remark : undefined;
  const missing = [...summary.missing, ...(ofTokenizer === undefined ? [] : [ofTokenizer])];
  const changed = lineEnds?.changed ?? 0;
  const ofLineEnds = `line ends: ${grouped(changed)} that are CR LF or CR were read as LF, which models are trained on`;
  const remarks = [
    ...summary.remarks,
    ...(changed > 0 ? [ofLineEnds] : []),
    ...[remark, ofStream].filter((text) => text !== undefined),
  ];
  return { ...summary, missing, remarks };
}

/** How many tokens can be run, and what sets the bound. */
export function limitsOf({ anatomy, summary, file }: LoadedModel, { memory }: Pick<RunRequest, 'memory'>): Limits {
  const fixed = fixedLength(anatomy.inputs);
  const bounds = [
    {
      context: tokensThatFit(anatomy, memory),
      because: 'the memory setting has room for fewer (sinkscope.memoryBudget or --memory raises it)',
    },
    ...(summary.context === undefined ? [] : [{ context: summary.context, because: 'the model was made for fewer' }]),
    ...(fixed === undefined ? [] : [{ context: fixed, because: 'this file was exported for one length' }]),
  ];
  const tightest = bounds.reduce((least, bound) => (bound.context < least.context ? bound : least));
  const { inputs, patch, rows } = anatomy;
  return { ...tightest, file, inputs, patch, rows, vocabulary: summary.vocabulary };
}

/** Where what is found goes. */
interface Report {
  readonly request: RunRequest;
  readonly prompt: Prompt;
  readonly saver: Saver | undefined;
  readonly emit: Emit;
}

/** Runs what an edit has changed, from `tokens` to `predictions`; everything where the model cannot go on. */
async function followEdit(
  used: Pick<Current, 'loaded' | 'runner' | 'edited'>,
  inside: Inside,
  report: Report,
): Promise<NonNullable<FinishedEvent['reused']>> {
  const { loaded, runner } = used;
  const { request, emit } = report;
  const { ids = [], known } = inside;
  const isPadded = known.positions !== ids.length;
  const never = isPadded ? 'it takes one number of tokens alone' : withoutEdits(loaded, request, ids.length);
  if (never === undefined && !used.edited?.takes(request, ids.length)) {
    await used.edited?.release();
    used.edited = new EditedText(runner, request, ids.length);
  }
  const { edited } = used;
  if (never !== undefined || !edited?.runs(ids.length)) {
    await runThrough(inside, report, true);
    return { tokens: 0, without: never ?? edited?.without(ids.length) };
  }
  await emit(tokensRun(report.prompt, inside.tokens, loaded));
  const { reused, states, logits } = await edited.run(ids, emit);
  inside.take(states);
  await emit(predictedFrom(inside, logits, ids.length - 1));
  if (reused === 0) await edited.warm();
  return { tokens: reused, without: edited.without(ids.length) };
}

/** What was said of the layers, and of the experts of blocks, by block. */
interface Said {
  readonly layers: HiddenStatistics[];
  readonly routed: Map<number, RoutingStatistics>;
}

/** Runs everything, from `tokens` to `predictions`. */
export async function runThrough(inside: Inside, given: Report, usedBefore: boolean): Promise<void> {
  const { request } = given;
  const report = { ...given, layers: [], routed: new Map() };
  const { anatomy, summary } = inside.loaded;
  const dial = chooseDial({
    anatomy,
    weightBytes: summary.bytes,
    tokens: inside.known.positions ?? 1,
    memory: request.memory,
    again: usedBefore,
    patterns: request.attention,
  });
  if (inside.known.tokens !== undefined) await report.emit(tokensRun(report.prompt, inside.tokens, inside.loaded));
  if (inside.values.has(anatomy.embedding)) await reportBlock(inside, report, 0, inside.values);
  const body = inside.plan.stages.filter(({ first }) => first <= anatomy.layers);
  const reduced = inside.reduced(request);
  // Interventions are made at the ends of stages.
  const stages = reduced ?? group(body, request.interventions ? 1 : dial.blocksPerStage, anatomy.layers);
  for await (const { stage, results } of inside.run(stages, dial.keep)) {
    const reduces = reduced?.find((one) => one === stage);
    const told = reduces?.told(results);
    const lacking = told ? lackingIn(told, inside) : [];
    const all =
      reduces && lacking.length > 0 ? new Map([...results, ...(await inside.again(reduces, lacking))]) : results;
    for (let block = stage.first; block <= stage.last; block++) await reportBlock(inside, report, block, all, told);
  }
  await reportMade(inside, report);
  await reportHead(inside, report, dial.keep);
}

/** Names of values that a stage could not say enough of. */
function lackingIn({ states, patterns }: Told, inside: Inside): string[] {
  const open = <T>(found: ReadonlyMap<number, T | undefined>) =>
    [...found].flatMap(([block, one]) => (one === undefined ? [block] : []));
  return [
    ...open(states).map((block) => inside.residual(block)),
    ...open(patterns).flatMap((block) => inside.loaded.patterns.get(block) ?? []),
  ];
}

/** What experts made of the entries that stand out: the blocks in which these arise are run again for it. */
async function reportMade(inside: Inside, { request, layers, routed, emit }: Report & Said): Promise<void> {
  if (request.interventions?.length) return;
  for (const [block, found] of routed) {
    const [before, after] = [layers[block - 1], layers[block]];
    const entries = after ? arisen(before, after) : [];
    const from = inside.loaded.anatomy.blocks[block - 1]?.routing?.from;
    // An operator that chooses experts inside takes no weights from outside.
    if (entries.length === 0 || !from || 'operator' in from) continue;
    const made = await madeByExperts(inside, block, from, found, entries);
    await emit({ type: 'routing', layer: block, found: { ...found, made: [...made] } });
  }
}

/** The tokens that are run; of a model that is fed none, as they are named once they are counted. */
const tokensOf = (prompt: Prompt, count: number) => prompt.tokens ?? prompt.named?.(count) ?? [];

/** What is said of {@link tokensOf}. */
export function tokensRun(prompt: Prompt, count: number, loaded: LoadedModel): TokensEvent {
  return {
    type: 'tokens',
    tokens: [...tokensOf(prompt, count)],
    total: prompt.tokens ? prompt.total : count,
    window: prompt.tokens ? prompt.window : { start: 0, end: count },
    source: prompt.source,
    ...(prompt.picture && { picture: prompt.picture }),
    tokenizer: prompt.tokens !== undefined && loaded.tokenizer() !== undefined,
  };
}

/**
 * Emits and saves what the results of a stage say about block `block`; 0 is the embedding.
 *
 * @param told statistics that came in the place of tensors
 */
async function reportBlock(
  inside: Inside,
  report: Report & Said,
  block: number,
  results: Values,
  told?: Told,
): Promise<void> {
  const { loaded, layout } = inside;
  const { request, saver, emit } = report;
  if (!layout) throw new Error('h_0 is not there');
  if (block === 0 && inside.known.tokens === undefined)
    await report.emit(tokensRun(report.prompt, inside.tokens, inside.loaded));
  const statistics = told?.states.get(block) ?? (await stateOf(inside, block, results, saver));
  report.layers[block] = statistics;
  await emit({ type: 'layer', layer: block, statistics });
  const parts = loaded.anatomy.blocks[block - 1];
  if (!parts) return;
  const { tokens } = layout;
  const sinks = told?.patterns.get(block);
  if (sinks) await emit({ type: 'attention', layer: block, statistics: sinks });
  const tapped = sinks ? undefined : results.get(loaded.patterns.get(block) ?? '');
  const pattern = tapped && tokenPattern(tapped, layout, loaded.file);
  const leftOut = tapped && pattern && outsideTokens(tapped, pattern, layout);
  // What is known of the file is among what it lacks.
  if (leftOut !== undefined && request.attention && !(parts.mixedKeys && pattern?.queries === tokens))
    await emit({ type: 'pattern-left-out', layer: block, why: leftOut });
  if (pattern && leftOut === undefined) {
    const { heads, keys, values } = pattern;
    if (request.attention) {
      await emit({ type: 'attention', layer: block, statistics: patternStatistics(values, heads, tokens, keys) });
    }
    await saver?.pattern(`attn.${block - 1}`, pattern);
  }
  const crossed = results.get(loaded.crosses.get(block) ?? '');
  const cross = crossed && crossPattern(crossed, layout);
  if (cross?.queries === tokens) {
    const { heads, keys, values } = cross;
    if (request.attention)
      await emit({ type: 'cross-attention', layer: block, statistics: crossStatistics(values, heads, tokens, keys) });
    await saver?.pattern(`cross.${block - 1}`, cross);
  }
  await reportRouting(inside, report, block, results);
  for (const [name, tap] of [
    [`resid_mid.${block - 1}`, parts.residMid],
    [`mlp.${block - 1}`, parts.mlpIntermediate],
  ] as const) {
    const value = tap === undefined ? undefined : results.get(tap);
    if (value) await saver?.rows(name, floats(sliceRows(inside.rows(value), 0, tokens)), tokens);
  }
}

/** Statistics of h_`block`, whose rows of tokens are saved where that is asked for. */
async function stateOf(
  inside: Inside,
  block: number,
  results: Values,
  saver: Saver | undefined,
): Promise<HiddenStatistics> {
  const { loaded, layout } = inside;
  if (!layout) throw new Error('h_0 is not there');
  const state = inside.rows(results.get(inside.residual(block)) ?? inside.value(inside.residual(block)));
  const { tokens, positions } = layout;
  const { dims, tokens: rows } = rowsOf(state);
  if (rows !== positions) {
    throw new SinkscopeError({
      code: 'runtime',
      file: loaded.file,
      message:
        `Layer ${block} has ${rows} rows for ${positions} tokens, and Sinkscope cannot tell which are whose: the model ` +
        `${rows < positions ? 'picks or merges tokens (as a mixture of depths does)' : 'puts rows of its own among them (as soft prompts are), or makes several of one'}; ` +
        'inspect shows its parts, and runs need a file in which every block has a row for each token.',
    });
  }
  const hidden = floats(sliceRows(state, 0, tokens));
  await saver?.rows(`hidden.${block}`, hidden, tokens);
  return hiddenStatistics(hidden, tokens, dims);
}

/** Which experts of block `block` the tokens were sent to. */
async function reportRouting(inside: Inside, report: Report & Said, block: number, results: Values): Promise<void> {
  const { loaded, layout } = inside;
  const values = loaded.routings.get(block);
  const routing = loaded.anatomy.blocks[block - 1]?.routing;
  if (!layout || !values || !routing) return;
  const found = routedTokens(results, routing, values, layout);
  const { saver, emit } = report;
  await emit({ type: 'routing', layer: block, found: 'why' in found ? found : found.statistics });
  if ('why' in found) return;
  const { statistics, intermediates } = found;
  report.routed.set(block, statistics);
  await saver?.routing(block - 1, statistics, intermediates);
}

async function reportHead(inside: Inside, report: Report, keep: boolean): Promise<void> {
  const { tokens, head, loaded } = inside;
  const { request, saver, emit } = report;
  const { anatomy } = loaded;
  const wanted = request.save?.logits;
  if (!loaded.predicts) {
    // A post-norm model without a head gives the last residual itself.
    if (!head && wanted && anatomy.output === inside.residual(anatomy.layers))
      await saver?.rows(
        anatomy.output,
        floats(sliceRows(inside.rows(inside.value(anatomy.output)), 0, tokens)),
        tokens,
      );
    const hasOwn = anatomy.outputs.some(({ made }) => made !== 'states');
    if (!head || (!wanted && !hasOwn)) return;
    const results = await head.everything(inside.values, keep);
    if (wanted) await saver?.outputs(results);
    const outputs = headOutputs(loaded, results, tokensOf(report.prompt, inside.tokens));
    if (outputs.length > 0) await emit({ type: 'outputs', outputs });
    return;
  }
  const last = head && wanted && (await saver?.logits(head, inside.values, tokens, keep));
  if (tokens === 0) return;
  // Rows behind the tokens may be learned, and have no logits.
  const { to } = anatomy.headRows ?? {};
  const end = to !== undefined && to < 0 ? tokens + to : tokens;
  await emit(last ? predictedFrom(inside, last, end - 1) : await predictionsAfter(inside, end - 1, keep));
}
