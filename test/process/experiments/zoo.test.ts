/** Every fixture whose tokens see only what came before: scored and changed as PyTorch's logits have it. */
import { existsSync, readdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { type Intervention, points } from '../../../src/engine/contract/interventions.js';
import { follow } from '../../../src/experiments/shared/text.js';
import { openSafetensors } from '../../../src/statistics/safetensors.js';
import { readFloats } from '../../support/engine.js';
import { budget, startEngine } from '../../support/experiments.js';
import { fixture } from '../../support/files.js';
import { at, pairs } from '../../support/lists.js';
import { isProcessors, tappedHere } from '../../zoo/here.js';
import { fixture as zooFixture } from '../../zoo/known.js';

const folder = fileURLToPath(new URL('../../zoo/fixtures', import.meta.url));
const scored: string[] = [];
for (const name of readdirSync(folder)) {
  const { golden } = fixture(name);
  if (!existsSync(golden) || name.startsWith('bert')) continue;
  const { names } = await openSafetensors(golden);
  if (names.includes('logits') && names.includes('input_ids')) scored.push(name);
}

const engine = startEngine();

/** Of the run under each of `changes`. */
async function losses(model: string, ids: readonly number[], ...changes: readonly (readonly Intervention[])[]) {
  const variants = changes.map((interventions) => ({ name: '', interventions }));
  const request = { ...budget, model, sequences: [{ ids, from: 1, variants }] };
  const found: number[][] = [];
  for await (const event of follow(engine.run('measure', request)))
    if (event.type === 'measured') found[event.variant] = [...event.losses];
  return found;
}

/** −ln softmax(logits)[next token] of a fixture's golden, or of this machine where the golden depends on that. */
async function expectedLosses(name: string) {
  const { golden } = fixture(name);
  const known = await zooFixture(dirname(golden));
  const { bytes } = await (await openSafetensors(golden)).tensor('input_ids');
  const ids = Array.from(new BigInt64Array(bytes.buffer), Number);
  const { values: stored, shape } = await readFloats(golden, 'logits');
  const values = isProcessors(known) ? ((await tappedHere(dirname(golden), known)).get('logits') ?? stored) : stored;
  const width = shape.at(-1) ?? 0;
  const expected = ids.slice(1).map((id, i) => {
    const row = values.subarray(i * width, (i + 1) * width);
    const max = Math.max(...row);
    return max + Math.log(row.reduce((sum, logit) => sum + Math.exp(logit - max), 0)) - at(row, id);
  });
  return { ids, expected };
}

const largestDifference = (a: readonly number[], b: readonly number[]) =>
  Math.max(...pairs(a, b).map(([one, other]) => Math.abs(one - other)));

describe.each(scored)('%s', (name) => {
  const { model } = fixture(name);
  // Half-precision files compute in half precision.
  const tolerance = name.includes('fp16') ? 1e-2 : 2e-5;

  it('is scored as by its reference, and no differently where a change changes nothing', async () => {
    const { ids, expected } = await expectedLosses(name);
    const plain = at(await losses(model, ids, []), 0);
    expect(largestDifference(plain, expected)).toBeLessThan(tolerance);

    let changed = 0;
    for (const point of points) {
      const all = { point, block: 2, tokens: 'all', dims: 'all' } as const;
      try {
        const same: Intervention = { ...all, set: { to: 'scale', by: 1 } };
        const found = await losses(model, ids, [same], [{ ...all, set: { to: 'zero' } }]);
        expect(largestDifference(at(found, 0), plain), point).toBeLessThan(tolerance);
        expect(largestDifference(at(found, 1), plain), point).toBeGreaterThan(1e-3);
        changed++;
      } catch (error) {
        // Parallel blocks have nothing between attention and MLP, experts no one intermediate state.
        if (!(error instanceof Error && /has no (resid_mid|mlp|attn_out) that could be found/.test(error.message)))
          throw error;
      }
    }
    expect(changed).toBeGreaterThanOrEqual(2);
  });
});

it('finds the fixtures', () => {
  expect(scored.length).toBeGreaterThan(30);
});
