import type { RunEvent } from '../engine/contract/events.js';
import type { Analysis } from './analysis.js';

/**
 * The events of a run, made of what they were folded to: folded again they give an equal analysis. Empty where the run
 * has not begun.
 */
export function eventsOf(analysis: Analysis): RunEvent[] {
  const {
    started,
    devices,
    tokens,
    layers,
    attention,
    leftOut,
    cross,
    routing,
    predictions,
    outputs,
    finished,
    problem,
  } = analysis;
  const blocks = layers.flatMap((statistics, layer): RunEvent[] => {
    const [pattern, other, found] = [attention[layer - 1], cross[layer - 1], routing[layer - 1]];
    const why = leftOut[layer - 1];
    return [
      { type: 'layer', layer, statistics },
      ...(pattern ? [{ type: 'attention' as const, layer, statistics: pattern }] : []),
      ...(why === undefined ? [] : [{ type: 'pattern-left-out' as const, layer, why }]),
      ...(other ? [{ type: 'cross-attention' as const, layer, statistics: other }] : []),
      ...(found ? [{ type: 'routing' as const, layer, found }] : []),
    ];
  });
  const events: (RunEvent | undefined)[] = [started, ...devices, tokens, ...blocks, predictions, outputs, finished];
  const said = events.filter((event) => event !== undefined);
  return problem ? [...said, { type: 'failed', problem }] : said;
}
