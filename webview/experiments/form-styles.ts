/** How the form of an experiment looks: one grid, whose cells are as wide as a short field. */
import { css } from 'lit';

export const formStyles = css`
  :host {
    display: block;
  }
  .row {
    display: flex;
    flex-wrap: wrap;
    align-items: end;
    gap: 8px 12px;
  }
  /* What is run and the button that runs it stay side by side, however wide the panel is. */
  .row > :first-child {
    flex: 1 1 160px;
    min-width: 160px;
    max-width: 420px;
  }
  vscode-button,
  vscode-button::part(control) {
    box-sizing: border-box;
    height: 26px;
  }
  vscode-button[appearance='secondary'] {
    --button-border: var(--second-border);
  }
  .fields {
    display: grid;
    grid-template-columns: repeat(auto-fill, minmax(min(190px, 100%), 1fr));
    align-items: start;
    gap: 10px 14px;
  }
  fieldset {
    grid-column: 1 / -1;
  }
  p {
    margin: 6px 0 10px;
    color: var(--muted);
  }
  .wrong {
    color: var(--vscode-errorForeground);
  }
  label,
  .field,
  fieldset {
    display: flex;
    flex-direction: column;
    gap: 2px;
    margin: 0;
    padding: 0;
    border: none;
    font-size: 0.9em;
    color: var(--muted);
  }
  fieldset div {
    display: flex;
    flex-wrap: wrap;
    gap: 2px 12px;
  }
  .switch,
  fieldset label {
    flex-direction: row;
    align-items: center;
    color: var(--vscode-foreground);
  }
  .switch {
    height: 26px;
    margin-top: 1.4em;
  }
  /* In one column there is no field beside it whose label it has to leave room for. */
  @media (max-width: 430px) {
    .switch {
      margin-top: 0;
    }
  }
  .field vscode-button {
    width: 100%;
  }
  legend {
    padding: 0;
  }
  input,
  select {
    box-sizing: border-box;
    width: 100%;
    height: 26px;
    padding: 2px 6px;
    color: var(--vscode-input-foreground);
    background: var(--vscode-input-background);
    border: 1px solid var(--vscode-input-border, var(--vscode-contrastBorder, var(--rule)));
    border-radius: 2px;
    font: inherit;
  }
  input[type='checkbox'] {
    width: auto;
    height: auto;
  }
  select {
    color: var(--vscode-dropdown-foreground);
    background: var(--vscode-dropdown-background);
    border-color: var(--vscode-dropdown-border, var(--vscode-contrastBorder, var(--rule)));
  }
  input:focus-visible,
  select:focus-visible {
    outline: 1px solid var(--vscode-focusBorder);
    outline-offset: -1px;
  }
  .field label {
    font-size: inherit;
  }
  fieldset label,
  .switch {
    min-height: 24px;
  }
`;
