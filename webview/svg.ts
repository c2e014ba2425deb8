/** Pieces of SVG as text. What somebody else wrote gets in by {@link svgText} alone, and is neither markup nor unseen there. */
import { visible } from '../src/visible.js';

export interface TextStyle {
  readonly size?: number;
  readonly fill: string;
  readonly anchor?: 'start' | 'middle' | 'end';
  readonly bold?: boolean;
  /** Turned by so many degrees about its place. */
  readonly turned?: number;
}

/** A line of text whose baseline is at `y`. */
export function svgText(x: number, y: number, text: string, style: TextStyle): string {
  const { size = 11, fill, anchor = 'start', bold = false, turned } = style;
  const turn = turned === undefined ? '' : ` transform="rotate(${turned} ${rounded(x)} ${rounded(y)})"`;
  const weight = bold ? ' font-weight="600"' : '';
  return `<text x="${rounded(x)}" y="${rounded(y)}" font-size="${size}" fill="${escaped(fill)}" text-anchor="${anchor}"${weight}${turn} xml:space="preserve">${escaped(text)}</text>`;
}

export function svgRect(x: number, y: number, width: number, height: number, fill: string): string {
  return `<rect x="${rounded(x)}" y="${rounded(y)}" width="${rounded(width)}" height="${rounded(height)}" fill="${escaped(fill)}"/>`;
}

/** As text or attribute of XML 1.0, which has no place at all for controls and halves of pairs: they come written out. */
export function escaped(text: string): string {
  return visible(text).replace(/[&<>"'\uFFFE\uFFFF]/g, (sign) =>
    sign >= '\uFFFE' ? `\\u{${sign.charCodeAt(0).toString(16)}}` : `&#${sign.charCodeAt(0)};`,
  );
}

export const rounded = (value: number): number => Math.round(value * 100) / 100;

/** About as wide as a text is in a sans-serif of this size: signs of East Asia are twice as wide as letters. */
export function textWidth(text: string, size = 11): number {
  const units = [...visible(text)].map((sign) =>
    /[\u1100-\u11FF\u2E80-\uFFEF\u{1F000}-\u{1FFFF}\u{20000}-\u{3FFFF}]/u.test(sign) ? 1 : 0.6,
  );
  return size * units.reduce((sum, unit) => sum + unit, 0);
}

/** A text as lines that have room, broken at blanks, and where a word has none, within it. */
export function wrapped(text: string, room: number, size = 11): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of visible(text).split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (textWidth(longer, size) <= room) {
      line = longer;
      continue;
    }
    if (line !== '') lines.push(line);
    line = '';
    for (const sign of word) {
      if (line !== '' && textWidth(line + sign, size) > room) {
        lines.push(line);
        line = '';
      }
      line += sign;
    }
  }
  return line === '' ? lines : [...lines, line];
}
