/**
 * The residual streams of a graph, each with what computes it and nothing else: of two towers one is run without the
 * other's inputs, of an encoder and its decoder the encoder alone.
 */

import { SinkscopeError } from '../errors.js';
import { indexGraph } from '../onnx/graph.js';
import type { Graph, Model, ValueInfo } from '../onnx/model.js';
import type { Anatomy, Input, InputRole } from './anatomy.js';
import { between, downstream, type Flow, flowOf } from './flow.js';
import { withLearnedQueries } from './learned.js';
import { pixelInput } from './pictures.js';
import { weightProduct } from './products.js';
import { anatomyOf, notATransformer } from './recognise.js';
import { type ResidualStream, residualStreams } from './residual.js';
import { listed } from './words.js';

export interface Stream {
  /**
   * `encoder` and `decoder` where one takes the other's result in; else what it starts from: `text`, `vision`, or the
   * name of its input. Where several would have one name, they have those of their inputs, or numbers behind it.
   */
  readonly name: string;
  /** The graph cut down to what computes it. */
  readonly model: Model;
  readonly anatomy: Anatomy;
}

/** A stream without its name. */
interface Found {
  readonly model: Model;
  readonly anatomy: Anatomy;
  readonly points: ResidualStream;
}

/**
 * @param file flat, as `prepare` gives it
 * @returns the one that is shown where nothing else is asked for first
 * @throws SinkscopeError `not-a-transformer` where that is none, see `recognise`
 */
export function streamsOf(file: Model): readonly [Stream, ...Stream[]] {
  const flow = withLearnedQueries(flowOf(file));
  const { model } = flow;
  const [main, ...others] = residualStreams(flow);
  if (!main) throw notATransformer(model);
  if (others.length === 0) {
    const anatomy = anatomyOf(flow, main);
    return [{ name: kindOf(anatomy), model, anatomy }];
  }
  const all = [main, ...others];
  const first = cutDown(flow, main, all);
  const found = [first, ...others.flatMap((points) => ifTransformer(() => cutDown(flow, points, all)) ?? [])];
  const names = namesOf(flow, found);
  const streams = found.map(({ model, anatomy }, i): Stream => {
    const beside = found.map((other, at) => ({ ...other, name: names[at] ?? '' })).filter((_, at) => at !== i);
    const above = beside.filter(({ points }) => isAbove(flow, points, found[i]?.points));
    const inputs = anatomy.inputs.map((input) => ofOthers(input, beside, above));
    return { name: names[i] ?? '', model, anatomy: { ...anatomy, inputs } };
  });
  const [head, ...rest] = streams;
  return head ? [head, ...rest] : [{ name: kindOf(first.anatomy), ...first }];
}

/** Undefined for a chain that turns out to be no transformer's. */
function ifTransformer(make: () => Found): Found | undefined {
  try {
    return make();
  } catch (error) {
    if (SinkscopeError.is(error, 'not-a-transformer')) return undefined;
    throw error;
  }
}

const isAbove = (flow: Flow, { to }: ResidualStream, below: ResidualStream | undefined): boolean =>
  below !== undefined && between(flow, to, below.to) !== undefined;

/**
 * One stream alone: with the outputs that it and what it takes in make, or else with what others take of it in place of
 * an output.
 */
function cutDown(flow: Flow, points: ResidualStream, all: readonly ResidualStream[]): Found {
  const { graph } = flow.model;
  const others = all.filter((other) => other !== points && !isAbove(flow, other, points));
  const leads = (from: string, to: string) => from === to || between(flow, from, to) !== undefined;
  const own = graph.outputs.filter(({ name }) => leads(points.to, name) && !others.some(({ to }) => leads(to, name)));
  const outputs = own.length > 0 ? own : [resultOf(flow, points.to)];
  const model = { ...flow.model, graph: part(graph, outputs, points.to) };
  const cut = flowOf(model);
  const last = points.steps.at(-1)?.sum;
  const same = residualStreams(cut).find(({ steps }) => steps.at(-1)?.sum === last);
  return { model, anatomy: anatomyOf(cut, same ?? points), points };
}

