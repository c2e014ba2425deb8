import { describe, expect, it } from 'vitest';
import {
  counted,
  formatAligned,
  formatNumber,
  formatRatio,
  formatShare,
  formatValue,
} from '../../../src/analysis/format.js';
import { layerName, quotedLabel, quotedText, textLabel, tokenLabel, tokenLabels } from '../../../src/analysis/label.js';

const text = (text: string) => ({ id: 7, text, start: 3, end: 3 + text.length, special: false });
const special = (text: string, start = 0) => ({ id: 7, text, start, end: start, special: true });

describe('tokenLabel', () => {
  it.each([
    [text(' the'), '·the'],
    [text('\r\n\t'), '␍↵⇥'],
    [text('a\u00a0b\u0000\u007f\u0085'), 'a⍽b\\u{0}\\u{7f}\\u{85}'],
    [text('\u202eab\u200b'), '\\u{202e}ab\\u{200b}'],
    [special('a\u001b[2J\n'), '⟨a\\u{1b}[2J\\u{a}⟩'],
    [text('🙂'), '🙂'],
    [text(''), '⟨7⟩'],
    [text('<s>'), '<s>'],
    [special('<s>'), '⟨bos⟩'],
    [special('<|endoftext|>'), '⟨bos⟩'],
    [special('<|begin_of_text|>'), '⟨bos⟩'],
    [special('<｜begin▁of▁sentence｜>'), '⟨bos⟩'],
    [special('<|endoftext|>', 20), '⟨endoftext⟩'],
    [special('<|sink|>'), '⟨sink⟩'],
    [special('[CLS]'), '⟨CLS⟩'],
    [special('</s>', 9), '⟨/s⟩'],
    [{ ...special('\n', 9), role: 'template' as const }, '⟨↵⟩'],
  ])('shows %j as %s', (token, label) => {
    expect(tokenLabel(token)).toBe(label);
  });
});

it('quotes a token in a sentence, unless it is special', () => {
  const token = { id: 1, text: ' a', start: 0, end: 2, special: false };
  expect(quotedLabel(token)).toBe('“·a”');
  expect(quotedLabel({ ...token, text: '</s>', special: true })).toBe('⟨/s⟩');
});

it('knows a token that controls a model by its text where that can be nothing else', () => {
  expect([textLabel('<|endoftext|>'), quotedText('<|im_end|>')]).toEqual(['⟨endoftext⟩', '⟨im_end⟩']);
  expect([textLabel('<s>'), textLabel('[CLS]'), textLabel('<|'), quotedText(' a')]).toEqual([
    '<s>',
    '[CLS]',
    '<|',
    '“·a”',
  ]);
});

it('shows a prediction by its text, and by its id where it has none', () => {
  expect([textLabel(' sea'), textLabel('', 5), textLabel('<s>', 1)]).toEqual(['·sea', '⟨5⟩', '<s>']);
});

it('leaves the names of patches and rows as they are', () => {
  const event = {
    type: 'tokens',
    tokens: [text('patch 0,1')],
    total: 1,
    window: { start: 0, end: 1 },
    tokenizer: false,
  } as const;
  expect(tokenLabels({ ...event, source: 'image' })).toEqual(['patch 0,1']);
  expect(tokenLabels({ ...event, source: 'features' })).toEqual(['patch 0,1']);
  expect(tokenLabels({ ...event, source: 'text' })).toEqual(['patch·0,1']);
});

it.each([
  // UTF-8 by Python: '今'.encode() is e4 bb 8a, '🙂' f0 9f 99 82, 'é' c3 a9.
  [
    ['‹0xE4›', '‹0xBB›', '‹0x8A›'],
    ['今¹', '今²', '今³'],
  ],
  [
    [' ‹0xF0›‹0x9F›', '‹0x99›', '‹0x82›!'],
    ['·🙂¹', '🙂²', '🙂³!'],
  ],
  [
    ['‹0xE4›‹0xBB›', '‹0x8A›‹0xC3›', '‹0xA9›'],
    ['今¹', '今²é¹', 'é²'],
  ],
  // No characters: a continuation alone, a beginning alone, one with something between.
  [
    ['‹0x8A›', '‹0xE4›', 'a', '‹0xBB›'],
    ['‹0x8A›', '‹0xE4›', 'a', '‹0xBB›'],
  ],
  [
    ['‹0xED›', '‹0xA0›', '‹0x80›', '‹'],
    ['‹0xED›', '‹0xA0›', '‹0x80›', '‹'],
  ],
])('shows the tokens %j of split characters as %j', (texts, labels) => {
  expect(tokenLabels({ tokens: texts.map(text), source: 'text' })).toEqual(labels);
});

it('calls h_0 the embedding', () => {
  expect([0, 1, 12].map(layerName)).toEqual(['embed', '1', '12']);
});

describe('numbers', () => {
  it.each([
    [2083.63, '+2,084'],
    [-173.2, '−173'],
    [0.063537, '+0.0635'],
    [38.24, '+38.2'],
    [99.97, '+100'],
    [0, '0'],
    [Number.NEGATIVE_INFINITY, '−∞'],
    [Number.NaN, 'NaN'],
  ])('%d is shown as %s', (value, shown) => {
    expect(formatValue(value)).toBe(shown);
  });

  it('shows ratios as multiples, without a sign', () => {
    expect(formatRatio(2298.4)).toBe('2,298 ×');
    expect(formatRatio(Number.POSITIVE_INFINITY)).toBe('∞ ×');
    expect(formatNumber(1.005)).toBe('1.01');
  });

  it('counts no noughts of what is tiny', () => {
    expect([1e-5, 5.8234e-7, -4e-9, 0].map(formatNumber)).toEqual(['0.00001', '5.82e−7', '−4e−9', '0']);
    expect([1e-5, 5.8e-7, 3.5, 81, 0].map(formatAligned)).toEqual(['0.0000100', '5.80e−7', '3.50', '81.0', '0']);
  });

  it('shows shares in percent, and the least of them as less than can be told', () => {
    expect([0.399, -0.0123, 0, 1e-5, 9e-6, -9e-6].map(formatShare)).toEqual([
      '39.9 %',
      '−1.23 %',
      '0 %',
      '0.001 %',
      '< 0.001 %',
      '< 0.001 %',
    ]);
  });

  it('counts in the singular and in the plural', () => {
    expect([0, 1, 2].map((count) => counted(count, 'window'))).toEqual(['0 windows', '1 window', '2 windows']);
  });
});
