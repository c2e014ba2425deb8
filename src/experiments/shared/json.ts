/** Parts of the JSON form that several experiments have; docs/json.md names their keys. */
import type { MassiveActivation } from '../../analysis/massive.js';
import type { Thresholds } from '../../analysis/thresholds.js';
import type { NamedText } from '../values.js';
import type { Calibration } from './calibrate.js';
import type { RunFacts } from './run.js';
import type { TextWindows } from './text.js';
import type { Row } from './variants.js';

/** A text that was measured on: the path of its file, or what it is called where it is none. */
export const fileOf = ({ file, name }: NamedText) => file ?? name;

/** A text that was run as a prompt: the path of its file, or the text itself. */
export function promptJson({ file, text }: NamedText) {
  return { file: file ?? null, text: file === undefined ? text : null };
}

/** What every figure about one run depends on. */
export function runJson({ model, name, stream, tokens, sequence, window, total, bos }: RunFacts) {
  return {
    model,
    name,
    /** Of a file with several residual streams. */
    ...(stream !== undefined && { stream }),
    T: tokens,
    total: total ?? null,
    window,
    bos: bos ?? null,
    tokens: sequence.map(({ id, text }) => ({ id, text })),
  };
}

/** What a table of perplexities of one text depends on. */
export function textJson(
  model: string,
  text: NamedText,
  { window, stride, prefix, left }: TextWindows,
  rows: readonly Row[],
) {
  return {
    model,
    file: fileOf(text),
    window,
    stride,
    prefix: prefix ?? null,
    tokens: rows[0]?.tokens ?? 0,
    left,
  };
}

export function rowJson({ name, perplexity, interval }: Row) {
  return { name, perplexity, interval };
}

/** What was found on the calibration text. */
export function calibrationJson({ layer, massive, points, sequences, window }: Calibration, text: NamedText) {
  return {
    calibration: { file: fileOf(text), sequences, window },
    /** k of the h_k that is changed. */
    layer,
    /** Whether the points are massive by definition. */
    massive,
    points,
  };
}

export function massiveJson({ token, dim, kind, layer, value, ratio, onset, last }: MassiveActivation) {
  return { token, dim, kind, layer, value, ratio, onset, last };
}

/** By which thresholds something is massive. */
export function definitionJson({ absolute, ratio }: Thresholds) {
  return { absolute, ratio };
}
