/** SentencePiece's compiled normalisation, `precompiled_charsmap`: a trie of what is replaced, and the replacements. */

/**
 * What would lead the native library out of bounds, over which it ends the whole process: it goes from unit to unit of
 * the trie wherever their numbers say, and takes the replacement wherever a leaf says. All that a text could lead it to
 * is looked at, in some 40 ms for SentencePiece's own. The layout is that of Darts-clone, as the library's crate spm_precompiled reads it.
 *
 * @param charsmap as it stands in `tokenizer.json`, in base64; one that is none is refused by the library itself
 * @returns the fault, in words that follow "its precompiled_charsmap"; undefined where it is sound
 */
export function charsmapFault(charsmap: string): string | undefined {
  const bytes = Buffer.from(charsmap, 'base64');
  if (bytes.length < 4) return 'is empty';
  const count = bytes.readUInt32LE(0) >>> 2;
  const start = 4 * (1 + count);
  if (count === 0) return 'has no trie';
  if (start > bytes.length) return 'is cut off';
  // Little-endian, as every machine that Sinkscope runs on.
  const trie = new Uint32Array(bytes.buffer.slice(bytes.byteOffset + 4, bytes.byteOffset + start));
  const replacements = bytes.subarray(start);

  const outside = 'leads out of its trie';
  const seen = new Uint8Array(count);
  const states = [offsetOf(trie[0] ?? 0)];
  for (let state = states.pop(); state !== undefined; state = states.pop()) {
    if (state >= count) return outside;
    if (seen[state] === 1) continue;
    seen[state] = 1;
    // A text has any byte next but 0, which ends it.
    for (let byte = 1; byte < 256; byte++) {
      const place = state ^ byte;
      const unit = trie[place];
      if (unit === undefined) return outside;
      if ((unit & labelBits) >>> 0 !== byte) continue;
      const next = place ^ offsetOf(unit);
      if (isLeaf(unit)) {
        const leaf = trie[next];
        if (leaf === undefined) return outside;
        if (!isBoundary(replacements, leaf & valueBits)) return 'leads out of its replacements';
      }
      states.push(next);
    }
  }
  return undefined;
}

/** A unit that holds a value, not a label, has the highest bit. */
const labelBits = 0x8000_00ff;
const valueBits = 0x7fff_ffff;
const isLeaf = (unit: number) => ((unit >>> 8) & 1) === 1;
/** What a place is XORed with: 22 bits, by 256 where bit 9 says so. */
const offsetOf = (unit: number) => (unit >>> 10) << ((unit & 0x200) >>> 6);

/** Whether a character begins at `place`, or the text ends there. */
function isBoundary(text: Uint8Array, place: number): boolean {
  return place === text.length || (place < text.length && ((text[place] ?? 0) & 0xc0) !== 0x80);
}
