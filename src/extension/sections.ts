/** Sections of a page of documentation. Pure. */

/**
 * The address of the section about an experiment within docs/experiments.md, as Markdown's viewers make it of a heading:
 * that which the table of its inputs stands in. Undefined where there is none.
 */
export function sectionOf(page: string, experiment: string): string | undefined {
  const table = page.indexOf(`<!-- inputs of ${experiment} -->`);
  const heading = [...page.slice(0, Math.max(0, table)).matchAll(/^#{2,3} (.+)$/gm)].at(-1)?.[1];
  return heading
    ?.toLowerCase()
    .replace(/[^\p{L}\p{N}\s-]/gu, '')
    .replaceAll(/\s+/g, '-');
}
