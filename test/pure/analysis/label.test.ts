import { describe, expect, it } from 'vitest';
import { formatNumber, formatRatio, formatValue } from '../../../src/analysis/format.js';
import { tokenLabel } from '../../../src/analysis/label.js';

const text = (text: string) => ({ id: 7, text, start: 3, end: 3 + text.length, special: false });
const special = (text: string, start = 0) => ({ id: 7, text, start, end: start, special: true });

describe('tokenLabel', () => {
  it.each([
    [text(' the'), '·the'],
    [text('\r\n\t'), '␍↵⇥'],
    [text('a\u00a0b\u0000\u007f\u0085'), 'a⍽b␀␡·'],
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
  ])('shows %j as %s', (token, label) => {
    expect(tokenLabel(token)).toBe(label);
  });
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
});
