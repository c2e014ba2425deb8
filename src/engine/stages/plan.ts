/**
 * Where a prepared graph is cut into stages that run one after another. Pure: names in, names out.
 *
 * The *main path* is everything that the embedding h_0 flows into. The residual points h_0 … h_L cut it, so that
 * each of its values has a level: the largest k for which h_k flows into it (h_k itself has level k). Block k
 * computes the values of level k - 1. What a block needs from an earlier one is carried; everything off the main
 * path (masks, positions, rotary tables) is computed again in each stage that needs it, for it is cheap, and because
 * ONNX Runtime crashes when the result of a `Range` that feeds a `Gather` is fetched. Only the `Shape` and `Size` of
 * a main-path value is carried in place of the value.
 */
import type { Anatomy } from '../../anatomy/anatomy.js';
import { homesOf, isShape, residualPoints } from '../../anatomy/homes.js';
import { indexGraph } from '../../onnx/graph.js';
import type { Graph, Node } from '../../onnx/model.js';
import { greatest, least } from '../../statistics/numbers.js';

/** A part of the graph that one session runs. */
export interface Stage {
  /** First and last block it computes, 1-based; block 0 is the embedding, block L + 1 the output head. */
  readonly first: number;
  readonly last: number;
  /** Graph inputs and values of earlier stages. */
  readonly inputs: readonly string[];
  /** Residual points, values later stages need, and the taps asked for. */
  readonly outputs: readonly string[];
  /** The outputs that are taken out of the session, where that is not all of them. */
  readonly fetched?: readonly string[];
  /** Inputs inside a block whose last extent is that of a weight, and never changes. */
  readonly wide?: readonly string[];
  /** Whether its session is for the extents that it is given, and none other. */
  readonly exact?: boolean;
  /** Nodes behind those of the graph that make some of its outputs; what these are called tells which nodes they are. */
  readonly more?: readonly Node[];
}

/** Values to fetch besides the residual points, by block (1-based index; a block may have several). */
export type Taps = ReadonlyMap<number, readonly string[]>;

export interface Plan {
  /** One stage per block that computes something, embedding first, head last. */
  readonly stages: readonly Stage[];
  /** The part of `stage` that computes only `outputs`, where `given` need not be computed. */
  narrow(stage: Stage, outputs: readonly string[], given?: readonly string[]): Stage;
  /**
   * The graph cut after the blocks `ends` only (ascending, the last block among them), each stage giving just what
   * later ones need, and the values of its blocks that are `wanted` besides; the head follows.
   */
  cut(ends: readonly number[], wanted?: Taps): readonly Stage[];
  /** How many of these values are as large as a hidden state: neither fed nor the shape of something. */
  states(names: Iterable<string>): number;
}

/**
 * Cuts the graph at every residual point.
 *
 * @param head values to fetch from what follows the last residual, e.g. the logits
 */
export function makePlan(graph: Graph, anatomy: Anatomy, taps: Taps, head: readonly string[]): Plan {
  const index = indexGraph(graph);
  const graphInputs = new Set(graph.inputs.map((input) => input.name));
  const residuals = residualPoints(anatomy);
  const homes = homesOf(graph, index, anatomy);

  /** Walks back from `outputs` to what a stage that begins with block `first` has to be given. */
  const inputsOf = (first: number, outputs: readonly string[], given: readonly string[] = []): string[] => {
    const inputs = new Set<string>();
    const seen = new Set<string>();
    const open = [...outputs];
    for (let value = open.pop(); value !== undefined; value = open.pop()) {
      if (seen.has(value)) continue;
      seen.add(value);
      const home = homes.get(value);
      if (graphInputs.has(value) || given.includes(value) || (home !== undefined && home < first)) inputs.add(value);
      else {
        const producer = index.producer(value);
        if (producer) for (const one of index.inputsOf(producer)) open.push(one);
      }
    }
    return [...inputs];
  };

  /** The stages that end at `ends`, from what has to be fetched: values and the block each is asked of. */
  const stagesOf = (ends: readonly number[], wanted: readonly (readonly [value: string, block: number])[]): Stage[] => {
    const ranges = ends.map((last, i) => ({ first: (ends[i - 1] ?? -1) + 1, last, outputs: new Set<string>() }));
    const want = (value: string, block: number) => {
      const home = homes.get(value) ?? block;
      if (!graphInputs.has(value)) ranges.find(({ last }) => home <= last)?.outputs.add(value);
    };
    for (const [value, block] of wanted) want(value, block);
    const stages: Stage[] = [];
    for (const { first, last, outputs } of ranges.toReversed()) {
      if (outputs.size === 0) continue;
      const inputs = inputsOf(first, [...outputs]);
      for (const input of inputs) want(input, first);
      stages.unshift({ first, last, inputs, outputs: [...outputs] });
    }
    return stages;
  };

  const afterLast = anatomy.layers + 1;
  const headValues = head.map((value) => [value, afterLast] as const);
  const tapped = (values: Taps) =>
    [...values].flatMap(([block, names]) => names.map((value) => [value, block] as const));
  const everyBlock = Array.from({ length: afterLast + 1 }, (_, block) => block);
  return {
    stages: stagesOf(everyBlock, [
      ...residuals.map((value, block) => [value, block] as const),
      ...tapped(taps),
      ...headValues,
    ]),
    narrow: (stage, only, given) => ({ ...stage, inputs: inputsOf(stage.first, only, given), outputs: only }),
    cut: (ends, wanted = new Map()) => stagesOf([...ends, afterLast], [...tapped(wanted), ...headValues]),
    states: (names) => [...names].filter((name) => !graphInputs.has(name) && !isShape(index.producer(name))).length,
  };
}

/** The stages that cover `count` blocks each, the embedding joined to the first; the output head stays alone. */
export function group(stages: readonly Stage[], count: number, layers: number): Stage[] {
  if (count === 1) return [...stages];
  const groups = new Map<number, Stage[]>();
  for (const stage of stages) {
    const key = stage.first > layers ? Number.POSITIVE_INFINITY : Math.floor(Math.max(0, stage.first - 1) / count);
    groups.set(key, [...(groups.get(key) ?? []), stage]);
  }
  return [...groups.values()].map(merge);
}

/** One stage that does the work of `stages`, which follow each other. */
function merge(stages: readonly Stage[]): Stage {
  const outputs = new Set(stages.flatMap((stage) => stage.outputs));
  const inputs = new Set(stages.flatMap((stage) => stage.inputs).filter((input) => !outputs.has(input)));
  const blocks = stages.flatMap((stage) => [stage.first, stage.last]);
  return { first: least(blocks), last: greatest(blocks), inputs: [...inputs], outputs: [...outputs] };
}
