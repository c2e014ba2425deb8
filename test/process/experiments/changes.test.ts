/** What becomes of a model when single parts of it are changed, against PyTorch. */
import { describe, expect, it } from 'vitest';
import { patchConclusion, patchEverywhere } from '../../../src/experiments/patch/compute.js';
import references from '../../references/changes.json';
import { budget, demoModel, finish, startEngine } from '../../support/experiments.js';
import { pairs } from '../../support/lists.js';

const engine = startEngine();

describe('activation patching', () => {
  const { patching } = references;
  const request = {
    ...budget,
    model: demoModel(patching.model),
    clean: patching.clean,
    corrupt: patching.corrupt,
    answers: patching.answers as [string, string],
  };

  it.each(['resid_post', 'resid_mid', 'attn_out', 'mlp_out', 'head'] as const)('of %s equals PyTorch', async (at) => {
    const result = await finish(patchEverywhere(engine, { ...request, at }));
    expect(result.clean.map(({ id }) => id)).toEqual(patching.ids.clean);
    expect(result.cleanDifference).toBeCloseTo(patching.cleanDifference, 4);
    expect(result.corruptDifference).toBeCloseTo(patching.corruptDifference, 4);
    for (const [row, expected] of pairs(result.recovered, patching.recovered[at]))
      for (const [value, other] of pairs(row, expected)) expect(Math.abs(value - other)).toBeLessThan(1e-4);
    expect(patchConclusion(result)).toMatch(
      at === 'head' ? /head 0 of block 8 alone gives 81 %/ : /of token \d .* gives most of that back/,
    );
  });

  it.each([
    [
      { corrupt: 'The little king of France went to' },
      /has 7 tokens and the corrupt one 8.*from token 2 on the clean one has nothing where the corrupt one has “·little”/,
    ],
    [{ corrupt: patching.clean }, /are the same tokens/],
    [{ answers: [' hisss', ' the'] as const }, /" hisss" is 2 tokens \(“·his” “ss”\)/],
    [{ answers: [' his', ' his'] as const }, /Both answers are the token " his"/],
  ])('says what is wrong with %o', async (given, message) => {
    await expect(finish(patchEverywhere(engine, { ...request, at: 'head', ...given }))).rejects.toThrow(message);
  });
});
