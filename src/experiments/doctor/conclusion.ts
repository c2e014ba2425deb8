/** What a diagnosis says, in words. */
import { formatNumber } from '../../analysis/format.js';
import { swappedInWords } from '../shared/divergence.js';
import type { DoctorResult } from './compute.js';
import type { Cure } from './remedies.js';

/** A remedy whose model predicts this much worse than the model as it was says nothing of tokens (D_sink). */
const voidAbove = 10;

/** Whether a remedy leaves a model that is broken: perplexity above ten times that of the model as it was. */
export const isVoid = ({ perplexity }: Pick<DoctorResult, 'perplexity'>, remedy: Pick<Cure, 'perplexity'>): boolean =>
  !(remedy.perplexity <= voidAbove * perplexity.reference.perplexity);

/** What keeping tokens in float gains in nats; undefined where nothing can be said, the quantised model being broken. */
export function dSinkOf(result: DoctorResult, remedy: Cure): number | undefined {
  return isVoid(result, remedy) || isVoid(result, result.perplexity.model) ? undefined : remedy.dSink;
}

/** What is wrong, where, and what to keep. */
export function doctorConclusion(result: DoctorResult): string {
  const { kld, aim, chosen, blocks, of, layers, undone, perplexity, sqnr } = result;
  if (perplexity.reference.tokens === 0)
    return `Hidden states are compared up to h_${sqnr.length - 1} of ${layers}; what quantising costs in predictions is not known yet.`;
  const [first] = blocks;
  const isNumber = Number.isFinite(kld.mean);
  const now = undone.includes('blocks')
    ? `Quantised, the model’s predictions are ${formatNumber(kld.mean)} nats from what they were, by the windows until now`
    : isNumber
      ? `Quantised, the model’s predictions are ${formatNumber(kld.mean)} nats from what they were`
      : 'Quantised, the model overflows, and what it predicts is no number any more';
  if (aim !== undefined && kld.mean <= aim)
    return `${now}, within the aim of ${formatNumber(aim)}: nothing has to be excluded.`;
  if (of === 0) return `${now}, and none of its products could be told apart: nothing can be excluded by name.`;
  const isMended = first && Number.isFinite(first.restored);
  const where = isMended
    ? ` Most is lost in ${swappedInWords(first.block, layers)} (${formatNumber(first.restored)} with it as it was).`
    : '';
  if (undone.includes('list')) return `${now}.${where} What to exclude is not known yet.`;
  const [only] = chosen.products;
  const counted = chosen.products.length === 1 ? 'one product' : `${chosen.products.length} products`;
  const named =
    chosen.products.length === 1 && only
      ? ` (${only.node === '' ? `${only.part} of block ${only.block}` : only.node})`
      : '';
  if (!Number.isFinite(chosen.kld)) return `${now}.${where} Excluding products does not mend that.`;
  const after = `brings ${isNumber ? 'that' : 'them'} to ${formatNumber(chosen.kld)}`;
  if (aim === undefined || chosen.kld <= aim)
    return `${now}.${where} Excluding ${counted} of ${of}${named} ${isNumber ? after : `leaves ${formatNumber(chosen.kld)} nats`}${chosen.products.length === of ? ', but that is all that is quantised' : ''}.`;
  if (chosen.products.length < of && result.curve.some(({ kld }) => kld <= aim))
    return `${now}.${where} Excluding ${counted} of ${of}${named} ${after}, measured once more, above the aim of ${formatNumber(aim)}: give a lower aim for a longer list.`;
  return `${now}.${where} The aim of ${formatNumber(aim)} cannot be reached by excluding products: the best that was found, ${counted} of ${of}, ${after}.`;
}
