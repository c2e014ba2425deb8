import { basename } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../../src/engine/host/engine.js';
import { makeEngine } from '../support/engine.js';
import { temporaryFolder } from '../support/files.js';
import { compare, type Result } from './compare.js';
import { expertQuantities, fixture, folders, type Quantity, quantities, toleranceOf } from './known.js';

describe('every fixture equals its reference', async () => {
  const saved = await temporaryFolder();
  const table = new Map<string, ReadonlyMap<Quantity, Result>>();
  let engine: Engine;
  beforeAll(() => {
    engine = makeEngine();
  });
  afterAll(() => {
    engine.dispose();
    console.log([...rows(table, quantities), '', ...rows(table, expertQuantities)].join('\n'));
  });

  it.each(folders.map((folder) => [basename(folder), folder] as const))('%s', async (name, folder) => {
    const { results } = await compare(engine, folder, saved);
    table.set(name, results);
    const known = await fixture(folder);
    expect(results.size).toBeGreaterThan(0);
    for (const [quantity, result] of results) {
      if (known.gaps?.[quantity] !== undefined) {
        // A gap that is closed is to be taken off the list.
        expect(result, `${quantity}: ${known.gaps[quantity]}`).toHaveProperty('gap');
        continue;
      }
      expect(result, quantity).toHaveProperty('error');
      if ('error' in result) expect(result.error, quantity).toBeLessThanOrEqual(toleranceOf(known));
    }
  });
});

/** Fixtures that have any of them × quantities, as `docs/models.md` shows them. */
function rows(table: ReadonlyMap<string, ReadonlyMap<Quantity, Result>>, quantities: readonly Quantity[]): string[] {
  const cell = (result: Result | undefined) =>
    !result ? '–' : 'error' in result ? result.error.toExponential(0) : result.gap;
  return [
    `| fixture | ${quantities.join(' | ')} |`,
    `| --- | ${quantities.map(() => '---').join(' | ')} |`,
    ...[...table]
      .filter(([, results]) => quantities.some((quantity) => results.has(quantity)))
      .map(([name, results]) => `| ${name} | ${quantities.map((q) => cell(results.get(q))).join(' | ')} |`),
  ];
}
