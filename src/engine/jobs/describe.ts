/** Says what an ONNX file is, transformer or not, and what the numbers in one of its weights are like. */
import { statSync } from 'node:fs';
import { operatorName } from '../../anatomy/ops.js';
import { weightHomes } from '../../anatomy/weights.js';
import { SinkscopeError, toProblem } from '../../errors.js';
import { versionOf } from '../../models/version.js';
import { DataType, type Model, type Tensor, type ValueInfo } from '../../onnx/model.js';
import { readModel } from '../../onnx/read.js';
import { elementCount, elementsOf, onnxTypeName } from '../../onnx/tensor.js';
import { dataFiles, namedWeights, packedBits, parameterCount, weightBytes } from '../../onnx/weights.js';
import { RunningStatistics } from '../../statistics/distribution.js';
import { sum } from '../../statistics/numbers.js';
import { quoted } from '../../visible.js';
import type { DescribedWeight, Description, WeightStatistics } from '../contract/description.js';
import type { LoadedModel } from '../stages/loaded.js';
import { inspect } from './inspect.js';

/** Weights that are listed. */
const mostWeights = 10_000;

/** Elements of a constant that is no weight to look at: a shape, an axis, an epsilon. */
const fewElements = 8;

/** Largest entries of a weight that are told. */
const mostEntries = 16;

/**
 * @param tokenizerOf the file that its texts are cut by, chosen or beside it
 * @param load reads the file as a transformer
 * @throws SinkscopeError where the file is no readable model at all; that it is no transformer is part of the answer
 */
export async function describe(
  file: string,
  tokenizerOf: (file: string) => string | undefined,
  load: () => Promise<LoadedModel>,
): Promise<Description> {
  const model = readModel(file);
  const [anatomy, places] = await load().then(
    (loaded): [Description['anatomy'], Places] => [{ found: true, inspection: inspect(loaded) }, placesIn(loaded)],
    (error): [Description['anatomy'], Places] => [{ found: false, problem: toProblem(error) }, () => nowhere],
  );
  const packed = packedBits(model);
  const all = [...namedWeights(model)];
  const some = all.filter(({ dims }) => elementCount(dims) > fewElements);
  const listed = some.length <= mostWeights ? some : largestOf(some);
  const isListed = new Set(listed);
  const left = all.filter((tensor) => !isListed.has(tensor));
  return {
    file,
    producer: model.producer,
    irVersion: model.irVersion,
    opsets: [...model.opsets],
    operators: operatorsOf(model),
    inputs: model.graph.inputs.map(interfaceOf),
    outputs: model.graph.outputs.map(interfaceOf),
    files: [...new Set([model.file, ...dataFiles(model)])].map((one) => ({ file: one, bytes: statSync(one).size })),
    bytes: weightBytes(model),
    weights: listed.map((tensor) => ({
      name: tensor.name,
      type: onnxTypeName(tensor.type),
      bits: tensor.type === DataType.uint8 ? packed.get(tensor.name) : undefined,
      shape: tensor.dims,
      bytes: tensor.data.length,
      ...places(tensor.name),
    })),
    left: { count: left.length, bytes: sum(left.map(({ data }) => data.length)) },
    parameters: parameterCount(model),
    tokenizer: tokenizerOf(file),
    anatomy,
  };
}

/** Where a weight belongs. */
type Places = (name: string) => Pick<DescribedWeight, 'block' | 'part'>;

const nowhere = { block: undefined, part: undefined };

function placesIn(loaded: LoadedModel): Places {
  const parts = new Map<string, Pick<DescribedWeight, 'block' | 'part'>>();
  for (const { block, products } of loaded.linear())
    for (const { part, stored } of products) for (const name of stored) parts.set(name, { block, part });
  const homes = weightHomes(loaded.model, loaded.anatomy);
  return (name) => parts.get(name) ?? { block: homes.get(name), part: undefined };
}

const interfaceOf = ({ name, type, shape }: ValueInfo) => ({
  name,
  type: type === undefined ? undefined : onnxTypeName(type),
  shape,
});

function largestOf(all: readonly Tensor[]): readonly Tensor[] {
  const chosen = new Set(all.toSorted((a, b) => b.data.length - a.data.length).slice(0, mostWeights));
  return all.filter((one) => chosen.has(one));
}

function operatorsOf({ graph }: Model): [string, number][] {
  const counts = new Map<string, number>();
  for (const node of graph.nodes) counts.set(operatorName(node), (counts.get(operatorName(node)) ?? 0) + 1);
  return [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
}

/**
 * Statistics of one weight, of which a few megabytes at a time are read.
 *
 * @throws SinkscopeError `input` where there is no such weight or its elements are no plain numbers; `file` where the
 *   model cannot be read, or changes meanwhile
 */
export function weightStatisticsOf(file: string, name: string): WeightStatistics {
  const before = versionOf(file, []);
  const model = readModel(file);
  const version = versionOf(file, dataFiles(model));
  const tensor = [...namedWeights(model)].find((one) => one.name === name);
  if (!tensor) {
    const message = `${file} has no weight ${quoted(name)} any more; open it again.`;
    throw new SinkscopeError({ code: 'input', file, message });
  }
  const distribution = new RunningStatistics(mostEntries);
  for (const part of elementsOf(tensor)) distribution.add(part);
  if (versionOf(file, []) !== before || versionOf(file, dataFiles(model)) !== version) {
    throw new SinkscopeError({ code: 'file', file, message: `${file} changed while it was read; open it again.` });
  }
  const { count, nonFinite, zeros, min, max, mean, deviation, kurtosis, top, octaves } = distribution;
  const none = count === nonFinite;
  return {
    count,
    nonFinite,
    zeros,
    min: none ? Number.NaN : min,
    max: none ? Number.NaN : max,
    mean,
    deviation,
    kurtosis,
    top: top.map(({ value, at }) => ({ value, index: indexOf(at, tensor.dims) })),
    octaves: { from: octaves.from, counts: [...octaves.counts] },
  };
}

/** The place of an element by axis. */
function indexOf(at: number, dims: readonly number[]): number[] {
  const index: number[] = [];
  let rest = at;
  for (const extent of dims.toReversed()) {
    index.push(rest % extent);
    rest = Math.floor(rest / extent);
  }
  return index.reverse();
}
