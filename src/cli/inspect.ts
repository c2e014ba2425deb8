import { Command } from 'commander';
import { formatNumber } from '../analysis/format.js';
import type { InspectedBlock, Inspection } from '../engine/contract/inspection.js';
import type { Engine } from '../engine/host/engine.js';
import { grouped } from '../errors.js';
import { modelFile } from '../models/named.js';
import { DataType } from '../onnx/model.js';
import { streamOption } from './options.js';
import { columns, section } from './table.js';
import { print, printJson } from './terminal.js';

export function inspectCommand(engine: Engine, signal: AbortSignal): Command {
  return new Command('inspect')
    .description('show what the parts of a model are and where in its graph they are')
    .argument('<model>', 'path of a .onnx file or of a folder with one, or the name of a bundled model')
    .addOption(streamOption())
    .option('--json', 'print everything as JSON')
    .action(async (model: string, { stream, ...options }: { readonly json?: boolean; readonly stream?: string }) => {
      const made = toJson(await engine.inspect(await modelFile(model), signal, { stream }));
      if (options.json) printJson(made, 2);
      else print(inWords(made));
    });
}

/** An inspection in words. */
export const inspected = (inspection: Inspection): string[] => inWords(toJson(inspection));

/**
 * The JSON form of an inspection. Tensors are named as in the prepared graph (functions and branches inlined, fused
 * norms split), which keeps the file's own names where it can; `null` is what was not found or does not exist.
 */
function toJson({ model, streams, anatomy, producer, opsets, nodes }: Inspection) {
  return {
    file: model.file,
    name: model.name,
    bytes: model.bytes,
    producer,
    opsets: Object.fromEntries(opsets),
    nodes,
    /** The residual stream that all below is about, of those that the file has: `inputs` that each is computed from. */
    stream: model.stream,
    streams: streams.map(({ name, layers, hidden, heads, inputs, outputs }) => ({
      name,
      layers,
      hidden: hidden ?? null,
      heads: heads ?? null,
      inputs,
      outputs,
    })),
    layers: anatomy.layers,
    hidden: anatomy.hidden ?? null,
    heads: anatomy.heads ?? null,
    kv_heads: anatomy.kvHeads ?? null,
    head_dim: anatomy.headDim ?? null,
    mlp_hidden: anatomy.mlpHidden ?? null,
    vocabulary: anatomy.vocabulary ?? null,
    context: model.context ?? null,
    parallel_block: anatomy.parallelBlock,
    /** h_0 … h_L */
    residual: [anatomy.embedding, ...anatomy.blocks.map((block) => block.residPost)],
    /** By block; null where a block has no point between attention and MLP. */
    resid_mid: anatomy.blocks.map((block) => block.residMid ?? null),
    /** `layer` is k of the `h_k` that the block leaves. One of `pattern` and `rebuilt_from` says where the pattern is. */
    attention: anatomy.blocks.flatMap(({ attention }, block) => siteJson(attention, block + 1)),
    /** The same of attention to other states than the stream's, as to an encoder's. */
    cross_attention: anatomy.blocks.flatMap(({ cross }, block) => siteJson(cross, block + 1)),
    /** By block: what the down projection multiplies. */
    mlp: anatomy.blocks.map((block) => block.mlpIntermediate ?? null),
    /** Of blocks with experts whose routing is known; what is `null` is not in the graph. */
    routing: anatomy.blocks.flatMap(({ routing }, block) => {
      if (!routing) return [];
      const { experts, chosen, from, multiplies, intermediate, shared } = routing;
      const [values, operator] = from.from === 'graph' ? [from, undefined] : [undefined, from.operator];
      return {
        layer: block + 1,
        experts: experts ?? null,
        chosen: chosen ?? null,
        indices: values?.indices ?? null,
        weights: values?.weights ?? null,
        scores: values?.scores ?? null,
        rebuilt_from: operator ?? null,
        multiplies,
        intermediate: intermediate ?? null,
        shared,
      };
    }),
    final_norm: anatomy.finalNorm?.output ?? null,
    /** The logits. */
    unembedding: anatomy.unembedding?.logits ?? null,
    /** All that it gives of the last residual; `columns` of the product with a weight that it ends in. */
    outputs: anatomy.outputs.map(({ name, columns }) => ({ name, columns: columns ?? null })),
    inputs: anatomy.inputs.map(({ name, role, type, shape, how, guessed }) => ({
      name,
      role,
      type: typeNames.get(type) ?? `type ${type}`,
      shape: shape ?? null,
      how,
      guessed,
    })),
    missing: anatomy.missing,
    remarks: model.remarks,
  };
}

function siteJson(attention: InspectedBlock['attention'], layer: number) {
  if (!attention) return [];
  const { pattern, weighting, heads, kvHeads } = attention;
  return [
    {
      layer,
      pattern: pattern.from === 'graph' ? pattern.tensor : null,
      rebuilt_from: pattern.from === 'rebuilt' ? pattern.operator : null,
      weighting,
      heads: heads ?? null,
      kv_heads: kvHeads ?? null,
    },
  ];
}

