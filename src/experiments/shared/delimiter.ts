const delimiters: ReadonlySet<string> = new Set(['.', ',', ';', ':', '!', '?']);

/**
 * Index of the first delimiter, the other place of massive activations beside the first token (arXiv:2402.17762).
 *
 * @param texts of the tokens; one counts as a delimiter where it is one of . , ; : ! ? but for spaces
 * @returns undefined where none follows the first token
 */
export function firstDelimiter(texts: readonly string[]): number | undefined {
  const index = texts.findIndex((text, i) => i > 0 && delimiters.has(text.trim()));
  return index < 0 ? undefined : index;
}
