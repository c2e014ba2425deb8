/** What a check says of a model, and the forms that continuous integration reads. */
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Evidence, headroomVerdict, kldVerdict, ratioVerdict, sameTopVerdict } from '../../../src/cli/rules.js';
import { type Checked, shown } from '../../../src/cli/verdicts.js';
import type { PrecisionResult } from '../../../src/experiments/precision/compute.js';

const point = (block: number, max: number, more: object = {}) => ({
  block,
  tensor: 'x',
  point: 'resid_post' as const,
  part: undefined,
  max,
  token: 4,
  dim: 7,
  median: 2,
  nonFinite: 0,
  firstNonFinite: undefined,
  ...more,
});
const precision = (...points: PrecisionResult['points'][number][]): PrecisionResult => {
  return { model: '', tokens: 8, prefix: undefined, layers: 3, products: [], points, keep: [], unmeasured: 0 };
};

describe('rules about one model', () => {
  it('name layer, token and dim of what breaks them', () => {
    const result = precision(point(1, 10), point(2, 131_008), point(3, 20));
    expect(headroomVerdict(result, 1)).toEqual({
      rule: 'min-fp16-headroom',
      broken: true,
      value: 0.5,
      limit: 1,
      layer: 2,
      token: 4,
      dim: 7,
      message: 'fp16 headroom is 0.5 ×, below 1 ×: |x| = 131,008 in h_2, token 4, dim 7.',
    });
    expect(ratioVerdict(result, 1000)).toMatchObject({ broken: true, value: 65_504, layer: 2, token: 4, dim: 7 });
  });

  it('hold at the limit itself', () => {
    expect(headroomVerdict(precision(point(1, 65_504)), 1)).toMatchObject({ broken: false, value: 1 });
    expect(ratioVerdict(precision(point(1, 2000)), 1000)).toMatchObject({ broken: false, value: 1000 });
  });

  it('are broken by what is no finite number, and by nothing at all', () => {
    const nan = precision(point(1, 5, { nonFinite: 3, firstNonFinite: { token: 2, dim: 9 } }));
    const there = { broken: true, layer: 1, token: 2, dim: 9 };
    expect(headroomVerdict(nan, 0.001)).toMatchObject({
      ...there,
      value: 0,
      message:
        'fp16 headroom is 0 ×, below 0.001 ×: h_1 has 3 entries that are not finite, the first at token 2, dim 9.',
    });
    expect(ratioVerdict(nan, 1e9)).toMatchObject({
      ...there,
      message:
        'h_1 has 3 entries that are not finite, so that no ratio is at most 1,000,000,000 ×: the first at token 2, dim 9.',
    });
    expect(headroomVerdict(precision(), 0).broken).toBe(true);
    expect(ratioVerdict(precision(), 1e9).broken).toBe(true);
  });
});

describe('rules about a quantised file', () => {
  const pair = (kld: number, sameTop: number, restored: readonly number[]) => ({
    kld: { mean: kld, median: kld, p99: kld, max: kld },
    sameTop,
    swap: restored.map((nats) => ({ alone: 0, restored: nats })),
    sqnr: restored.slice(1).map(() => ({ cumulative: 20, local: 20 })),
  });
  const evidence: Evidence = {
    moved: [0, 1, 2, 3].map((k) => ({ token: 10 + k, text: '"a"', dim: 7 * k })),
    worst: { token: 31, text: '" the"' },
  };

  it('name the block that it would be nearest without, the entry that it moves most, and the token where that shows', () => {
    const result = pair(0.207, 0.81, [0.2, 0.19, 0.029, 0.21, 0.2]);
    expect(kldVerdict(result, evidence, 0.1)).toEqual({
      rule: 'max-kld',
      broken: true,
      value: 0.207,
      limit: 0.1,
      layer: 2,
      token: 12,
      dim: 14,
      message:
        'KL divergence is 0.207 nats, above 0.1; with block 2 of the model it was made from KL divergence would be 0.029 nats; by itself block 2 moves dim 14 of token 12 ("a") most; predictions are farthest apart after token 31 (" the").',
    });
    expect(sameTopVerdict(result, evidence, 0.9)).toMatchObject({
      broken: true,
      value: 0.81,
      layer: 2,
      token: 12,
      dim: 14,
    });
    expect(kldVerdict(result, evidence, 0.207).broken).toBe(false);
    expect(sameTopVerdict(result, evidence, 0.81).broken).toBe(false);
  });

  it('name the token alone where the output head is behind it, for what it makes has no dims of the stream', () => {
    const verdict = kldVerdict(pair(0.2, 0.8, [0.2, 0.2, 0.19, 0.2, 0.01]), evidence, 0.1);
    expect(verdict).toMatchObject({ layer: 4, token: 31 });
    expect(verdict.dim).toBeUndefined();
  });

  it('name none where none helps and nothing moves', () => {
    const none = { moved: [], worst: { token: 3, text: '"a"' } };
    expect(kldVerdict(pair(0, 1, [0, 0]), none, 0)).toMatchObject({
      broken: false,
      layer: undefined,
      token: undefined,
      message: 'KL divergence is 0 nats, at most 0.',
    });
  });

  it('are broken by NaN, with the first block that makes no numbers or the one that mends them', () => {
    const lost = {
      ...pair(Number.NaN, Number.NaN, Array(4).fill(Number.NaN)),
      sqnr: [20, 20, Number.NaN].map((cumulative) => ({ cumulative, local: 20 })),
    };
    const verdict = kldVerdict(lost, evidence, 1e9);
    expect(verdict).toMatchObject({ broken: true, layer: 2, token: 12, dim: 14 });
    expect(verdict.message).toMatch(/^KL divergence is no number \(NaN\), .* are no numbers, the first after token 31/);
    expect(sameTopVerdict(lost, evidence, 0).broken).toBe(true);
    const mended = pair(Number.NaN, Number.NaN, [Number.NaN, 0.3, Number.NaN, Number.NaN]);
    expect(kldVerdict(mended, evidence, 1e9)).toMatchObject({ broken: true, layer: 1 });
  });
});

