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
    min-width: 24px;
    min-height: 24px;
    padding: 1px 5px;
    color: var(--muted);
    background: none;
    border: 1px solid transparent;
    border-radius: 3px;
    font: inherit;
    cursor: pointer;
  }
  button.quiet.icon {
    padding: 3px;
    vertical-align: middle;
  }
  button.quiet:disabled {
    opacity: 0.5;
    cursor: default;
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

/** The line under a picture that says what its colours and marks mean. */
export const keyStyles = css`
  .key {
    display: flex;
    flex-wrap: wrap;
    align-items: center;
    gap: 2px 12px;
    margin-top: 4px;
    font-size: 0.92em;
    color: var(--muted);
  }
`;

/** A drawing of Observable Plot and the list of its series under it. */
export const plotStyles = css`
  svg {
    display: block;
    max-width: 100%;
    overflow: visible;
  }
  ul {
    display: flex;
    flex-wrap: wrap;
    gap: 2px 14px;
    margin: 4px 0 0;
    padding: 0;
    list-style: none;
    font-size: 0.92em;
    color: var(--muted);
  }
`;

/** What a token is, around it and as a mark inside it. */
export const markStyles = css`
  .massive {
    border-color: var(--massive);
  }
  .large {
    border-style: dashed;
    border-color: var(--large);
  }
  .sink {
    border-bottom: 2px solid var(--sink);
  }
  b {
    font-weight: normal;
  }
  b.of-massive {
    color: var(--massive);
  }
  b.of-large {
    color: var(--large);
  }
  b.of-sink {
    color: var(--sink);
  }
`;
