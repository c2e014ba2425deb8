import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { defaultThresholds } from '../../../src/analysis/thresholds.js';
import type { Description } from '../../../src/engine/contract/description.js';
import { description } from '../../../src/engine/contract/description.js';
import { checkSaid } from '../../../src/engine/contract/protocol.js';
import { blocksSvg } from '../../../webview/model/blocks-svg.js';
import { differencesOf } from '../../../webview/model/differences.js';
import { drawingOf } from '../../../webview/model/drawing.js';
import { layerFacts } from '../../../webview/model/facts.js';
import { at, found } from '../../support/lists.js';

const recorded: { descriptions: Record<string, unknown> } = JSON.parse(
  readFileSync(new URL('../../../webview/dev/runs/descriptions.json', import.meta.url), 'utf8'),
);

/** What the engine said of a file, checked as it arrives. */
const described = (name: string): Description => checkSaid(description, recorded.descriptions[name], 'description');
const fact = (drawn: ReturnType<typeof drawingOf>, name: string) =>
  found(drawn.facts, (one) => one.name === name).value;

it('a model with its pattern in the graph is drawn block by block', () => {
  const drawing = drawingOf(described('llama'));
  expect(drawing.blocks.map(({ layer, parts }) => [layer, ...parts.map(({ title }) => title)])).toEqual(
    Array.from({ length: 8 }, (_, index) => [index + 1, 'Attention', 'MLP']),
  );
  const [attention, mlp] = at(drawing.blocks, 0).parts;
  expect(attention).toMatchObject({
    facts: ['4 heads of 64', 'pattern in the graph'],
    fused: undefined,
    types: ['float16'],
  });
  expect(mlp).toMatchObject({ facts: ['704 wide'], types: ['float16'] });
  // 8,192 × 256 + 8 × (4 × 256² + 3 × 256 × 704 + 2 × 256) + 256 of the final norm, and 32 rotary frequencies.
  expect(fact(drawing, 'parameters')).toBe(
    (8192 * 256 + 8 * (4 * 256 ** 2 + 3 * 256 * 704 + 512) + 256 + 32).toLocaleString('en-US'),
  );
  expect(drawing.start).toBe('embedding of input_ids');
  expect(drawing.end).toEqual(['final norm', 'output head: logits']);
});

it('what is fused is named with what is rebuilt of it, and numbers that are packed are no bytes', () => {
  const drawing = drawingOf(described('int4'));
  const [attention] = at(drawing.blocks, 0).parts;
  expect(attention?.fused).toBe('com.microsoft.GroupQueryAttention');
  expect(attention?.facts).toContain('pattern rebuilt from its inputs');
  expect(attention?.types).toEqual(['4-bit']);
  expect(fact(drawing, 'parameters')).toBe(fact(drawingOf(described('fp32')), 'parameters'));
  expect(found(drawing.facts, ({ name }) => name === 'tokenizer').doubt).toBe(true);
});

it('experts are drawn in the place of an MLP, and why it has no intermediate is told', () => {
  const drawing = drawingOf(described('experts'));
  expect(drawing.blocks.map(({ parts }) => parts.map(({ title, facts }) => [title, facts[0]]).at(-1))).toEqual(
    Array.from({ length: 3 }, () => ['Experts', '2 of 4 for each token']),
  );
  expect(drawing.missing.map(({ value }) => value).join()).toContain('mixture of experts');
});

it('the place is marked where precision changes, and no other', () => {
  const llama = described('llama');
  const weights = llama.weights.map((weight) =>
    (weight.block ?? 0) >= 3 && (weight.block ?? 0) <= 5 && weight.part !== undefined
      ? { ...weight, type: 'int8' }
      : weight,
  );
  const changes = drawingOf({ ...llama, weights }).blocks.map(({ change }) => change);
  expect(changes).toEqual([
    ...[undefined, undefined],
    'weights change from float16 to int8',
    ...[undefined, undefined],
    'weights change from int8 to float16',
    ...[undefined, undefined],
  ]);
});

