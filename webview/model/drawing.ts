/** What is drawn of a file that was described: pure, in words and numbers; where it stands on the screen is CSS's. */
import { counted, formatNumber } from '../../src/analysis/format.js';
import { bytesByType } from '../../src/analysis/precision.js';
import type { DescribedWeight, Description } from '../../src/engine/contract/description.js';
import type { InspectedBlock, Inspection } from '../../src/engine/contract/inspection.js';

/** A box on the residual stream. */
export interface DrawnPart {
  readonly kind: 'attention' | 'cross' | 'mlp' | 'experts' | 'unknown';
  readonly title: string;
  /** What is known of it, a clause each. */
  readonly facts: readonly string[];
  /** Fused into an operator, which is named. */
  readonly fused: string | undefined;
  /** Types of its weights, that of most bytes first. */
  readonly types: readonly string[];
}

export interface DrawnBlock {
  /** k of the `h_k` that it leaves, 1-based. */
  readonly layer: number;
  /** In the order in which they are added; with `parallel` all of them to one sum. */
  readonly parts: readonly DrawnPart[];
  readonly parallel: boolean;
  /** How its weights differ in type from those of the block before; undefined where they do not. */
  readonly change: string | undefined;
  /** Bytes of the weights that only it reads. */
  readonly bytes: number;
}

export interface DrawnFact {
  readonly name: string;
  readonly value: string;
  /** Where it was a guess, or is wanting. */
  readonly doubt?: boolean;
  /** More than a few words. */
  readonly long?: boolean;
}

export interface ModelDrawing {
  readonly facts: readonly DrawnFact[];
  /** What the graph is fed, and what it gives. */
  readonly inputs: readonly DrawnFact[];
  readonly outputs: readonly DrawnFact[];
  /** Empty for what is no transformer. */
  readonly blocks: readonly DrawnBlock[];
  /** Between the input and h_0, and between h_L and the output, in words. */
  readonly start: string;
  readonly end: readonly string[];
  /** What was looked for and not found, and why; what is to be known of the file besides. */
  readonly missing: readonly DrawnFact[];
  readonly remarks: readonly string[];
}

export function drawingOf(description: Description): ModelDrawing {
  const { anatomy } = description;
  const inspection = anatomy.found ? anatomy.inspection : undefined;
  const blocks = inspection ? blocksOf(inspection, description.weights) : [];
  return {
    facts: [...(inspection ? modelFacts(inspection) : []), ...fileFacts(description)],
    inputs: inputsOf(description, inspection),
    outputs: description.outputs.map(({ name, type, shape }) => ({ name, value: typeAndShape(type, shape) })),
    blocks,
    start: inspection ? startOf(inspection) : '',
    end: inspection ? endOf(inspection) : [],
    missing: inspection
      ? inspection.anatomy.missing.map(({ part, why }) => ({ name: part, value: why, doubt: true }))
      : [],
    remarks: inspection?.model.remarks ?? [],
  };
}

