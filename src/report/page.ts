/** A report as one HTML file that asks the network for nothing: the panel's own page with what it is told inside of it. */
import { visible } from '../visible.js';
import type { Contents } from './contents.js';
import { pack } from './pack.js';

/** Files of the built webview, as text. */
export interface Assets {
  readonly style: string;
  /** Plays the host, and begins the panel. */
  readonly host: string;
  readonly panel: string;
}

export interface PageOptions {
  readonly title: string;
  /** What is read where scripts are off. */
  readonly sentence: string;
  /** Of no other file and known to nobody before: with it only what is written here runs. In base64. */
  readonly nonce: string;
}

/**
 * The whole page. What it holds, the panel's code too, is compressed and in base64, whose letters end no element; title
 * and sentence are the only texts in the markup, and have no sign of it.
 *
 * @throws Error where a script cannot stand in a page as it is
 */
export function reportPage(contents: Contents, { style, host, panel }: Assets, options: PageOptions): string {
  const { title, sentence, nonce } = options;
  if (!/^[A-Za-z0-9+/]{20,}={0,2}$/.test(nonce)) throw new Error('A nonce is at least 20 letters of base64.');
  const policy = [
    `default-src 'none'`,
    `script-src 'nonce-${nonce}'`,
    `style-src 'nonce-${nonce}'`,
    `img-src blob: data:`,
    `base-uri 'none'`,
    `form-action 'none'`,
  ].join('; ');
  const packed = pack({ ...contents, panel: withoutMap(panel) });
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="Sinkscope">
<link rel="icon" href="data:,">
<title>${escaped(title)}</title>
<style nonce="${nonce}">
${inElement(style, 'style')}
</style>
</head>
<body data-view="report">
<noscript><h1>${escaped(title)}</h1><p>${escaped(sentence)}</p><p>The figures are drawn by the scripts of this file: allow them to see more.</p></noscript>
<script type="application/octet-stream" id="contents">${Buffer.from(packed).toString('base64')}</script>
<script type="module" nonce="${nonce}">
${inElement(host, 'script')}
</script>
</body>
</html>
`;
}

/** A text as that of an element, or of an attribute in quotation marks. */
function escaped(text: string): string {
  return visible(text).replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
}

/** Code without the map that lies beside it. */
const withoutMap = (code: string) => code.replace(/^\/[/*]# sourceMappingURL=.*$/gm, '').trim();

/** Code as an element's text, with nothing that ends the element. */
function inElement(code: string, element: 'script' | 'style'): string {
  const own = withoutMap(code);
  // In strings and patterns, where alone it can stand, a slash may be escaped.
  const safe = element === 'script' ? own.replace(/<\/(?=script)/gi, '<\\/') : own;
  const ends = element === 'script' ? /<script/i : /<\/style/i;
  if (ends.test(safe)) throw new Error(`The built webview holds ${ends.source}, which cannot stand in a page.`);
  return safe;
}
