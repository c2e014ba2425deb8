import { css } from 'lit';
import { visible } from '../src/visible.js';

/** Put this beside an element's own styles to let it hold a {@link Tooltip}. */
export const tooltipStyles = css`
  .tooltip {
    position: fixed;
    z-index: 10;
    inset: 0 auto auto 0;
    max-width: min(40ch, 90vw);
    padding: 4px 8px;
    pointer-events: none;
    white-space: pre-line;
    font-variant-numeric: tabular-nums;
    color: var(--vscode-editorHoverWidget-foreground, var(--vscode-editor-foreground));
    background: var(--vscode-editorHoverWidget-background, var(--vscode-editor-background));
    border: 1px solid var(--vscode-editorHoverWidget-border, var(--vscode-contrastBorder, currentColor));
    border-radius: 3px;
  }
  .tooltip::first-line {
    font-weight: 600;
  }
  .tooltip[hidden] {
    display: none;
  }
`;

/** Shows `lines` beside a box of the screen, within the window. The element is a `<div class="tooltip" hidden>`. */
export function showTooltip(element: HTMLElement, box: DOMRectReadOnly, lines: readonly string[]): void {
  element.textContent = lines.map(visible).join('\n');
  element.hidden = false;
  const { width, height } = element.getBoundingClientRect();
  const below = box.bottom + 6;
  const top = below + height < innerHeight ? below : box.top - height - 6;
  const left = Math.max(4, Math.min(box.left + 8, innerWidth - width - 4));
  element.style.transform = `translate(${Math.round(left)}px, ${Math.round(Math.max(4, top))}px)`;
}