/** What stands in the place of an unembedding. */
function headWords({ outputs }: InspectionJson): string {
  const heads = outputs.filter(({ columns }) => columns !== null);
  const named = heads.map(({ name, columns }) => `${name} has ${columns} ${columns === 1 ? 'column' : 'columns'}`);
  return named.length > 0 ? `none: ${named.join(', ')}, no scores over the vocabulary` : 'not found';
}

/** As `all blocks`, `block 2` or `blocks 2–4, 6`. */
function blocksNamed(blocks: readonly number[], layers: number): string {
  if (blocks.length === layers) return 'all blocks';
  const ranges: [first: number, last: number][] = [];
  for (const block of blocks) {
    const range = ranges.at(-1);
    if (range?.[1] === block - 1) range[1] = block;
    else ranges.push([block, block]);
  }
  const named = ranges.map(([first, last]) => (first === last ? `${first}` : `${first}–${last}`));
  return `${blocks.length === 1 ? 'block' : 'blocks'} ${named.join(', ')}`;
}

/** What its mixtures are, a line for each kind with the blocks that are so. */
function expertWords({ routing, layers }: InspectionJson): string[] {
  const kinds = new Map<string, number[]>();
  for (const { layer, experts, chosen, shared, multiplies } of routing) {
    const words = [
      `${chosen ?? 'some'} of ${experts ?? 'several'} are chosen for each token`,
      ...(shared ? ['and one is shared by all'] : []),
      ...(multiplies === 'inputs' ? ['weights multiply what they read'] : []),
    ].join(', ');
    kinds.set(words, [...(kinds.get(words) ?? []), layer]);
  }
  return [...kinds].map(([words, blocks]) => `${words}, in ${blocksNamed(blocks, layers)}`);
}

type InspectionJson = ReturnType<typeof toJson>;

const typeNames: ReadonlyMap<DataType, string> = new Map(
  Object.entries(DataType).map(([name, type]): [DataType, string] => [type, name]),
);

const patternWords = (site: InspectionJson['attention'][number] | undefined) =>
  site?.pattern ?? (site?.rebuilt_from ? `rebuilt from ${site.rebuilt_from}` : undefined);

function inWords(model: InspectionJson): string[] {
  const known = (value: number | null) => (value === null ? 'unknown' : grouped(value));
  const facts: [string, string][] = [
    ['layers', known(model.layers)],
    ['hidden size', known(model.hidden)],
    ['heads', `${known(model.heads)} (${known(model.kv_heads)} for keys and values) of ${known(model.head_dim)}`],
    ['MLP width', known(model.mlp_hidden)],
    ...expertWords(model).map((words, i): [string, string] => [i === 0 ? 'experts' : '', words]),
    ['vocabulary', known(model.vocabulary)],
    ['context', known(model.context)],
    ['blocks', model.parallel_block ? 'attention and MLP in parallel' : 'attention, then MLP'],
    ['final norm', model.final_norm ?? 'not found'],
    ['unembedding', model.unembedding ?? headWords(model)],
    ['weights', `${formatNumber(model.bytes / 1e6)} MB`],
  ];
  const points = model.residual.map((residual, layer) => {
    const pattern = patternWords(model.attention.find((site) => site.layer === layer));
    return [`${layer}`, residual, ...(layer === 0 ? ['', ''] : [pattern ?? '–', model.mlp[layer - 1] ?? '–'])];
  });
  const crossing = model.cross_attention.map((site) => [
    `${site.layer}`,
    `${site.heads ?? '?'}`,
    patternWords(site) ?? '–',
  ]);
  const streams = model.streams.map(({ name, layers, hidden, inputs }) => [
    name === model.stream ? `${name} (shown)` : name,
    `${layers}`,
    known(hidden),
    inputs.join(', '),
  ]);
  const inputs = model.inputs.map((input) => [
    input.name,
    `${input.type} [${input.shape?.map((extent) => extent ?? '?').join(', ') ?? '?'}]`,
    input.guessed ? `${input.how} (guessed)` : input.how,
  ]);
  return [
    `${model.name} · ${model.file}`,
    '',
    ...facts.map(([fact, value]) => `  ${fact.padEnd(13)}${value}`),
    ...section(
      'Streams',
      streams.length > 1 ? columns(['name', 'layers', 'hidden size'], 'computed from', streams) : [],
    ),
    ...section('Residual stream', columns(['layer', 'tensor', 'attention pattern'], 'MLP intermediate', points)),
    ...section('Attention to other states', columns(['layer', 'heads'], 'pattern', crossing)),
    ...section('Inputs', columns(['name', 'shape'], 'what it is', inputs)),
    ...section(
      'Not found',
      model.missing.map(({ part, why }) => `  ${part}: ${why}`),
    ),
    ...section(
      'Notes',
      model.remarks.map((remark) => `  ${remark}`),
    ),
  ];
}
