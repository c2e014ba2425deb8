import { flowOf } from '../../../anatomy/flow.js';
import { matrixOf } from '../../../anatomy/products.js';
import { SinkscopeError } from '../../../errors.js';
import { DataType, intAttribute, type Node } from '../../../onnx/model.js';
import type { AnswerTo } from '../../contract/questions.js';
import { constantType } from '../../stages/counterparts.js';
import { StageRunner } from '../../stages/runner.js';
import { onlyProduct } from '../../stages/scalars.js';
import { floats, rowsOf, sliceRows } from '../../tensors/value.js';
import { type Answerer, checkIndex, type Inside, valueNamed } from '../inside.js';

type Part = AnswerTo<'contributions'>['parts'][number];

/** Weights that are named of each part. */
const most = 8;

/**
 * @throws SinkscopeError `input` where there is no such token or dim, or the stream is kept in copies
 */
export const answerContributions: Answerer<'contributions'> = async (run, { token, dim }) => {
  const { anatomy, file } = run.loaded;
  run.checkToken(token);
  if (anatomy.copies) {
    throw new SinkscopeError({
      code: 'input',
      file,
      message: `${file} keeps several copies of its residual stream, of which the first alone is shown, so what is added to it cannot be told by parts.`,
    });
  }
  const entryOf = async (layer: number) => {
    const state = await run.state(layer);
    checkIndex('dim', dim, 0, rowsOf(state).dims - 1);
    return floats(sliceRows(state, token, token + 1))[dim] ?? Number.NaN;
  };
  const hidden = [await entryOf(0)];
  const parts: Part[] = [];
  for (const [i, { attention, mlpIntermediate, residMid, additive }] of anatomy.blocks.entries()) {
    const block = i + 1;
    const before = hidden.at(-1) ?? Number.NaN;
    const after = await entryOf(block);
    hidden.push(after);
    const hasMlp = mlpIntermediate !== undefined || residMid !== undefined;
    const add = async (part: Part['part'], added: number, by?: 'attn_out' | 'mlp_out') => {
      const made = by && (await madeOf(run, block, by, { token, dim, added }));
      parts.push({ part, block, added, ...(made && { made }) });
    };
    if (attention?.output !== undefined && hasMlp && additive) {
      const value = valueNamed(await run.inside(block, [attention.output]), attention.output);
      const own = floats(sliceRows(value, token, token + 1))[dim] ?? Number.NaN;
      await add('attention', own, 'attn_out');
      await add('mlp', after - before - own, 'mlp_out');
    } else if (attention && (hasMlp || !additive)) await add('block', after - before);
    else await add(attention ? 'attention' : 'mlp', after - before, attention ? 'attn_out' : 'mlp_out');
  }
  return { hidden: Float32Array.from(hidden), parts };
};

/** What a part's last product makes of each entry that it reads. */
async function madeOf(
  run: Inside,
  block: number,
  part: 'attn_out' | 'mlp_out',
  { token, dim, added }: { readonly token: number; readonly dim: number; readonly added: number },
): Promise<Part['made']> {
  const { loaded, threads } = run;
  const product = onlyProduct(loaded, block, part);
  const { node, tensor, weights: [weight = ''] = [], stored: [stored] = [] } = product ?? {};
  if (!node || tensor === undefined || node.inputs[1] !== weight) return undefined;
  const flow = flowOf(loaded.model);
  const type = constantType(flow, weight);
  if ((matrixOf(flow, weight)?.length ?? 0) !== 2 || (type !== DataType.float && type !== DataType.float16))
    return undefined;
  const value = valueNamed(await run.inside(block, [tensor]), tensor);
  const read = floats(sliceRows(value, token, token + 1));
  const column = await columnOf(new StageRunner(withColumn(loaded, node, weight, dim), threads), block);
  if (column.length !== read.length) return undefined;
  const products = Array.from(read, (one, i) => one * (column[i] ?? Number.NaN));
  const largest = [...products.keys()].toSorted((a, b) => Math.abs(products[b] ?? 0) - Math.abs(products[a] ?? 0));
  return {
    weight: stored ?? weight,
    entries: largest.slice(0, most).map((at) => ({ column: at, read: read[at] ?? 0, value: column[at] ?? 0 })),
    rest: added - products.reduce((sum, one) => sum + one, 0),
  };
}

const given = 'sinkscope/column';

/** The model with what a weight makes one entry by as a value: a column of x W. */
function withColumn(loaded: Inside['loaded'], product: Node, weight: string, dim: number): Inside['loaded'] {
  const { graph } = loaded.model;
  const index = {
    name: 'sinkscope/dim',
    type: DataType.int64,
    dims: [],
    data: new Uint8Array(BigInt64Array.of(BigInt(dim)).buffer),
  };
  const axis = intAttribute(product, 'transB', 0) !== 0 ? 0n : 1n;
  const picked: Node = {
    name: '',
    op: 'Gather',
    domain: '',
    inputs: [weight, index.name],
    outputs: [given],
    attributes: new Map([['axis', { kind: 'int', value: axis }]]),
  };
  const initializers = new Map(graph.initializers).set(index.name, index);
  return { ...loaded, model: { ...loaded.model, graph: { ...graph, nodes: [...graph.nodes, picked], initializers } } };
}

async function columnOf(runner: StageRunner, block: number): Promise<Float32Array> {
  const results = await runner.run({ first: block, last: block, inputs: [], outputs: [given] }, new Map(), false);
  return floats(valueNamed(results, given)).slice();
}