/** Bytes as file managers show them. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const power = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), units.length - 1);
  const value = bytes / 1000 ** power;
  return `${power === 0 ? value : value.toFixed(1)} ${units[power]}`;
}

export const formatShape = (shape: Description['inputs'][number]['shape']): string =>
  shape === undefined ? 'of unknown shape' : `[${shape.map((extent) => extent ?? '?').join(', ')}]`;

const typeAndShape = (type: string | undefined, shape: Description['inputs'][number]['shape']) =>
  `${type ?? 'of unknown type'} ${formatShape(shape)}`;

function modelFacts({ model, anatomy }: Inspection): DrawnFact[] {
  const known = (name: string, value: number | undefined, unit = ''): DrawnFact[] =>
    value === undefined || value === 0 ? [] : [{ name, value: `${formatNumber(value)}${unit}` }];
  const kv = anatomy.kvHeads === anatomy.heads ? undefined : anatomy.kvHeads;
  return [
    ...known('blocks', anatomy.layers),
    ...known('hidden size', anatomy.hidden),
    ...known('attention heads', anatomy.heads),
    ...known('key/value heads', kv),
    ...known('head dimensions', anatomy.headDim),
    ...known('MLP width', anatomy.mlpHidden),
    ...known('vocabulary', anatomy.vocabulary),
    ...known('context', model.context, ' tokens'),
  ];
}

function fileFacts(description: Description): DrawnFact[] {
  const { files, opsets, producer, irVersion, tokenizer } = description;
  const on = files.reduce((sum, { bytes }) => sum + bytes, 0);
  return [
    { name: 'parameters', value: formatNumber(description.parameters) },
    { name: 'weights', value: formatBytes(description.bytes) },
    { name: 'on disk', value: `${formatBytes(on)} in ${counted(files.length, 'file')}` },
    { name: 'precision', value: precisionOf(description.weights) },
    { name: 'made by', value: producer || 'not stated' },
    {
      name: 'opset',
      value: `${opsets.map(([domain, version]) => (domain === '' ? `${version}` : `${domain} ${version}`)).join(', ')}; IR ${irVersion}`,
    },
    tokenizer === undefined
      ? { name: 'tokenizer', value: 'none: no tokenizer.json beside it, so texts cannot be tried', doubt: true }
      : { name: 'tokenizer', value: tokenizer },
    { name: 'operators', value: operatorsInWords(description), long: true },
  ];
}

/** Which file it is, in a line under its picture. */
export const fileInWords = ({ facts }: ModelDrawing): string =>
  facts
    .filter(({ name }) => ['parameters', 'weights', 'precision', 'made by', 'opset'].includes(name))
    .map(({ name, value }) => `${name}: ${value}`)
    .join(' · ');

/** Fused operators first: they are what hides things. */
function operatorsInWords({ operators }: Description): string {
  const total = operators.reduce((sum, [, count]) => sum + count, 0);
  const fused = operators.filter(([name]) => name.includes('.'));
  const named = [...fused, ...operators.filter(([name]) => !name.includes('.'))].slice(0, 6);
  return `${formatNumber(total)}: ${named.map(([name, count]) => `${formatNumber(count)} × ${name}`).join(', ')}${operators.length > 6 ? ' …' : ''}`;
}

/** `float16 96 %, float 4 %`, by bytes. */
export function precisionOf(weights: readonly DescribedWeight[]): string {
  const bytes = bytesByType(weights);
  const all = [...bytes.values()].reduce((sum, one) => sum + one, 0);
  if (all === 0) return 'no weights';
  const shares = [...bytes].filter(([, one]) => one / all >= 0.005);
  return shares.map(([type, one]) => `${type} ${Math.round((100 * one) / all)} %`).join(', ');
}

function inputsOf(description: Description, inspection: Inspection | undefined): DrawnFact[] {
  const fed = new Map(inspection?.anatomy.inputs.map((input) => [input.name, input]));
  return description.inputs.map(({ name, type, shape }) => {
    const known = fed.get(name);
    const how = known === undefined ? '' : `: ${known.how}${known.guessed ? ' (a guess)' : ''}`;
    return { name, value: `${typeAndShape(type, shape)}${how}`, ...(known?.guessed && { doubt: true }) };
  });
}

function startOf({ anatomy, streams, model }: Inspection): string {
  const own = streams.find(({ name }) => name === model.stream)?.inputs ?? [];
  const used = anatomy.inputs.filter(
    ({ role, name }) => !['past', 'state', 'unused'].includes(role) && own.includes(name),
  );
  const first = used.filter(({ role }) => role === 'token-ids' || role === 'features' || role === 'codes');
  const named = (first.length > 0 ? first : used).map(({ name }) => name);
  return named.length > 0 ? `embedding of ${named.slice(0, 3).join(', ')}` : 'embedding';
}

function endOf({ anatomy }: Inspection): string[] {
  const norm = anatomy.finalNorm ? ['final norm'] : ['no final norm found'];
  if (anatomy.unembedding) return [...norm, `output head: ${anatomy.unembedding.logits}`];
  const named = anatomy.outputs.map(({ name, columns }) => (columns === undefined ? name : `${name} [${columns}]`));
  return [...norm, `output: ${named.join(', ')}`];
}

const attentionParts = new Set(['attn_in', 'attn_latent', 'attn_out']);
const mlpParts = new Set(['mlp_in', 'mlp_out', 'expert_in', 'expert_out', 'router']);

