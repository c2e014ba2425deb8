/**
 * Stages that give statistics in the place of the tensors these are of: where tensors are far away, in the memory of a
 * graphics processor, bringing them back costs more than computing them. What a stage says comes back in one piece.
 */
import type { HiddenStatistics, PatternStatistics } from '../../../statistics/statistics.js';
import { floats, type Values } from '../../tensors/value.js';
import type { LoadedModel } from '../loaded.js';
import type { Plan, Stage, Taps } from '../plan.js';
import type { Extents } from './medians.js';
import { patternIn, patternNodes, type ReducedPattern } from './patterns.js';
import { JoinedParts, Reducing } from './reducing.js';
import { batchesOf, mostCounted, stateNodes, statesFed, statesIn } from './states.js';

/** Operators have the form that {@link Reducing} gives them since then. */
const oldestOpset = 11;

/** What a stage tells of its blocks, by block; undefined where the tensor itself has to be looked at. */
export interface Told {
  readonly states: ReadonlyMap<number, HiddenStatistics | undefined>;
  readonly patterns: ReadonlyMap<number, PatternStatistics | undefined>;
}

export interface ReducedStage extends Stage {
  /** The first block that it computes, be it that others have told of it; 0 is the embedding. */
  readonly from: number;
  /** What its nodes need besides what a lane has. */
  readonly fed: Values;
  /** @param results as it gave them */
  told(results: Values): Told;
}

export interface WantedStatistics extends Extents {
  /** Whether the first stage gives the hidden state at its end as well, by which a card is held against the CPU. */
  readonly proves: boolean;
  /** Statistics of attention patterns as well. */
  readonly attention: boolean;
  /** Values that are given as they are, by block. */
  readonly taps: Taps;
}

/** Whether states of these extents can be reduced in the graph. */
export function canReduce({ model, anatomy }: LoadedModel, { tokens, dims }: Extents): boolean {
  return !anatomy.copies && (model.opsets.get('') ?? 0) >= oldestOpset && tokens * dims <= mostCounted;
}

/**
 * The blocks of a model in stages that end after `ends`, see {@link Plan.cut}: each gives what later ones need, taps,
 * and statistics of its residual points and patterns. The second computes what the first has computed once more: that
 * takes less than a hidden state's way from a card and back.
 */
export function reducedStages(
  loaded: LoadedModel,
  plan: Plan,
  ends: readonly number[],
  wanted: WantedStatistics,
): ReducedStage[] {
  const { anatomy, model, patterns } = loaded;
  const { taps, attention, proves } = wanted;
  const inputs = new Set(model.graph.inputs.map(({ name }) => name));
  const residuals = [anatomy.embedding, ...anatomy.blocks.map(({ residPost }) => residPost)];
  /** The stages that end there, of which values of blocks from `from` on are wanted. */
  const cut = (lasts: readonly number[], from: number) => {
    const wantedOf = residuals.flatMap((residual, block) => {
      const pattern = attention ? patterns.get(block) : undefined;
      const names = [residual, ...(pattern === undefined ? [] : [pattern]), ...(taps.get(block) ?? [])];
      return block < from ? [] : [[block, names] as const];
    });
    return plan.cut(lasts, new Map(wantedOf));
  };
  const [first = anatomy.layers, ...others] = ends;
  const [start, ...rest] = cut([first, ...others], 0);
  const following =
    others.length === 0
      ? rest
      : cut(others, first + 1).map((stage, i) => (i === 0 ? { ...stage, first: first + 1, from: 0 } : stage));
  const lasting = new Set([
    residuals.at(-1),
    ...(proves ? [residuals[first]] : []),
    ...[...taps.values()].flat(),
    ...following.flatMap((stage) => stage.inputs),
  ]);
  const stages: (Stage & { readonly from?: number })[] = [...(start ? [start] : []), ...following];
  return stages.flatMap((stage) => {
    if (stage.first > anatomy.layers) return [];
    const blocks = [...residuals.keys()].filter((block) => block >= stage.first && block <= stage.last);
    const states = blocks.flatMap((block) => {
      const name = residuals[block];
      return name === undefined || inputs.has(name) ? [] : [{ block, name }];
    });
    const maps = attention
      ? blocks.flatMap((block) => {
          const name = patterns.get(block);
          return name === undefined ? [] : [{ block, name }];
        })
      : [];
    const outputs = stage.outputs.filter((name) => lasting.has(name));
    const whole = { ...stage, outputs, from: stage.from ?? stage.first };
    return [reducedStage(whole, states, maps, wanted, model.opsets.get('') ?? oldestOpset)];
  });
}

/** What so many tokens need, and more of them alike, with some columns besides. */
export const reachOf = (tokens: number): number => 2 ** Math.ceil(Math.log2(tokens + 64));

interface Named {
  readonly block: number;
  readonly name: string;
}

function reducedStage(
  stage: Stage & Pick<ReducedStage, 'from'>,
  states: readonly Named[],
  patterns: readonly Named[],
  wanted: WantedStatistics,
  opset: number,
): ReducedStage {
  const { dims, tokens } = wanted;
  const batches = batchesOf(states, wanted);
  const reach = reachOf(tokens);
  const prefix = ['sinkscope/reduced', stage.first, stage.last, batches.length, patterns.length, reach, ''].join('/');
  const build = new Reducing(prefix, opset, reach);
  const parts = batches.flatMap((batch) =>
    stateNodes(
      build,
      batch.map(({ name }) => name),
      dims,
    ),
  );
  const reduced = patterns.map(({ block, name }): Named & ReducedPattern => ({
    block,
    name,
    ...patternNodes(build, name),
  }));
  const joined = build.joined([...parts, ...reduced.flatMap((pattern) => pattern.parts)]);
  const fed = batches.length > 0 ? statesFed(wanted, opset) : new Map();
  return {
    ...stage,
    inputs: [...stage.inputs, ...fed.keys()],
    outputs: [...stage.outputs, joined, ...reduced.map(({ shape }) => shape)],
    more: build.nodes,
    fed,
    told(results) {
      const value = results.get(joined);
      if (!value) throw new Error(`"${joined}" is not there`);
      const all = new JoinedParts(floats(value));
      const ofStates = batches.flatMap((batch) => {
        const found = statesIn(all, batch.length, wanted, opset);
        return batch.map(({ block }, i) => [block, found[i]] as const);
      });
      const ofPatterns = reduced.map(({ block, shape }) => {
        const extents = results.get(shape);
        return [block, extents && patternIn(all, extents, tokens)] as const;
      });
      if (!all.areUsedUp) throw new Error('the statistics of a stage are not as many as were asked for');
      return { states: new Map(ofStates), patterns: new Map(ofPatterns) };
    },
  };
}
