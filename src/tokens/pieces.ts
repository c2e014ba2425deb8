/** How a tokenizer spells text in its vocabulary, and back: one piece at a time, so that halves of characters can be shown. */

/** Which spellings a tokenizer uses; from its `tokenizer.json`. */
export interface Spelling {
  /** Every byte is one printable character (GPT-2's alphabet). */
  readonly byteLevel: boolean;
  /** `<0x0A>` stands for a byte. */
  readonly byteFallback: boolean;
  /** What stands for a space (`▁`), if anything. */
  readonly space: string | undefined;
  /** What ends a word (`</w>`), if anything. */
  readonly wordEnd: string | undefined;
}

/** The text a piece stands for; bytes that are only part of a character as `‹0xE2›`. */
export function pieceText(piece: string, spelling: Spelling): string {
  if (spelling.byteLevel) {
    const bytes = Array.from(piece, (character) => byteOfCharacter.get(character));
    return bytes.every((byte) => byte !== undefined) ? bytesText(Uint8Array.from(bytes)) : piece;
  }
  const byte = spelling.byteFallback ? fallbackByte(piece) : undefined;
  if (byte !== undefined) return bytesText(Uint8Array.of(byte));
  let text = piece;
  if (spelling.wordEnd && text.endsWith(spelling.wordEnd)) text = `${text.slice(0, -spelling.wordEnd.length)} `;
  return spelling.space ? text.replaceAll(spelling.space, ' ') : text;
}

function fallbackByte(piece: string): number | undefined {
  const hex = /^<0x([0-9A-Fa-f]{2})>$/.exec(piece)?.[1];
  return hex === undefined ? undefined : Number.parseInt(hex, 16);
}

/**
 * The byte-to-character table of GPT-2's byte-level BPE: printable Latin-1 stands for itself, the other 68 bytes
 * are, in order, the characters from U+0100 on.
 */
const byteOfCharacter: ReadonlyMap<string, number> = (() => {
  const table = new Map<string, number>();
  let next = 0x100;
  for (let byte = 0; byte < 256; byte++) {
    const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte !== 0xad);
    table.set(String.fromCodePoint(printable ? byte : next++), byte);
  }
  return table;
})();

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function bytesText(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at] ?? 0;
    const length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    try {
      text += utf8.decode(bytes.subarray(at, at + length));
      at += length;
    } catch {
      text += `‹0x${first.toString(16).toUpperCase()}›`;
      at++;
    }
  }
  return text;
}