function blocksOf({ anatomy, model }: Inspection, weights: readonly DescribedWeight[]): DrawnBlock[] {
  let before: readonly string[] | undefined;
  return anatomy.blocks.map((block, index) => {
    const own = weights.filter(({ block: home }) => home === index + 1);
    const typesOf = (parts: ReadonlySet<string>) => productTypes(own.filter(({ part }) => parts.has(part ?? '')));
    const parts = partsOf(block, anatomy.mlpHidden, {
      attention: typesOf(attentionParts),
      mlp: typesOf(mlpParts),
    });
    const types = productTypes(own.filter(({ part }) => part !== undefined));
    const change =
      before !== undefined && types.length > 0 && before.join() !== types.join()
        ? `weights change from ${before.join(' and ')} to ${types.join(' and ')}`
        : undefined;
    if (types.length > 0) before = types;
    const bytes = own.reduce((sum, one) => sum + one.bytes, 0);
    return { layer: index + 1, parts, parallel: model.parallelBlock, change, bytes };
  });
}

/** Types of matrices; scales and biases that come with them are a hundredth of the bytes and no precision of their own. */
function productTypes(weights: readonly DescribedWeight[]): string[] {
  const matrices = weights.filter(({ shape }) => shape.length > 1);
  const bytes = bytesByType(matrices.length > 0 ? matrices : weights);
  const [most = 0] = bytes.values();
  return [...bytes].filter(([, one]) => one >= 0.2 * most).map(([type]) => type);
}

interface PartTypes {
  readonly attention: readonly string[];
  readonly mlp: readonly string[];
}

function partsOf(block: InspectedBlock, width: number | undefined, types: PartTypes): DrawnPart[] {
  const { attention, cross, routing, mlpIntermediate } = block;
  const parts: DrawnPart[] = [];
  if (attention) parts.push(attentionPart(attention, 'attention', 'Attention', types.attention));
  if (cross) parts.push(attentionPart(cross, 'cross', 'Attention to other states', []));
  if (routing) {
    const { experts, chosen, shared, from } = routing;
    const fused = from.from === 'rebuilt' ? from.operator : undefined;
    const facts = [`${chosen ?? 'some'} of ${experts ?? 'several'} for each token`, ...(shared ? ['one for all'] : [])];
    parts.push({ kind: 'experts', title: 'Experts', facts, fused, types: types.mlp });
  } else if (mlpIntermediate !== undefined) {
    const facts = width === undefined ? [] : [`${formatNumber(width)} wide`];
    parts.push({ kind: 'mlp', title: 'MLP', facts, fused: undefined, types: types.mlp });
  }
  if (parts.length === 0 || (!attention && !cross))
    parts.push({
      kind: 'unknown',
      title: 'Not recognised',
      facts: ['see what was not found'],
      fused: undefined,
      types: [],
    });
  return parts;
}

function attentionPart(
  { pattern, weighting, heads, kvHeads, headDim }: NonNullable<InspectedBlock['attention']>,
  kind: 'attention' | 'cross',
  title: string,
  types: readonly string[],
): DrawnPart {
  const counts = heads === undefined ? [] : [counted(heads, 'head')];
  const shared = kvHeads !== undefined && kvHeads !== heads ? [`${kvHeads} for keys and values`] : [];
  const size = headDim === undefined ? [] : [`of ${headDim}`];
  const where = {
    graph: 'pattern in the graph',
    rebuilt: 'pattern rebuilt from its inputs',
    nothing: 'pattern hidden in it',
  }[pattern.from];
  const weighed = weighting === 'softmax' ? [] : [weighting === 'elementwise' ? 'no softmax' : 'more than a softmax'];
  return {
    kind,
    title,
    facts: [[...counts, ...size].join(' '), ...shared, where, ...weighed].filter((fact) => fact !== ''),
    fused: pattern.from === 'graph' ? undefined : pattern.operator,
    types,
  };
}

/** What a screen reader says of a block. */
export function blockInWords({ layer, parts, change }: DrawnBlock): string {
  const named = parts.map(({ title, facts, fused, types }) =>
    [title, ...facts, ...(fused ? [`in ${fused}`] : []), ...types].join(', '),
  );
  return [`block ${layer}`, ...named, ...(change ? [change] : [])].join('; ');
}
