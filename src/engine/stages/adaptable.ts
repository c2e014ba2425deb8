/** Which products of a model can carry an adapter, under which names, and which of its weights can be dropped. */
import { type Flow, flowOf } from '../../anatomy/flow.js';
import type { LinearPart } from '../../anatomy/linear.js';
import { projections } from '../../anatomy/projections.js';
import { SinkscopeError } from '../../errors.js';
import type { Node } from '../../onnx/model.js';
import { least } from '../../statistics/numbers.js';
import type { LoadedModel } from './loaded.js';
import { type PlainProduct, plainProduct } from './plain.js';

/** A product that gets an adapter: y = x W + α/r · x Aᵀ Bᵀ. */
export interface Adapter {
  /** 1-based. */
  readonly block: number;
  readonly part: LinearPart;
  /** Its module, as its file names it where that does. */
  readonly module: string;
  readonly product: PlainProduct;
  /** Inputs of the graph, [r, inputs] and [outputs, r]. */
  readonly a: string;
  readonly b: string;
}

/** Rows of a weight, as [out, in] has them, whose entries may be dropped. */
export interface Dropped {
  readonly product: PlainProduct;
  /** Ascending as they were given, gate and up after each other where one product makes both. */
  readonly rows: readonly number[];
  /** An input of the graph, [rows, inputs]: 1 where an entry is dropped. */
  readonly mask: string;
}

/** A product that was asked for and cannot carry an adapter. */
export interface Without {
  readonly block: number;
  readonly part: LinearPart;
  /** Of its node or its weight. */
  readonly name: string;
  /** As a clause. */
  readonly why: string;
}

/** Products of the blocks that can carry an adapter. */
export interface Adaptable {
  readonly adapters: readonly Adapter[];
  readonly without: readonly Without[];
  /** Whether every module has a name of the file's. */
  readonly named: boolean;
  /** Whether what only keys come from could not be told. */
  readonly together: boolean;
}

/**
 * What of a model gets adapters: products of queries and values, or all of the blocks.
 *
 * @throws SinkscopeError `input` where there is none, with what stands in the way, or one is narrower than the rank
 */
export function adaptable(loaded: LoadedModel, target: 'qv' | 'all', rank: number): Adaptable {
  const { model, file, anatomy } = loaded;
  const flow = flowOf(model);
  const keys = keysOnly(loaded, flow);
  const asked = loaded.linear().flatMap(({ block, products }) =>
    block < 1 || block > anatomy.layers
      ? []
      : products.flatMap((product) => {
          const isAttention = product.part === 'attn_in' || product.part === 'attn_latent';
          const isOwn = product.part !== 'beside' && product.part !== 'router';
          return (target === 'all' ? isOwn : isAttention && !keys.has(product.node.outputs[0] ?? ''))
            ? [{ block, product }]
            : [];
        }),
  );
  const uses = new Map<string, number>();
  for (const { product } of asked) for (const name of product.stored) uses.set(name, (uses.get(name) ?? 0) + 1);
  const without: Without[] = [];
  const found: { readonly block: number; readonly part: LinearPart; readonly product: PlainProduct }[] = [];
  const stored: string[] = [];
  for (const { block, product } of asked) {
    const { node, part } = product;
    const name = product.stored[0] ?? node.name;
    const shared = product.stored.some((one) => (uses.get(one) ?? 0) > 1);
    const plain = shared ? { why: 'its weight is that of other products as well' } : plainProduct(flow, product);
    if ('why' in plain) without.push({ block, part, name, why: plain.why });
    else {
      found.push({ block, part, product: plain });
      stored.push(moduleName(product.stored[0] ?? '', node));
    }
  }
  if (found.length === 0) throw noAdapters(file, target, without);
  const narrowest = least(found.map(({ product: { inputs, outputs } }) => Math.min(inputs, outputs)));
  if (rank > narrowest) {
    throw new SinkscopeError({
      code: 'input',
      message: `A rank of ${rank} is more than the ${narrowest} columns of a product that is to be adapted; choose one of at most ${narrowest}.`,
    });
  }
  const named = stored.every((name) => name !== '') && new Set(stored).size === stored.length;
  const adapters = found.map(({ block, part, product }, i): Adapter => {
    const inBlock = found.slice(0, i).filter((one) => one.block === block).length;
    const module = named ? (stored[i] ?? '') : `blocks.${block - 1}.${part}.${inBlock}`;
    return { block, part, product, module, a: `sinkscope/lora/${i}/a`, b: `sinkscope/lora/${i}/b` };
  });
  const unknown = anatomy.blocks.some((_, i) => loaded.operands.get(i + 1)?.keys === undefined);
  return { adapters, without, named, together: target === 'qv' && unknown };
}

