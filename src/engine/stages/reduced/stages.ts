/**
 * Stages that give statistics in the place of the tensors these are of: where tensors are far away, in the memory of a
 * graphics processor, bringing them back costs more than computing them. What a stage says comes back in one piece.
 */
import type { HiddenStatistics, PatternStatistics } from '../../../statistics/statistics.js';
import { floats, type Values } from '../../tensors/value.js';
import type { LoadedModel } from '../loaded.js';
import type { Plan, Stage, Taps } from '../plan.js';
import { patternIn, patternNodes, type ReducedPattern } from './patterns.js';
import { JoinedParts, Reducing } from './reducing.js';
import { batchesOf, type Extents, mostCounted, stateNodes, statesFed, statesIn } from './states.js';

/** Operators have the form that {@link Reducing} gives them since then. */
const oldestOpset = 11;

/** What a stage tells of its blocks, by block; undefined where the tensor itself has to be looked at. */
export interface Told {
  readonly states: ReadonlyMap<number, HiddenStatistics | undefined>;
  readonly patterns: ReadonlyMap<number, PatternStatistics | undefined>;
}

export interface ReducedStage extends Stage {
  /** What its nodes need besides what a lane has. */
  readonly fed: Values;
  /** @param results as it gave them */
  told(results: Values): Told;
}

export interface WantedStatistics extends Extents {
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
 * and statistics of its residual points and patterns.
 *
 * @param residual name of h_k by k; undefined where it is fed
 */
export function reducedStages(
  loaded: LoadedModel,
  plan: Plan,
  ends: readonly number[],
  wanted: WantedStatistics,
): ReducedStage[] {
  const { anatomy, model, patterns } = loaded;
  const { taps, attention } = wanted;
  const inputs = new Set(model.graph.inputs.map(({ name }) => name));
  const residuals = [anatomy.embedding, ...anatomy.blocks.map(({ residPost }) => residPost)];
  const all = new Map(
    residuals.map((residual, block) => {
      const pattern = attention ? patterns.get(block) : undefined;
      return [block, [residual, ...(pattern === undefined ? [] : [pattern]), ...(taps.get(block) ?? [])]];
    }),
  );
  const stages = plan.cut(ends, all);
  const lasting = new Set([residuals.at(-1), ...[...taps.values()].flat(), ...stages.flatMap((stage) => stage.inputs)]);
  return stages
    .filter(({ first }) => first <= anatomy.layers)
    .map((stage) => {
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
      return reducedStage({ ...stage, outputs }, states, maps, wanted, model.opsets.get('') ?? oldestOpset);
    });
}

/** What so many tokens need, and more of them alike, with some columns besides. */
export const reachOf = (tokens: number): number => 2 ** Math.ceil(Math.log2(tokens + 64));

interface Named {
  readonly block: number;
  readonly name: string;
}

function reducedStage(
  stage: Stage,
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
  const fed = batches.length > 0 ? statesFed(wanted) : new Map();
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
        const found = statesIn(all, batch.length, wanted);
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
