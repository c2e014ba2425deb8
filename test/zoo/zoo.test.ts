import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Engine } from '../../src/engine/engine.js';
import { compare, fixture, fixtures, type Quantity, quantities, type Result, toleranceOf } from './compare.js';

const names = readdirSync(fixtures, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);

describe('every fixture equals PyTorch', () => {
  const table = new Map<string, ReadonlyMap<Quantity, Result>>();
  let engine: Engine;
  beforeAll(() => {
    engine = new Engine(join(import.meta.dirname, '../../dist/engine.js'));
  });
  afterAll(() => {
    engine.dispose();
    console.log(rows(table).join('\n'));
  });

  it.each(names)('%s', async (name) => {
    const { results } = await compare(engine, name);
    table.set(name, results);
    const tolerance = toleranceOf(await fixture(name));
    for (const [quantity, result] of results) {
      expect(result, quantity).toHaveProperty('error');
      if ('error' in result) expect(result.error, quantity).toBeLessThanOrEqual(tolerance);
    }
  });
});

/** Fixtures × quantities, as `docs/models.md` shows them. */
function rows(table: ReadonlyMap<string, ReadonlyMap<Quantity, Result>>): string[] {
  const cell = (result: Result | undefined) =>
    !result ? '–' : 'error' in result ? result.error.toExponential(0) : result.gap;
  return [
    `| fixture | ${quantities.join(' | ')} |`,
    `| --- | ${quantities.map(() => '---').join(' | ')} |`,
    ...[...table].map(([name, results]) => `| ${name} | ${quantities.map((q) => cell(results.get(q))).join(' | ')} |`),
  ];
}