describe('forms', () => {
  const checked: Checked = {
    model: 'models/a&b<1>.onnx',
    against: undefined,
    file: 'text.md',
    lineEnds: 'lf',
    verdicts: [
      { rule: 'max-kld', broken: true, value: 2, limit: 1, layer: 2, message: 'KL "divergence" is | 2 <nats>.' },
      { rule: 'min-same-top', broken: false, value: 1, limit: 0.9, message: 'Fine.' },
    ],
  };
  const lines = (format: 'text' | 'junit' | 'markdown') => {
    const printed = shown(checked, format);
    return 'lines' in printed ? printed.lines : [];
  };

  it('text is a line for each rule that is broken', () => {
    expect(lines('text')).toEqual(['max-kld: KL "divergence" is | 2 <nats>.']);
    const holding = { ...checked, verdicts: checked.verdicts.slice(1) };
    expect(shown(holding, 'text')).toEqual({ lines: ['The rule holds.'] });
  });

  it('junit has a case for each rule, and nothing in it is markup', () => {
    expect(lines('junit').join('\n')).toBe(`<?xml version="1.0" encoding="UTF-8"?>
<testsuites tests="2" failures="1" errors="0">
  <testsuite name="sinkscope check" tests="2" failures="1" errors="0">
    <testcase classname="models/a&amp;b&lt;1&gt;.onnx" name="max-kld">
      <failure type="max-kld" message="KL &quot;divergence&quot; is | 2 &lt;nats&gt;.">KL &quot;divergence&quot; is | 2 &lt;nats&gt;.</failure>
    </testcase>
    <testcase classname="models/a&amp;b&lt;1&gt;.onnx" name="min-same-top"/>
  </testsuite>
</testsuites>`);
  });

  it('sarif has a result for each rule that is broken', () => {
    expect(shown(checked, 'sarif')).toMatchObject({
      json: {
        version: '2.1.0',
        runs: [
          {
            tool: { driver: { name: 'Sinkscope', rules: [{ id: 'max-kld' }, { id: 'min-same-top' }] } },
            results: [
              {
                ruleId: 'max-kld',
                level: 'error',
                message: { text: 'KL "divergence" is | 2 <nats>.' },
                locations: [{ physicalLocation: { artifactLocation: { uri: 'models/a%26b%3C1%3E.onnx' } } }],
                properties: { value: 2, limit: 1, layer: 2 },
              },
            ],
          },
        ],
      },
    });
  });

  it('sarif has places of files as references: nothing in a name is a query or a fragment', () => {
    const uriOf = (model: string) =>
      JSON.stringify(shown({ ...checked, model }, 'sarif')).match(/"uri":"([^"]*)"/)?.[1];
    expect(uriOf('a#b?c%41/ü.onnx')).toBe('a%23b%3Fc%2541/%C3%BC.onnx');
    expect(uriOf(resolve('a#b.onnx'))).toMatch(/^file:\/\/\/.*a%23b\.onnx$/);
  });

  it('markdown is a table whose cells hold no markup', () => {
    expect(lines('markdown')).toContain('| max-kld | broken | KL "divergence" is \\| 2 \\<nats\\>. |');
  });

  it('json has every rule, null where nothing is said', () => {
    expect(shown(checked, 'json')).toMatchObject({
      json: {
        ok: false,
        against: null,
        rules: [{ rule: 'max-kld', layer: 2, token: null, dim: null }, { broken: false }],
      },
    });
  });
});
