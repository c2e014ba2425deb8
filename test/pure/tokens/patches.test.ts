import { describe, expect, it } from 'vitest';
import { patchTokens } from '../../../src/tokens/patches.js';

/** 32 × 48 pixels of a picture of 480 × 320, cut out in its middle: 10 of its pixels to one. */
const pixels = {
  pixels: new Float32Array(),
  shape: [1, 3, 32, 48],
  picture: { height: 500, width: 600 },
  crop: { x: 60, y: 90, width: 480, height: 320 },
} as const;
const patch = { height: 16, width: 16 };
const texts = (...args: Parameters<typeof patchTokens>) => patchTokens(...args).map(({ text }) => text);
const grid = ['patch 0,0', 'patch 0,1', 'patch 0,2', 'patch 1,0', 'patch 1,1', 'patch 1,2'];

describe('tokens of a picture', () => {
  it('are CLS, registers, and patches row by row', () => {
    expect(texts(6, pixels, patch)).toEqual(grid);
    expect(texts(7, pixels, patch)).toEqual(['CLS', ...grid]);
    expect(texts(9, pixels, patch)).toEqual(['CLS', 'register 1', 'register 2', ...grid]);
  });

  it('stand for their parts of the picture, or for none', () => {
    const tokens = patchTokens(7, pixels, patch);
    expect(tokens[0]).toEqual({ id: 0, text: 'CLS', start: 0, end: 0, special: true });
    expect(tokens[1]?.region).toEqual({ x: 60, y: 90, width: 160, height: 160 });
    expect(tokens[6]?.region).toEqual({ x: 380, y: 250, width: 160, height: 160 });
    expect(tokens.slice(1).every(({ special }) => !special)).toBe(true);
  });

  it('of a masked autoencoder are CLS and the patches that it keeps', () => {
    expect(texts(4, pixels, patch, true)).toEqual(['CLS', 'patch 0,0', 'patch 0,1', 'patch 0,2']);
    // Fed so that it keeps all, it has no fewer.
    expect(texts(7, pixels, patch, true)).toEqual(['CLS', ...grid]);
  });

  it('are only numbered where the numbers do not add up', () => {
    expect(texts(4, pixels, patch)).toEqual(['token 0', 'token 1', 'token 2', 'token 3']);
    expect(texts(2, pixels, undefined)).toEqual(['token 0', 'token 1']);
    expect(patchTokens(4, pixels, patch).every(({ region }) => region === undefined)).toBe(true);
  });
});
