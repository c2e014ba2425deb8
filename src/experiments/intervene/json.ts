import { toJson } from '../../analysis/result.js';
import { fileOf } from '../shared/json.js';
import type { NamedText } from '../values.js';
import type { InterveneResult } from './compute.js';

/** The changed run as `analyze` has it, with what was changed and the run as it is. */
export function interveneJson(
  { changes, before, after, interventions, calibrated, thresholds }: InterveneResult,
  calibration: NamedText | undefined,
) {
  const window = before.layers[0]?.tokens ?? 0;
  return {
    ...toJson(after, thresholds),
    changes,
    /** What they mean for this prompt: a mean is a value by then. */
    interventions,
    calibration: calibrated === 0 || !calibration ? null : { file: fileOf(calibration), sequences: calibrated, window },
    as_is: toJson(before, thresholds),
  };
}