/** What the weights behind a stream's last point multiply first, normed or not. */
function resultOf(flow: Flow, to: string): ValueInfo {
  const behind = downstream(flow, to);
  let name = to;
  for (const node of flow.model.graph.nodes) {
    const product = flow.reads(node).some((value) => behind.has(value)) ? weightProduct(flow, node) : undefined;
    if (!product || !behind.has(product.activation)) continue;
    name = product.activation;
    break;
  }
  const { valueInfo } = flow.model.graph;
  return valueInfo.get(name) ?? { name, type: valueInfo.get(to)?.type, shape: undefined };
}

/** The graph with what leads to these outputs alone; its inputs stay, read or not. */
function part(graph: Graph, outputs: readonly ValueInfo[], last: string): Graph {
  const index = indexGraph(graph);
  const needed = new Set<string>();
  const open = [...outputs.map(({ name }) => name), last];
  for (let value = open.pop(); value !== undefined; value = open.pop()) {
    if (needed.has(value)) continue;
    needed.add(value);
    const node = index.producer(value);
    if (node) for (const input of index.inputsOf(node)) open.push(input);
  }
  const nodes = graph.nodes.filter((node) => node.outputs.some((output) => needed.has(output)));
  return { ...graph, nodes, outputs };
}

/** What a stream starts from. */
function kindOf({ inputs, source }: Anatomy): string {
  if (inputs.some(({ role }) => role === 'token-ids' || role === 'codes')) return 'text';
  if (pixelInput(inputs)?.name === source) return 'vision';
  return inputs.find(({ name }) => name === source)?.name ?? 'stream';
}

/** A name for each, no two alike. */
function namesOf(flow: Flow, found: readonly Found[]): readonly string[] {
  const takesIn = ({ points }: Found, other: Found) =>
    isAbove(flow, other.points, points) && !between(flow, other.points.to, points.from);
  const kinds = found.map(({ anatomy }) => kindOf(anatomy));
  const parts = found.map((one, i) => {
    if (found.filter(({ points }) => between(flow, points.to, one.points.from)).length > 1) return 'joined';
    if (found.some((other) => other !== one && takesIn(one, other))) return 'decoder';
    return found.some((other) => other !== one && takesIn(other, one)) ? 'encoder' : (kinds[i] ?? '');
  });
  const isOnce = (name: string, names: readonly string[]) => names.indexOf(name) === names.lastIndexOf(name);
  const told = parts.map((name, i) => (isOnce(name, parts) ? name : (kinds[i] ?? name)));
  const starts = found.map(({ anatomy: { inputs, source } }) => {
    const ids = inputs.find(({ role }) => role === 'token-ids' || role === 'codes');
    return ids?.name ?? inputs.find(({ name }) => name === source)?.name;
  });
  const named = told.map((name, i) => (isOnce(name, told) ? name : (starts[i] ?? name)));
  return named.map((name, i) =>
    isOnce(name, named) ? name : `${name} ${named.slice(0, i + 1).filter((one) => one === name).length}`,
  );
}

/** What can be filled for an encoder's tokens as for a stream's own. */
const filled: ReadonlySet<InputRole> = new Set([
  'attention-mask',
  'position-ids',
  'token-type-ids',
  'cache-position',
  'coordinates',
]);

interface Named extends Found {
  readonly name: string;
}

/** An input as a stream has it that others may read as well, those `above` it for its sake. */
function ofOthers(input: Input, beside: readonly Named[], above: readonly Named[]): Input {
  const inputOf = ({ anatomy }: Found) => anatomy.inputs.find(({ name }) => name === input.name);
  if (input.role === 'unused') {
    const readers = beside.filter((other) => inputOf(other)?.role !== 'unused').map(({ name }) => name);
    if (readers.length === 0) return input;
    return {
      ...input,
      how: `not fed: only ${readers.length === 1 ? 'the stream' : 'the streams'} ${listed(readers)} ${readers.length === 1 ? 'reads' : 'read'} it`,
    };
  }
  if (input.role !== 'features') return input;
  const reader = above.find((other) => (inputOf(other)?.role ?? 'unused') !== 'unused');
  const read = reader && inputOf(reader);
  if (!reader || !read) return input;
  const ids = reader.anatomy.inputs.find(({ role }) => role === 'token-ids');
  if (ids && filled.has(read.role)) return { ...read, along: ids.name, how: `${read.how}, as long as ${ids.name}` };
  const tokenAxis = read === ids ? read?.tokenAxis : undefined;
  return {
    ...input,
    tokenAxis,
    how: `given by the user: the stream ${reader.name}, which this one takes in, reads it`,
  };
}
