/** What each pass of `prepare` promises holds after it and after every later one, on every fixture. */
import { describe, expect, it } from 'vitest';
import { widenOutputs } from '../../../src/onnx/bfloat.js';
import { blockedDomain, unblock } from '../../../src/onnx/blocked.js';
import { mergeDequantised } from '../../../src/onnx/dequantised.js';
import { stopTraining, tellRandom } from '../../../src/onnx/dropout.js';
import { unfoldFactors } from '../../../src/onnx/factors.js';
import { inlineFunctions } from '../../../src/onnx/functions.js';
import { DataType, type Graph, type Node, type Tensor } from '../../../src/onnx/model.js';
import type { Pass } from '../../../src/onnx/pass.js';
import { flatten, passes } from '../../../src/onnx/prepare.js';
import { renameProto } from '../../../src/onnx/proto.js';
import { splitQuantised } from '../../../src/onnx/qlinear.js';
import { readModel } from '../../../src/onnx/read.js';
import { Names } from '../../../src/onnx/rename.js';
import { ordered } from '../../../src/onnx/scope.js';
import { splitNorms } from '../../../src/onnx/skipnorm.js';
import { constantNumbers } from '../../../src/onnx/tensor.js';
import { fixture, fixtures } from '../../support/files.js';

const node = (op: string, inputs: string[], outputs: string[], more: Partial<Node> = {}): Node => ({
  name: '',
  op,
  domain: '',
  inputs,
  outputs,
  attributes: new Map(),
  ...more,
});

/** The nodes that break what a pass promises, by the pass. */
const broken = new Map<Pass, (graph: Graph) => readonly Node[]>([
  [
    flatten,
    ({ nodes, inputs, initializers }) => {
      const decided = (name = '') =>
        initializers.has(name) || inputs.some((info) => info.name === name && info.type === DataType.bool);
      return nodes.filter(
        ({ op, attributes, inputs: [first] }) =>
          (op === 'If' && decided(first)) || (op === 'Constant' && !attributes.has('sparse_value')),
      );
    },
  ],
  [
    stopTraining,
    ({ nodes, initializers }) =>
      nodes.filter(({ op, inputs }) => op === 'Dropout' && initializers.has(inputs[2] ?? '')),
  ],
  [tellRandom, () => []],
  [splitQuantised, ({ nodes }) => nodes.filter(({ op }) => /^QLinear(Add|Mul|MatMul|Sigmoid|Softmax)$/.test(op))],
  [
    mergeDequantised,
    ({ nodes, outputs }) => {
      const given = new Set(outputs.map(({ name }) => name));
      const seen = new Set<string>();
      return nodes.filter((each) => {
        if (each.op !== 'DequantizeLinear' || each.outputs.some((output) => given.has(output))) return false;
        const axis = each.attributes.get('axis');
        const what = [...each.inputs, axis?.kind === 'int' ? axis.value : ''].join();
        return seen.size === seen.add(what).size;
      });
    },
  ],
  [splitNorms, ({ nodes }) => nodes.filter(({ op }) => /^(Skip|Embed).*LayerNormalization$/.test(op))],
  [
    unblock,
    ({ nodes }) => {
      const reads = (value: string) => nodes.filter(({ inputs }) => inputs.includes(value));
      const isUnmade = ({ outputs }: Node) =>
        outputs.every((value) => reads(value).every(({ op }) => op === 'ReorderOutput'));
      return nodes.filter((each) => {
        const { domain, op, inputs, attributes } = each;
        if (/Conv$/.test(op) && inputs[3] && !attributes.has('activation')) return true;
        return domain === blockedDomain && op !== 'ReorderInput' && op !== 'ReorderOutput' && !isUnmade(each);
      });
    },
  ],
  [
    unfoldFactors,
    ({ nodes, initializers }) =>
      nodes.filter(({ op, inputs: [activation], attributes }) => {
        const alpha = attributes.get('alpha');
        const beside = nodes.filter((each) => each.op === 'Mul' && each.inputs[0] === activation);
        const factors = beside
          .map(({ inputs }) => initializers.get(inputs[1] ?? ''))
          .filter((each) => each !== undefined);
        return op === 'FusedMatMul' && factors.some((each) => constantNumbers(each)[0] === Number(alpha?.value));
      }),
  ],
  [
    widenOutputs,
    ({ nodes, outputs }) => {
      const narrow = new Set(outputs.filter(({ type }) => type === DataType.bfloat16).map(({ name }) => name));
      return nodes.filter((each) => each.outputs.some((output) => narrow.has(output)));
    },
  ],
  [renameProto, ({ nodes }) => nodes.filter(({ outputs }) => outputs.includes('__proto__'))],
]);

it('is known of every pass', () => {
  expect([...broken.keys()]).toEqual(passes);
});

/** What a graph is after each pass. */
function prepared(graph: Graph): readonly Graph[] {
  const context = { names: new Names(graph), switches: false, opset: 18, remark: () => {} };
  const graphs = [graph];
  for (const pass of passes) graphs.push(pass(graphs.at(-1) ?? graph, context));
  return graphs.slice(1);
}

