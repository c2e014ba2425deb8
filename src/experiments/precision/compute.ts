/** What rounding costs where it happens, and which formats the activations fit. */
import { formatNumber, formatRatio, formatShare } from '../../analysis/format.js';
import type { PrecisionPoint, ProductInput } from '../../engine/contract/precision.js';
import type { Engine } from '../../engine/host/engine.js';
import { greatest } from '../../statistics/numbers.js';
import type { Budget, Run } from '../experiment.js';
import { outlierMagnitude } from '../shared/costs.js';
import { encode, follow } from '../shared/text.js';
import { headroom, pointName, tightest } from './passport.js';

export interface PassportRequest extends Budget {
  readonly model: string;
  readonly text: string;
  /** How many of the text's first tokens are run, prefix counted. */
  readonly tokens: number;
  readonly bos?: boolean;
}

export interface PrecisionResult {
  readonly model: string;
  readonly tokens: number;
  readonly prefix: number | undefined;
  readonly layers: number;
  /** In the order of the model. */
  readonly products: readonly ProductInput[];
  readonly points: readonly PrecisionPoint[];
  /** Where fp16 would overflow: the nodes that make or read what is above its largest number, as in the file. */
  readonly keep: readonly { readonly name: string; readonly op: string }[];
  /** Tensors that products read and that were not looked at: what they are computed from is not the tokens shown. */
  readonly unmeasured: number;
}

/** @throws SinkscopeError `input` for a text without tokens, `too-long` above the context */
export async function* measurePrecision(
  engine: Engine,
  request: PassportRequest,
  signal?: AbortSignal,
): Run<PrecisionResult> {
  const { model, text, tokens, memory, threads } = request;
  yield { phase: 'reading', done: 0, of: 1 };
  const { ids, prefix } = await encode(engine, model, text, { ...request, most: tokens }, signal);
  const sequence = [...(prefix === undefined ? [] : [prefix]), ...ids].slice(0, tokens);
  const { layers } = (await engine.inspect(model, signal, { takes: 'text' })).model;
  const products: ProductInput[] = [];
  const points: PrecisionPoint[] = [];
  const keep = new Map<string, PrecisionResult['keep'][number]>();
  let unmeasured = 0;
  const run = engine.run('precision', { model, ids: sequence, outlier: outlierMagnitude, memory, threads }, signal);
  for await (const event of follow(run)) {
    if (event.type === 'progress') {
      yield { phase: 'block', done: event.done, of: event.of };
      continue;
    }
    for (const one of event.inputs) products.push(one);
    for (const one of event.points) points.push(one);
    for (const node of event.overflowing) keep.set(`${node.op} ${node.name}`, node);
    unmeasured += event.unmeasured;
  }
  return {
    model,
    tokens: sequence.length,
    prefix,
    layers,
    products: products.toSorted((a, b) => a.block - b.block),
    points: points.toSorted((a, b) => a.block - b.block),
    keep: [...keep.values()],
    unmeasured,
  };
}

/** What the numbers say: which formats the activations fit, and where 8 bits cost most. */
export function precisionConclusion(result: PrecisionResult): string {
  return [fitInWords(result), costInWords(result)].filter((words) => words !== '').join(' ');
}

/** Whether the activations survive half precision. */
export function fitInWords({ points, layers, keep }: PrecisionResult): string {
  const least = tightest(points);
  if (!least) return 'Nothing of this model could be looked at.';
  const { max, token, dim, nonFinite } = least;
  const where = `at ${token === undefined ? '' : `token ${token}, `}dim ${dim} of ${pointName(least, layers)}`;
  if (nonFinite > 0)
    return `${pointName(least, layers)} has ${formatNumber(nonFinite)} entries that are no finite numbers as the file is: it overflows already.`;
  const margin = headroom(least, 'fp16');
  if (margin >= 1)
    return `This model survives fp16 with a margin of ${formatRatio(margin)}: its largest value is ${formatNumber(max)}, ${where}.`;
  const nodes = keep.length === 1 ? 'one node' : `${keep.length} nodes`;
  return `This model overflows in fp16: |x| = ${formatNumber(max)} ${where}, above 65,504. Keep ${nodes} in fp32.`;
}

function costInWords({ products, layers }: PrecisionResult): string {
  const worst = products.reduce<ProductInput | undefined>(
    (most, one) => (most && !(one.int8.tensor > most.int8.tensor) ? most : one),
    undefined,
  );
  if (!worst) return '';
  const { part, int8, underflow } = worst;
  const name = pointName({ ...worst, point: 'input', part }, layers);
  const most = greatest(products.map((one) => one.int8.token).filter(Number.isFinite), 0);
  return (
    `With one scale for a tensor int8 costs most at ${name}: off by ${formatShare(int8.tensor)}, and ${formatShare(underflow.tensor)} of its entries become 0; ` +
    `with a scale for each token it is off by ${formatShare(int8.token)} there, and nowhere by more than ${formatShare(most)}.`
  );
}
