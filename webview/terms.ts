/** Words that are explained where they stand. */
import { css } from 'lit';
import { withTerms } from '../src/analysis/terms.js';
import { visible } from '../src/visible.js';
import { html } from './html.js';

/** Put this beside an element's own styles to let it hold {@link inTerms} words. */
export const termStyles = css`
  abbr {
    text-decoration: underline dotted;
    text-underline-offset: 2px;
    cursor: help;
  }
`;

/** A text in which each term says on hover what it means, the first time that it is used. */
export const inTerms = (text: string) =>
  withTerms(unbroken(text)).map((piece) =>
    typeof piece === 'string' ? visible(piece) : html`<abbr title=${piece.meaning}>${piece.name}</abbr>`,
  );

/** A text to be broken into lines, but not between a number and its sign: `341 ×`, `28.4 %`, `≥ 1,000`, `÷ median`. */
export const unbroken = (text: string): string => text.replace(/(?<=\d) (?=%)| (?=×)|(?<=[≥≤<>÷]) /g, '\u00a0');