/** Products that keys come from and values do not, by what they give. */
function keysOnly({ operands }: LoadedModel, flow: Flow): ReadonlySet<string> {
  const sources = (value: string | undefined) =>
    value === undefined ? [] : projections(flow, value).products.map(({ node }) => node.outputs[0] ?? '');
  const found = new Set<string>();
  for (const { keys, values } of operands.values()) {
    const own = new Set(sources(values));
    for (const one of sources(keys)) if (!own.has(one)) found.add(one);
  }
  return found;
}

function noAdapters(file: string, target: 'qv' | 'all', without: readonly Without[]): SinkscopeError {
  const [first] = without;
  const others = without.length > 1 ? `, and ${without.length - 1} more` : '';
  const why = first
    ? `of block ${first.block} ${first.name} (${first.part}) cannot: ${first.why}${others}`
    : `its blocks have no product with a weight ${target === 'qv' ? 'for queries or values' : 'of their own'}`;
  return new SinkscopeError({
    code: 'input',
    file,
    message: `${file} has no product that can carry an adapter: ${why}; give the model in floats, as plain operators.`,
  });
}

/** `model.layers.0.self_attn.q_proj` of its weight's name, or of its node's, which PyTorch's exporters make of it; '' of none. */
function moduleName(stored: string, { name, op }: Node): string {
  const weight = /^(.+?)(?:\.MatMul)?\.weight$/.exec(stored)?.[1];
  if (weight !== undefined && /\d/.test(weight)) return weight;
  const parts = name.split('/').filter((part) => part !== '');
  const isScoped = parts.length > 2 && (parts.at(-1) ?? '').startsWith(op) && /\d/.test(parts.slice(0, -1).join());
  return isScoped ? parts.slice(0, -1).join('.') : '';
}

/**
 * The first products of a block's MLP, with the rows of their weights that make intermediate dims.
 *
 * @throws SinkscopeError `input` where they are no plain products, or make other numbers of dims
 */
export function droppable(loaded: LoadedModel, block: number, dims: readonly number[]): readonly Dropped[] {
  const flow = flowOf(loaded.model);
  const inputs = loaded.linear().filter((input) => input.block === block);
  const ofPart = (part: LinearPart) => inputs.flatMap(({ products }) => products.filter((one) => one.part === part));
  const last = ofPart('mlp_out').map((product) => plainProduct(flow, product))[0];
  const refused = (why: string) =>
    new SinkscopeError({
      code: 'input',
      file: loaded.file,
      message: `The massive weights of block ${block} cannot be dropped: ${why}; leave out --macdrop, or give the model in floats, as plain operators.`,
    });
  if (!last || 'why' in last)
    throw refused(last ? `of its MLP’s last product, ${last.why}` : 'its MLP does not end in a product');
  const width = last.inputs;
  const products = ofPart('mlp_in');
  if (products.length === 0) throw refused('its MLP begins with no product');
  return products.map((product, i): Dropped => {
    const plain = plainProduct(flow, product);
    if ('why' in plain) throw refused(`of its MLP’s first products, ${plain.why}`);
    const split = flow.consumers(plain.node.outputs[0] ?? '').find(({ op }) => op === 'Split');
    const isHalved = plain.outputs === 2 * width && split?.outputs.length === 2;
    if (plain.outputs !== width && !isHalved)
      throw refused(`a first product of its MLP makes ${plain.outputs} dims, and ${width} are multiplied by the last`);
    const rows = isHalved ? [...dims, ...dims.map((dim) => dim + width)] : [...dims];
    return { product: plain, rows, mask: `sinkscope/dropped/${i}` };
  });
}
