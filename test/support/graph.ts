/** Graphs as data, written as people write them: `y, z = com.microsoft.Op(a, , b) axis=-1 sizes=2,6`. */
import { type Attribute, DataType, type Graph, type Model, type Node, type Tensor } from '../../src/onnx/model.js';

export interface GraphParts {
  /** Extents of inputs, by name; floats unless `types` says otherwise. */
  readonly inputs?: Readonly<Record<string, readonly (number | string | null)[]>>;
  readonly outputs?: readonly string[];
  /** Extents of constants whose elements do not matter. */
  readonly weights?: Readonly<Record<string, readonly number[]>>;
  /** Constants of int64: a number is a scalar, a list a vector. */
  readonly integers?: Readonly<Record<string, number | readonly number[]>>;
  /** Constants of one float, by name. */
  readonly scalars?: Readonly<Record<string, number>>;
  /** Types of inputs and of inner values. */
  readonly types?: Readonly<Record<string, DataType>>;
  /** Extents that the file states of inner values. */
  readonly shapes?: Readonly<Record<string, readonly (number | string | null)[]>>;
}

/** The attention of a block, one head, from h0 to h1; `square` is a weight. */
export const attentionLines = `
  q = MatMul(h0, square)
  k = MatMul(h0, square)
  v = MatMul(h0, square)
  keys = Transpose(k) perm=0,2,1
  raw = MatMul(q, keys)
  pattern = Softmax(raw) axis=-1
  mixed = MatMul(pattern, v)
  projected = MatMul(mixed, square)
  h1 = Add(h0, projected)`;

/** The nodes of these lines, in their order. */
export function nodesOf(text: string): Node[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .map((line) => {
      const [, outputs = '', domain = '', op = '', inputs = '', attributes = ''] =
        /^(.+?) = (?:([\w.]+)\.)?(\w+)\((.*?)\)(.*)$/.exec(line) ?? fail(line);
      return {
        name: '',
        op,
        domain,
        inputs: inputs === '' ? [] : inputs.split(',').map((name) => name.trim()),
        outputs: outputs.split(',').map((name) => name.trim()),
        attributes: new Map(attributes.split(' ').filter(Boolean).map(attributeOf)),
      };
    });
}

function fail(line: string): never {
  throw new Error(`"${line}" is no node`);
}

/** `name=3`, `name=1,2` (a list) or `name=0.5` (a float). */
function attributeOf(text: string): [string, Attribute] {
  const [name = '', value = ''] = text.split('=');
  if (value.includes(',')) return [name, { kind: 'ints', value: value.split(',').map(BigInt) }];
  if (value.includes('.')) return [name, { kind: 'float', value: Number(value) }];
  return [name, { kind: 'int', value: BigInt(value) }];
}

const tensor = (name: string, type: DataType, dims: readonly number[], data: Uint8Array): [string, Tensor] => [
  name,
  { name, type, dims, data },
];

const info = (name: string, shape: readonly (number | string | null)[], type: DataType = DataType.float) => ({
  name,
  type,
  shape,
});

export function graphOf(text: string, parts: GraphParts = {}): Graph {
  const { inputs = {}, outputs = [], weights = {}, integers = {}, scalars = {}, types = {}, shapes = {} } = parts;
  const whole = Object.entries(integers).map(([name, given]) => {
    const values = [given].flat();
    const dims = typeof given === 'number' ? [] : [values.length];
    return tensor(name, DataType.int64, dims, new Uint8Array(BigInt64Array.from(values, BigInt).buffer));
  });
  const floats = Object.entries(weights).map(([name, dims]) =>
    tensor(name, DataType.float, dims, new Uint8Array(4 * dims.reduce((product, extent) => product * extent, 1))),
  );
  const single = Object.entries(scalars).map(([name, value]) =>
    tensor(name, DataType.float, [], new Uint8Array(Float32Array.of(value).buffer)),
  );
  return {
    name: '',
    nodes: nodesOf(text),
    inputs: Object.entries(inputs).map(([name, shape]) => info(name, shape, types[name])),
    outputs: outputs.map((name) => ({ name })),
    initializers: new Map([...whole, ...floats, ...single]),
    valueInfo: new Map(Object.entries(shapes).map(([name, shape]) => [name, info(name, shape, types[name])])),
  };
}

export function modelOf(text: string, parts: GraphParts = {}): Model {
  return {
    file: '/models/tiny.onnx',
    irVersion: 10,
    producer: '',
    opsets: new Map([
      ['', 21],
      ['com.microsoft', 1],
    ]),
    functions: [],
    remarks: [],
    graph: graphOf(text, parts),
  };
}
