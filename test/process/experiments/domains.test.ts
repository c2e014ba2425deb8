import { expect, it } from 'vitest';
import { compareDomains } from '../../../src/experiments/domains/compute.js';
import { presentDomains } from '../../../src/experiments/domains/present.js';
import { budget, demoModel, finish, references, startEngine, text, thresholds } from '../../support/experiments.js';

const engine = startEngine();
const corpus = (file: string) => ({ name: file, texts: [{ name: file, text: text(file) }] });

it.each(references.domains)('attention on the sink by corpus with $model equals PyTorch', async (reference) => {
  const [one = '', other = ''] = reference.files;
  const { model, sequences, length } = reference;
  const asked = { ...budget, model: demoModel(model), sequences, length, bos: undefined, thresholds };
  const result = await finish(compareDomains(engine, { ...asked, corpora: [corpus(one), corpus(other)] }));
  expect(result.heads).toHaveLength(reference.means.flat(2).length / 2);
  for (const { layer, head, shares, switches } of result.heads) {
    const expected = [0, 1].map((index) => ({
      mean: reference.means[index]?.[layer - 1]?.[head] ?? Number.NaN,
      error: reference.errors[index]?.[layer - 1]?.[head] ?? Number.NaN,
    }));
    for (const [index, { mean, error }] of expected.entries()) {
      expect(shares[index]?.mean).toBeCloseTo(mean, 5);
      expect(shares[index]?.error).toBeCloseTo(error, 5);
    }
    const [a, b] = expected as [{ mean: number; error: number }, { mean: number; error: number }];
    const apart = Math.abs(a.mean - b.mean) > 2 * Math.hypot(a.error, b.error);
    const dormant = [a, b].map(({ mean }) => mean > thresholds.epsilon);
    expect(switches !== undefined).toBe(apart && dormant[0] !== dormant[1]);
  }
  const { sentence, warnings } = presentDomains(result, { sequences: 16, length: 128 });
  const switching = result.heads.filter(({ switches }) => switches).length;
  expect(sentence).toMatch(switching === 0 ? /^No head is dormant/ : new RegExp(`^${switching} heads? of `));
  // Sixteen sequences were wanted, and twelve asked for here.
  expect(warnings).toHaveLength(2);
});

it('cuts both corpora as short as the longest text of one is, and says so', async () => {
  const asked = { ...budget, model: demoModel('llama'), sequences: 2, bos: undefined, thresholds };
  const short = { name: 'short', texts: [{ name: 'short', text: 'Summer is warm.' }] };
  const run = compareDomains(engine, { ...asked, length: 64, corpora: [corpus('media/sample.md'), short] });
  const result = await finish(run);
  expect(result.length).toBeLessThan(10);
  expect(result.corpora.map(({ sequences }) => sequences)).toEqual([1, 1]);
  expect(result.heads.some(({ switches }) => switches !== undefined)).toBe(false);
  const { settings } = presentDomains(result, { sequences: 2, length: 64 });
  expect(settings.find(({ name }) => name === 'T')?.value).toMatch(/a window of 64 was asked for/);
});
