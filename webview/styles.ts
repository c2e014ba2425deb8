import { css } from 'lit';

/** For screen readers alone. */
export const hiddenStyles = css`
  .hidden {
    position: absolute;
    width: 1px;
    height: 1px;
    overflow: hidden;
    clip-path: inset(50%);
    white-space: nowrap;
  }
`;

/** A plain button that looks like a link to a small action. */
export const quietButtonStyles = css`
  button.quiet {
    padding: 1px 5px;
    color: var(--muted);
    background: none;
    border: 1px solid transparent;
    border-radius: 3px;
    font: inherit;
    cursor: pointer;
  }
  button.quiet:hover,
  button.quiet[aria-pressed='true'] {
    color: var(--vscode-foreground);
    background: var(--vscode-toolbar-hoverBackground);
    border-color: var(--vscode-contrastBorder, transparent);
  }
  button.quiet:focus-visible {
    outline: 1px solid var(--vscode-focusBorder);
  }
`;
