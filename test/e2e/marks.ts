/** How the text of an editor looks beside the plain text: read from the page, as a person's eyes would. */
import type { Locator } from 'playwright-core';

/** Texts by what is drawn on them, from top to bottom; a text that goes over two lines is two. */
export interface Marks {
  readonly tinted: readonly string[];
  readonly bordered: readonly string[];
  /** Of the selected token. */
  readonly outlined: readonly string[];
  readonly underlined: readonly string[];
  /** Drawn between the letters, e.g. `▲`. */
  readonly signs: readonly string[];
}

/** Marks that extensions have made in `editor`, as far as it is on screen. */
export function readMarks(editor: Locator): Promise<Marks> {
  return editor.evaluate((root) => {
    const ofExtensions = '[class*="TextEditorDecorationType"]';
    // Boxes are drawn behind the text, in elements that have none: what they are about is what stands on them.
    const letters: { letter: string; x: number; y: number }[] = [];
    const texts = document.createTreeWalker(root.querySelector('.view-lines') ?? root, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      const node = texts.currentNode;
      [...(node.nodeValue ?? '')].forEach((letter, index) => {
        const range = document.createRange();
        range.setStart(node, index);
        range.setEnd(node, index + 1);
        const { left, top, width, height } = range.getBoundingClientRect();
        letters.push({ letter, x: left + width / 2, y: top + height / 2 });
      });
    }
    const under = ({ left, right, top, bottom }: DOMRect) =>
      letters
        .filter(({ x, y }) => x > left && x < right && y > top && y < bottom)
        .map(({ letter }) => letter)
        .join('')
        .replaceAll('\u00a0', ' ');
    const boxes = [...root.querySelectorAll(`.view-overlays ${ofExtensions}`)]
      .map((element) => ({ rect: element.getBoundingClientRect(), style: getComputedStyle(element) }))
      .sort((a, b) => a.rect.top - b.rect.top || a.rect.left - b.rect.left);
    const boxed = (test: (style: CSSStyleDeclaration) => boolean) =>
      boxes.filter(({ style }) => test(style)).map(({ rect }) => under(rect));
    const spans = [...root.querySelectorAll(`.view-lines ${ofExtensions}`)];
    return {
      tinted: boxed(({ backgroundColor }) => backgroundColor !== 'rgba(0, 0, 0, 0)'),
      bordered: boxed(({ borderTopStyle }) => borderTopStyle !== 'none'),
      outlined: boxed(({ outlineStyle }) => outlineStyle !== 'none'),
      underlined: spans
        .filter((span) => getComputedStyle(span).textDecorationLine.includes('underline'))
        .map((span) => span.textContent ?? ''),
      // Before the text as a hint, on it as what is drawn before a token.
      signs: [
        ...[...root.querySelectorAll('.view-lines [class*="dyn-rule"]')].map((hint) => hint.textContent ?? ''),
        ...spans
          .map((span) => getComputedStyle(span, '::before').content)
          .filter((content) => content !== 'none' && content !== 'normal')
          .map((content) => content.replaceAll('"', '')),
      ],
    };
  });
}
