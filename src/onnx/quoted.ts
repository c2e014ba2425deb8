/** Names from untrusted files, in sentences. */
const longest = 120;

/** A name from an untrusted file, fit for a sentence: on one line and not endless. */
export function shown(name: string): string {
  const line = name.replace(/\p{Cc}/gu, '\u{FFFD}');
  return line.length > longest ? `${line.slice(0, longest)}…` : line;
}

/** As {@link shown}, in quotation marks. */
export function quoted(name: string): string {
  return `"${shown(name)}"`;
}
