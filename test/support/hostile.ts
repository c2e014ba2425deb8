/** What a stranger may call a tensor, a token, a model or a file. */
import fc from 'fast-check';

/** One of each kind; the reader is told what it would do where it is not taken as text. */
export const hostile: readonly string[] = [
  // A terminal
  '\u001b[2J\u001b[31mred',
  '\u001b]8;;https://example.org\u0007a link\u001b]8;;\u0007',
  '\u001b]0;a title\u001b\\',
  '\u009b31mred',
  '\u009d8;;https://example.org\u009c',
  'over\u0008\u0008\u0008\u0008what was there',
  'a bell \u0007 and a zero \u0000',
  // Lines of its own
  'a\nsinkscope: All is well.',
  'a\r\nb',
  'a\rb',
  'a\u0085b\u2028c\u2029d',
  // Notifications, hovers, Markdown
  '[Repair](command:workbench.action.terminal.new)',
  '[Repair](command:workbench.action.terminal.sendSequence?%7B%22text%22%3A%22ls%22%7D "Repair it")',
  '](command:workbench.action.quit)',
  '[a](file:///etc/passwd)',
  '![](https://example.org/picture.png)',
  '<https://example.org>',
  '<command:workbench.action.quit>',
  '<img src="https://example.org/picture.png">',
  '<script>alert(1)</script>',
  '`',
  '``` ` ``',
  '` ![](https://example.org/picture.png) `',
  ' ` ',
  '\\`\\',
  '`\n\n[a](command:sinkscope.intervene?%5B%5D)\n\n`',
  '**a** _b_ ~~c~~ | d |\n|---|',
  '- a\n# b\n> c',
  '&#91;a&#93;&#40;command:a&#41;',
  // Icons of labels
  '$(trash) gone',
  '$$(trash~spin)',
  '\\$(trash)',
  // What is not seen, or turns what is
  'model\u202Exnno.\u202C',
  '\u2066\u2067\u2068\u2069\u200E\u200F\u061C',
  'zero\u200Bwidth\u200C\u200D\u2060\uFEFF',
  'so\u00ADft\u034F\u115F\u3164\uFFA0',
  'tags\u{E0001}\u{E0041}\u{E007F}',
  'notes\uFFF9\uFFFA\uFFFB',
  'selectors a\uFE0F\u{E0100}',
  'half \uD83D of a pair \uDE00',
  // A spreadsheet
  '=HYPERLINK("https://example.org","a")',
  '=1+1',
  "+1+cmd|' /C calc'!A0",
  '-2+3',
  '@SUM(A1:A9)',
  '＝1＋1',
  '\t=1+1',
  '\r=1+1',
  ';=1+1',
  '",=1+1',
  // JavaScript
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  // File names
  '../../etc/passwd',
  'C:\\Windows\\System32',
  'a:b|c?d*e"f<g>h',
  '.hidden',
  'ends.',
  'CON',
  // A format
  '%s%n%d {0} {1}',
];

/** Those that a file can hold: UTF-8 has no halves of pairs. */
export const inFiles = hostile.filter((name) => !/\p{Cs}/u.test(name));

/** Names that are made of those, and of anything at all. */
export const names: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(...hostile),
  fc.string({ unit: 'binary', maxLength: 30 }),
  fc
    .array(fc.oneof(fc.constantFrom(...hostile), fc.string({ unit: 'grapheme-composite', maxLength: 5 })), {
      maxLength: 5,
    })
    .map((parts) => parts.join('')),
  fc
    .array(
      fc.constantFrom('[', ']', '(', ')', '`', '$', '\\', '\n', '!', '<', '>', 'a', 'command:a', '\u001b', '\u202E'),
      {
        maxLength: 20,
      },
    )
    .map((parts) => parts.join('')),
);

/** The same names in every run: a test that fails does so again. */
export const always = { seed: 20261125, numRuns: 1000 };

/**
 * What must be in no text that is shown, code point by code point: C0 and C1, breaks of lines, bidirectional controls,
 * characters without a width, and halves of pairs. By the names of UAX #9 and the Unicode Character Database.
 */
export function unseen(text: string): string[] {
  const ranges: readonly (readonly [number, number])[] = [
    [0x00, 0x1f],
    [0x7f, 0x9f],
    [0xad, 0xad],
    [0x34f, 0x34f],
    [0x61c, 0x61c],
    [0x115f, 0x1160],
    [0x180b, 0x180f],
    [0x200b, 0x200f],
    [0x2028, 0x202e],
    [0x2060, 0x206f],
    [0x3164, 0x3164],
    [0xd800, 0xdfff],
    [0xfeff, 0xfeff],
    [0xffa0, 0xffa0],
    [0xfff9, 0xfffb],
    [0xe0000, 0xe0fff],
  ];
  return [...text].filter((character) => {
    const code = character.codePointAt(0) ?? 0;
    return ranges.some(([from, to]) => from <= code && code <= to);
  });
}