function expectPromises(graph: Graph): void {
  for (const [after, each] of prepared(graph).entries()) {
    expect(ordered(each), passes[after]?.name).toBe(each);
    const names = each.outputs.map(({ name }) => name);
    expect(names, passes[after]?.name).toEqual(graph.outputs.map(({ name }) => name));
    for (const pass of passes.slice(0, after + 1)) expect(broken.get(pass)?.(each), pass.name).toEqual([]);
  }
}

describe('what a pass promises holds to the end', () => {
  it.each(fixtures)('%s', (name) => {
    expectPromises(inlineFunctions(readModel(fixture(name).model)).graph);
  });

  it('in a graph that has something for each of them', () => {
    const quantised = (value: string) => [value, 'scale', 'zero'];
    const yes: Tensor = { name: 'trains', type: DataType.bool, dims: [], data: Uint8Array.of(1) };
    const eight: Tensor = {
      name: 'eight',
      type: DataType.float,
      dims: [],
      data: new Uint8Array(Float32Array.of(8).buffer),
    };
    const graph: Graph = {
      name: '',
      inputs: [{ name: 'x' }, { name: 'scale' }, { name: 'zero' }, { name: 'gamma' }],
      outputs: [{ name: 'y', type: DataType.bfloat16 }],
      initializers: new Map([
        ['trains', yes],
        ['eight', eight],
        ['weight', { ...eight, name: 'weight', dims: [1, 1] }],
      ]),
      valueInfo: new Map(),
      nodes: [
        node('Constant', [], ['one'], { attributes: new Map([['value_float', { kind: 'float', value: 1 }]]) }),
        node('Dropout', ['x', 'one', 'trains'], ['dropped']),
        node('Add', ['dropped', 'one'], ['h']),
        node('FusedMatMul', ['h', 'weight'], ['product'], {
          domain: 'com.microsoft',
          attributes: new Map([['alpha', { kind: 'float', value: 8 }]]),
        }),
        node('Mul', ['h', 'eight'], ['scaled']),
        node('QuantizeLinear', quantised('h'), ['q']),
        node('QLinearMul', [...quantised('q'), ...quantised('q'), 'scale', 'zero'], ['p'], { domain: 'com.microsoft' }),
        node('DequantizeLinear', quantised('p'), ['a']),
        node('DequantizeLinear', quantised('p'), ['b']),
        node('Abs', ['b'], ['__proto__']),
        node('FusedConv', ['h', 'weight', '', 'h'], ['added'], { domain: 'com.microsoft' }),
        node('SkipSimplifiedLayerNormalization', ['a', '__proto__', 'gamma'], ['y'], { domain: 'com.microsoft' }),
      ],
    };
    const later: readonly Pass[] = [mergeDequantised, stopTraining, tellRandom];
    for (const pass of passes) if (!later.includes(pass)) expect(broken.get(pass)?.(graph)).toHaveLength(1);
    expectPromises(graph);
    expect(
      prepared(graph)
        .at(-1)
        ?.nodes.map(({ op }) => op),
    ).toEqual(
      'Dropout Add Mul FusedMatMul QuantizeLinear DequantizeLinear Mul QuantizeLinear DequantizeLinear Abs FusedConv Add Add SimplifiedLayerNormalization Cast'.split(
        ' ',
      ),
    );
  });
});

it('keeps the channels of what was blocks, and no layout of its own', () => {
  const kernel: Tensor = { name: 'kernel', type: DataType.float, dims: [16, 3, 1, 1], data: new Uint8Array(192) };
  const blocked = { domain: blockedDomain };
  const channels = new Map([['channels', { kind: 'int', value: 10n } as const]]);
  const graph: Graph = {
    name: '',
    inputs: [{ name: 'x' }],
    outputs: [{ name: 'y' }],
    initializers: new Map([['kernel', kernel]]),
    valueInfo: new Map(),
    nodes: [
      node('Conv', ['x', 'kernel'], ['made'], blocked),
      node('Relu', ['made'], ['kept']),
      node('MaxPool', ['kept'], ['less'], blocked),
      node('ReorderOutput', ['less'], ['y'], { ...blocked, attributes: channels }),
    ],
  };
  const { nodes } = unblock(graph, { names: new Names(graph), switches: false, opset: 18, remark: () => {} });
  expect(nodes.map(({ op }) => op).join(' ')).toBe(
    'Conv ReorderOutput Relu ReorderInput MaxPool ReorderOutput Identity',
  );
  const unmade = nodes.filter(({ op }) => op === 'ReorderOutput').map(({ attributes }) => attributes.get('channels'));
  expect(unmade).toEqual([channels.get('channels'), channels.get('channels')]);
});

describe('a pass that finds nothing', () => {
  it.each(passes.map((pass) => [pass.name, pass] as const))('%s gives the same graph', (_, pass) => {
    const graph: Graph = {
      name: '',
      inputs: [{ name: 'x' }],
      outputs: [{ name: 'y' }],
      initializers: new Map(),
      valueInfo: new Map(),
      // Names that every object has.
      nodes: [node('constructor', ['x'], ['z']), node('toString', ['z'], ['y'])],
    };
    expect(pass(graph, { names: new Names(graph), switches: false, opset: 18, remark: () => {} })).toBe(graph);
  });
});
