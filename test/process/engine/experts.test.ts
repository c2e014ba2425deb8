/** What each of a token's experts adds to a massive activation, against PyTorch. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { collect, only, readFloats, relativeError, request, startEngine } from '../../support/engine.js';
import { root } from '../../support/files.js';
import { at } from '../../support/lists.js';

const engine = startEngine();

// Weights of the chosen alone, and of all experts with zeros, turned, which a batched product takes.
describe.each(['einsum', 'scattered'])('an expert with one large weight, %s', (name) => {
  const folder = join(root, 'test/references/experts', name);
  it('made what PyTorch says, and the others of its tokens next to nothing', async () => {
    const prompt = { feeds: join(folder, 'golden.safetensors') };
    const events = await collect(engine.analyze(request(join(folder, 'model.onnx'), prompt)));
    const routings = only(events, 'routing').filter(({ found }) => 'made' in found);
    expect(routings).toHaveLength(1);
    const { layer, found: routing } = at(routings, 0);
    if ('why' in routing) throw new Error(routing.why);
    expect(layer).toBe(2);
    const { values: golden } = await readFloats(join(folder, 'golden.safetensors'), 'expert_made.1');
    // The tokens that were sent to the expert.
    const made = routing.made ?? [];
    expect(made.map(({ token, dim }) => [token, dim]).sort()).toEqual([
      [8, 7],
      [9, 7],
    ]);
    for (const entry of made) {
      const of = (slot: number) => golden[(entry.token * 2 + slot) * 32 + entry.dim] ?? Number.NaN;
      expect(relativeError(entry.made, Float32Array.of(of(0), of(1)))).toBeLessThan(1e-5);
    }
  });
});
