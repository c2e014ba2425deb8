/** What the engine's process may hold and how long it may be silent: see docs/limits.md. */
import { basename } from 'node:path';
import type { Provider } from '../contract/device.js';
import type { Bounds } from '../guard/note.js';
import type { LoadedModel } from '../stages/loaded.js';

/** Beside models that run: Node.js, ONNX Runtime, structures of models, tokenizers, texts of some megabytes. */
const reserveBytes = 4 * 2 ** 30;

/** Reading a model takes a second or two; what takes a minute was made to. Disks far away may need longer. */
const reading = { work: 60, waiting: 180 };

/** Tokenising a part of a text takes a fraction of a second; patterns can be made that take for ever. */
const tokenising = { work: 6, waiting: 60 };

/** Before any model was run. */
export const idleBounds: Bounds = { what: 'it waited', bytes: reserveBytes };

/**
 * While files and texts are read, from which nothing is known yet.
 *
 * @param what is read, in words that follow "while"
 * @param before what the process might hold until then
 */
export function readingBounds(what: string, before: Bounds): Bounds {
  return { what, bytes: before.bytes, seconds: reading };
}

/**
 * While a part of a text is tokenised.
 *
 * @param file the `tokenizer.json`
 * @param before what the process might hold until then
 */
export function tokenisingBounds(file: string, before: Bounds): Bounds {
  return { what: `${file} was applied to the text`, bytes: before.bytes, seconds: tokenising };
}

/**
 * While a model runs, which may take as long as it takes. A stage holds its weights up to three times while it is made:
 * as read, as ONNX Runtime has them, and as it rearranges them. What its blocks compute fits the budget once more.
 *
 * @param memory the budget, in bytes
 * @param provider what it runs on, beside the CPU
 */
export function runningBounds({ file, summary }: LoadedModel, memory: number, provider: Provider = 'cpu'): Bounds {
  const { bytes, layers, hidden, vocabulary = 0 } = summary;
  const largestStage = bytes / Math.max(1, layers) + 8 * hidden * vocabulary;
  const where = provider === 'cpu' ? '' : ` on ${provider} (the device cpu does without the graphics card)`;
  return { what: `${basename(file)} was run${where}`, bytes: reserveBytes + 2 * memory + 3 * largestStage };
}
