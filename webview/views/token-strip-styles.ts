/** How tokens, their tints and the rings round them look. */
import { css, unsafeCSS } from 'lit';
import { askedTints, tintEdge, tintLevels } from '../../src/analysis/tint.js';

export const levels = Array.from({ length: tintLevels }, (_, index) => index + 1);

/** Where contrast is high, a line below grows with the level too: backgrounds alone are hard to tell from black. */
const tintStyles = ['tint', ...askedTints]
  .flatMap((name) =>
    levels.map(
      (level) =>
        `.${name}${level} {
         background: var(--vscode-sinkscope-${name}${level});
         box-shadow: inset 0 -${tintEdge(level)}px var(--vscode-sinkscope-tintEdge, transparent);
       }
       /* In the key, whose lines are low, beneath the number: within it, it would cut off the digits' feet. */
       .swatch.${name}${level} {
         box-shadow: 0 ${tintEdge(level)}px var(--vscode-sinkscope-tintEdge, transparent);
       }`,
    ),
  )
  .join('\n');

/**
 * Chromium keeps what it has painted of an element that has a transform, so that a thousand tokens are left as they are
 * when something around them changes: the rings, which move from token to token.
 */
export const tokenStripStyles = css`
    .key > * {
      display: inline-flex;
      flex-wrap: wrap;
      align-items: baseline;
      gap: 4px;
    }
    .swatch {
      padding: 0 4px;
      border-radius: 3px;
      color: var(--vscode-foreground);
      white-space: nowrap;
    }
    .tokens {
      position: relative;
      max-height: 12em;
      overflow: auto;
      font-family: var(--vscode-editor-font-family, monospace);
      line-height: 1.7;
    }
    .tokens:focus-visible {
      outline: 1px solid var(--vscode-focusBorder);
      outline-offset: 2px;
    }
    .token {
      display: inline-block;
      margin: 0 1px;
      padding: 0 2px;
      border: 1px solid transparent;
      border-radius: 3px;
      line-height: 1.4;
      max-width: 100%;
      overflow-wrap: anywhere;
      white-space: pre-wrap;
      cursor: pointer;
    }
    .named .token { margin-inline: 6px; } /* Names have blanks of their own: patches, nodes. */
    .role {
      margin: 0 2px 0 6px;
      padding: 0 4px;
      border-left: 3px solid var(--muted);
      font: 0.85em var(--vscode-font-family, sans-serif);
      color: var(--muted);
      user-select: none;
    }
    .template {
      color: var(--muted);
    }
    .token small {
      font-size: 0.75em;
      color: var(--muted);
    }
    .token:hover {
      border-color: var(--vscode-foreground);
    }
    .flow {
      transform: translate(0);
    }
    .ring {
      position: absolute;
      border-radius: 3px;
      pointer-events: none;
    }
    .ring.selected {
      outline: 2px solid var(--vscode-focusBorder);
    }
    .tokens:focus-visible .ring.active {
      outline: 2px dashed var(--vscode-foreground);
    }
    ${unsafeCSS(tintStyles)}
  `;
