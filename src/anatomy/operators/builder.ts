/** Nodes in the making. */
import { type Attribute, DataType, type Node } from '../../onnx/model.js';

/** Collects nodes under fresh names. Uses only forms of operators that are the same in every opset since 11. */
export class Builder {
  readonly nodes: Node[] = [];

  /** `prefix` begins every new name; it must not begin a name of the graph. */
  constructor(private readonly prefix: string) {}

  /** A node and its one output, whose name is returned. Numbers are integer attributes. */
  node(
    op: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, number | readonly number[] | string>> = {},
    domain = '',
  ): string {
    const entries = Object.entries(attributes).map(([name, value]): [string, Attribute] => [
      name,
      typeof value === 'string'
        ? { kind: 'string', value }
        : typeof value === 'number'
          ? { kind: 'int', value: BigInt(value) }
          : { kind: 'ints', value: value.map(BigInt) },
    ]);
    return this.add(op, inputs, new Map(entries), domain);
  }

  /** A node with several outputs, whose names are returned. */
  several(op: string, inputs: readonly string[], count: number): readonly string[] {
    const outputs = Array.from({ length: count }, (_, i) => `${this.prefix}${this.nodes.length}/${i}`);
    this.nodes.push({ name: outputs[0] ?? '', op, domain: '', inputs, outputs, attributes: new Map() });
    return outputs;
  }

  /** What a node of the graph does, to other inputs: its first output. */
  like({ op, domain, attributes }: Node, inputs: readonly string[]): string {
    return this.add(op, inputs, attributes, domain);
  }

  /** A constant vector of int64. */
  ints(values: readonly number[]): string {
    return this.constant(DataType.int64, [values.length], new Uint8Array(BigInt64Array.from(values, BigInt).buffer));
  }

  /** A constant scalar of int64. */
  int(value: number): string {
    return this.constant(DataType.int64, [], new Uint8Array(BigInt64Array.of(BigInt(value)).buffer));
  }

  /** A constant scalar of float32. */
  float(value: number): string {
    return this.constant(DataType.float, [], new Uint8Array(Float32Array.of(value).buffer));
  }

  /** A constant vector of float32. */
  floats(values: readonly number[]): string {
    return this.constant(DataType.float, [values.length], new Uint8Array(Float32Array.from(values).buffer));
  }

  /** `value` in single precision. */
  float32(value: string): string {
    return this.node('Cast', [value], { to: DataType.float });
  }

  transpose(value: string, perm: readonly number[]): string {
    return this.node('Transpose', [value], { perm });
  }

  /** Places `start` to before `end` of an axis. */
  slice(value: string, axis: number, start: number, end: number): string {
    return this.node('Slice', [value, this.ints([start]), this.ints([end]), this.ints([axis])]);
  }

  /** Extent of an axis, a scalar. */
  extent(value: string, axis: number): string {
    return this.node('Gather', [this.node('Shape', [value]), this.int(axis)]);
  }

  /** [batch, tokens, heads · head_dim] to [batch, heads, tokens, head_dim]. */
  heads(value: string, heads: number): string {
    return this.transpose(this.node('Reshape', [value, this.ints([0, 0, heads, -1])]), [0, 2, 1, 3]);
  }

  /** New keys or values behind those of a cache, [batch, heads, tokens, head_dim]; alone where there is no cache. */
  behind(cache: string, value: string): string {
    return cache === '' ? value : this.node('Concat', [cache, value], { axis: 2 });
  }

  private constant(type: DataType, dims: readonly number[], data: Uint8Array): string {
    return this.add(
      'Constant',
      [],
      new Map([['value', { kind: 'tensor', value: { name: '', type, dims, data } }]]),
      '',
    );
  }

  private add(
    op: string,
    inputs: readonly string[],
    attributes: ReadonlyMap<string, Attribute>,
    domain: string,
  ): string {
    const name = `${this.prefix}${this.nodes.length}`;
    this.nodes.push({ name, op, domain, inputs, outputs: [name], attributes });
    return name;
  }
}