it('a graph that is no transformer is told as what it is', () => {
  const problem = { code: 'not-a-transformer', message: 'It has no residual stream.' } as const;
  const drawing = drawingOf({ ...described('fp32'), anatomy: { found: false, problem } });
  expect(drawing.blocks).toEqual([]);
  expect(drawing.inputs.map(({ name }) => name)).toContain('input_ids');
  expect(fact(drawing, 'operators')).toContain('3 × com.microsoft.GroupQueryAttention');
});

describe('comparing', () => {
  const side = (name: string) => ({ description: described(name), drawing: drawingOf(described(name)) });

  it('a file with itself finds nothing', () => {
    expect(differencesOf(side('llama'), side('llama'))).toEqual({ rows: [], blocks: new Set() });
  });

  it('a quantised file with the one it is made of finds what was quantised', () => {
    const { rows, blocks } = differencesOf(side('fp32'), side('int4'));
    expect(blocks).toEqual(new Set([1, 2, 3]));
    expect(found(rows, ({ what }) => what === 'block 1–3').there).toContain('4-bit');
    expect(rows.map(({ what }) => what)).not.toContain('hidden size');
    expect(found(rows, ({ what }) => what === 'precision')).toMatchObject({ here: 'float 100 %' });
  });

  it('a block that one of them does not have is one that differs', () => {
    const shorter = side('llama');
    const drawing = { ...shorter.drawing, blocks: shorter.drawing.blocks.slice(0, 7) };
    const { rows, blocks } = differencesOf(side('llama'), { ...shorter, drawing });
    expect(blocks).toEqual(new Set([8]));
    expect(found(rows, ({ what }) => what === 'block 8').there).toBe('none');
  });
});

it('a layer says where in the graph it is', () => {
  const llama = described('llama');
  const inspection = llama.anatomy.found ? llama.anatomy.inspection : undefined;
  const facts = layerFacts(drawingOf(llama), inspection, 3);
  expect(found(facts, ({ name }) => name === 'h_3').value).toBe(inspection?.anatomy.blocks[2]?.residPost);
  expect(layerFacts(drawingOf(llama), inspection, 0)).toEqual([{ name: 'h_0', value: inspection?.anatomy.embedding }]);
});

it('many blocks stand in columns of about a page’s shape, each once and none on another', () => {
  const drawing = drawingOf(described('llama'));
  const [block] = drawing.blocks;
  if (!block) throw new Error('The model has blocks.');
  const tone = Array.from({ length: 256 }, () => ({ color: 'white', text: 'black' }));
  const ramp = { ramp: new Uint32Array(256), tones: tone };
  const ink = { foreground: 'black', muted: 'black', line: 'black', focus: 'black', massive: 'red', large: 'red' };
  const theme = {
    ...ink,
    background: 'white',
    sink: 'blue',
    series: ['black'],
    parts: { attention: 'blue', cross: 'blue', mlp: 'green', experts: 'green' },
    font: 'sans-serif',
    highContrast: false,
    ramps: { magnitude: ramp, attention: ramp, difference: ramp },
  } as const;
  const shown = { differing: new Set<number>(), thresholds: defaultThresholds };
  for (const count of [1, 12, 30, 96, 200]) {
    const blocks = Array.from({ length: count }, (_, index) => ({ ...block, layer: index + 1 }));
    const files = [{ name: 'many', drawing: { ...drawing, blocks }, multiples: [] }];
    const { svg, width, height } = blocksSvg(files, shown, theme);
    const states = [...svg.matchAll(/<text x="([\d.]+)" y="([\d.]+)"[^>]*>(h_\d+)</g)];
    expect(states.map(([, , , name]) => name)).toEqual(Array.from({ length: count + 1 }, (_, k) => `h_${k}`));
    expect(new Set(states.map(([, x, y]) => `${x} ${y}`)).size).toBe(count + 1);
    for (const [, x, y] of states) {
      expect(Number(x)).toBeLessThan(width);
      expect(Number(y)).toBeLessThan(height);
    }
    expect(height).toBeLessThan(Math.max(1100, 1.7 * width));
  }
});
