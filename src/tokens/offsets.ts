/**
 * From the tokenizer's count of Unicode code points to JavaScript's UTF-16 code units: a function that takes the
 * index of a code point of `text` (or its end) and gives the index of its first unit. A lone surrogate is one code
 * point, as it is where the text crosses into the tokenizer.
 */
export function utf16Index(text: string): (codePoint: number) => number {
  if (!/[\u{10000}-\u{10FFFF}]/u.test(text)) return (codePoint) => codePoint;
  const starts = new Uint32Array(text.length + 1);
  let codePoints = 0;
  for (let unit = 0; unit < text.length; unit += (text.codePointAt(unit) ?? 0) > 0xffff ? 2 : 1) {
    starts[codePoints++] = unit;
  }
  starts[codePoints] = text.length;
  return (codePoint) => starts[Math.min(codePoint, codePoints)] ?? text.length;
}
