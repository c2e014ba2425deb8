/** Tokens of a vision transformer: which part of the picture each stands for. */
import { type Pixels, patchRectangles } from './image.js';
import type { Extent } from './steps.js';
import type { Token } from './token.js';

/**
 * Names and places of `count` tokens: patches row by row, and before them CLS and registers. Where the numbers don't
 * add up (an unknown patch size, patches that were merged) tokens are only numbered.
 *
 * @param patch pixels each patch is high and wide, where the graph tells
 * @param masked true for a masked autoencoder, fed so that it keeps the first of its patches, after CLS alone
 */
export function patchTokens(count: number, pixels: Pixels, patch: Extent | undefined, masked = false): Token[] {
  const rectangles = patch ? patchRectangles(pixels, patch) : [];
  const columns = patch ? Math.floor(pixels.shape[3] / patch.width) : 0;
  const prefix = masked && count <= rectangles.length ? 1 : rectangles.length > 0 ? count - rectangles.length : -1;
  return Array.from({ length: count }, (_, index): Token => {
    const place = { id: index, start: 0, end: 0, special: index < prefix };
    if (prefix < 0) return { ...place, text: `token ${index}` };
    if (index < prefix) return { ...place, text: index === 0 ? 'CLS' : `register ${index}` };
    const patchIndex = index - prefix;
    const text = `patch ${Math.floor(patchIndex / columns)},${patchIndex % columns}`;
    return { ...place, text, region: rectangles[patchIndex] };
  });
}
